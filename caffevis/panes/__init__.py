"""The app's panes, one file each: a frozen view of what to show, and its drawing.

A view holds everything that the picture depends on, and a drawing reads
nothing else, so a pane whose view did not change need not be drawn again.
"""
