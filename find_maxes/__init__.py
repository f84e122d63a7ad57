"""Patches of a data set that activate a unit most, and the deconv of each (paper, section 2).

What will live here: the search for the top-9 patches of every unit over an image list, the
cropping of their receptive fields, and the batch tool that writes
`max_im/<layer>/<layer>_<unit>.jpg` and `max_deconv/<layer>/<layer>_<unit>.jpg`.
It may import torchcaffe and toolbox.images.
"""
