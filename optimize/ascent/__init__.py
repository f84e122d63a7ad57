"""One image's way: in comes a request (a unit, a seed, a recipe), out the image it ends with.

`optimizer` puts requests together, `task` plans them, `starts` makes the first image, `iterations`
looks, steps and regularises, `collect_results` returns what was found.
"""
