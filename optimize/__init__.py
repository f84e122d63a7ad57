"""Images that a unit prefers, by regularised gradient ascent (paper, section 3).

What will live here: the ascent itself (objectives and regularisers as ordered lists of
functions), its hyperparameter presets, and the batch tool that writes
`regularized_opt/<layer>/<layer>_<unit>_montage.jpg` for the window's unit images.
It may import torchcaffe and toolbox.images.
"""
