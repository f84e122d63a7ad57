"""Patches of a data set that activate a unit most, and the deconv of each (paper, section 2).

`python -m find_maxes.find_max_acts` goes once through a list of images and keeps, for every
unit of every layer, the images that excite it most; `python -m find_maxes.crop_max_patches`
writes the patches that these units see, with their deconv and backprop. docs/find_maxes.md
says how; docs/scaling.md how on a cluster. It may import torchcaffe, toolbox.pictures.images and
toolbox.pictures.image_file; the command lines take defaults from `settings`.
"""

from toolbox.moved import keep_old_paths

# Old path -> new path, for programs and settings of users (see `toolbox.moved`).
_MOVED = {
    "charts": "reports.charts",
    "cluster": "scan.dask_shards",
    "crop": "crops.crop",
    "decode": "photos.decoders",
    "drawing": "crops.patch_pictures",
    "filelist": "photos.photo_list",
    "files": "scan.maxes_file",
    "lanes": "scan.lanes",
    "network": "scan.network",
    "patches": "crops.patches",
    "picture": "photos.net_input",
    "report": "reports.summary",
    "statistics": "scan.statistics",
    "totals": "scan.running_totals",
    "tracker": "scan.top_n",
}
keep_old_paths("find_maxes", _MOVED)
