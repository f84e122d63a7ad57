"""Images that a unit prefers, by regularised gradient ascent (paper, section 3).

from optimize import FindParams, GradientOptimizer
results = GradientOptimizer(net, data_mean).run_optimize(FindParams.preset(3))
"""

import torchcaffe  # noqa: F401 - before torch, see torchcaffe.process.openmp
from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.results import FindResults
from optimize.ascent.starts import facets
from optimize.errors import OptimizeError, ParamsError
from optimize.params import PRESETS, FindParams
from optimize.policies import POLICIES
from optimize.regularise.registry import REGULARISERS
from toolbox.moved import keep_old_paths

__all__ = [
    "POLICIES",
    "PRESETS",
    "REGULARISERS",
    "FindParams",
    "FindResults",
    "GradientOptimizer",
    "OptimizeError",
    "ParamsError",
    "facets",
]

# Old path -> new path, for programs and settings of users (see `toolbox.moved`).
_MOVED = {
    "arguments": "command.arguments",
    "cluster": "batch.dask_batches",
    "collecting": "ascent.collect_results",
    "computing": "batch.executor",
    "crops": "net.crops",
    "files": "output.files",
    "means": "ascent.mean_image",
    "model": "command.open_model",
    "objectives": "ascent.objectives",
    "optimizer": "ascent.optimizer",
    "pictures": "output.pictures",
    "planning": "ascent.task",
    "progress": "output.progress",
    "pushes": "ascent.batch_objectives",
    "registry": "regularise.registry",
    "regularisers": "regularise.regularisers",
    "results": "ascent.results",
    "runs": "batch.runs",
    "section": "net.section",
    "starts": "ascent.starts",
    "top_images": "ascent.top_images",
    "transforms": "regularise.transforms",
    "unit_jpgs": "batch.unit_jpgs",
    "wiring": "command.settings_defaults",
}
keep_old_paths("optimize", _MOVED)
