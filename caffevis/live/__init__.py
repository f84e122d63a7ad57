"""What is made while one looks: in come the net and the selected unit, out its images as they grow.

The room in which the window uses the batch tools: `optimize` for images, `find_maxes` for patches.
"""
