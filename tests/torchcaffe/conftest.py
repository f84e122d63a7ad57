"""What the tests of the engine share."""

import pytest

import torchcaffe as caffe


@pytest.fixture
def net_of(tmp_path):
    """Return a function that builds a net from the text of a prototxt."""

    def build(text, phase=caffe.TEST, **more):
        path = tmp_path / "net.prototxt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return caffe.Net(str(path), phase, **more)

    return build
