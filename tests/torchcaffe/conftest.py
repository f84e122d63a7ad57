"""What the tests of the engine share."""

import pytest
import torch

import torchcaffe as caffe


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a CUDA GPU; skipped where there is none")


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="PyTorch finds no CUDA GPU here"))


@pytest.fixture
def net_of(tmp_path):
    """Return a function that builds a net from the text of a prototxt."""

    def build(text, phase=caffe.TEST, **more):
        path = tmp_path / "net.prototxt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return caffe.Net(str(path), phase, **more)

    return build
