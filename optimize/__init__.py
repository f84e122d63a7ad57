"""Images that a unit prefers, by regularised gradient ascent (paper, section 3).

from optimize import FindParams, GradientOptimizer
results = GradientOptimizer(net, data_mean).run_optimize(FindParams.preset(3))
"""

from optimize.errors import OptimizeError, ParamsError
from optimize.optimizer import GradientOptimizer
from optimize.params import PRESETS, FindParams
from optimize.policies import POLICIES
from optimize.registry import REGULARISERS
from optimize.results import FindResults
from optimize.starts import facets

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
