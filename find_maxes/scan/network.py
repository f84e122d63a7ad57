"""The net of a scan: which layers have units, and groups of pictures through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import torchcaffe as caffe
from find_maxes.errors import FindMaxesError
from find_maxes.photos.net_input import FloatArray
from toolbox.pictures.held import Held
from torchcaffe.blobs.blob import Shape
from torchcaffe.errors import unknown_name

# Pictures that go through the net together: always these 16, whatever --batch-size,
# --workers or a resumed run. BLAS sums in another order for other batches, so this is what
# makes the last bit of every number the same.
GROUP = 16
MAX_GROUP_BYTES = 512 << 20  # of all blobs; a net of very large ones gets smaller groups

# Layers that read data of their own.
DATA_LAYERS = frozenset(
    {"Data", "ImageData", "HDF5Data", "MemoryData", "DummyData", "WindowData", "AnnotatedData"}
)
# Tops of these hold pixels or copies of another blob.
_NO_UNITS = DATA_LAYERS | {"Input", "InputDeviation", "Parameter", "Split", "Dropout", "Silence"}

_PAIRS = (2, 6)  # channels of inputs that take two pictures


@dataclass(frozen=True)
class NetFiles:
    """Where a net is (as `torchcaffe.open_net` takes it) and how it is run."""

    prototxt: str
    weights: str
    gpu: bool = False
    python_layers: bool = False
    held: Held = Held()

    @classmethod
    def named(
        cls,
        prototxt: str,
        weights: str,
        gpu: bool = False,
        python: bool = False,
        held: Held = Held(),  # noqa: B008 - frozen
    ) -> NetFiles:
        """Return the files that a command line names; "-" stands where a .pt2 has its weights."""
        return cls(prototxt, caffe.opening.weights_file(prototxt, weights), gpu, python, held)

    def open(self) -> caffe.Net:
        """Return the net, the picture's input the first of its inputs.

        Raises
        ------
        CaffeError
            A file cannot be read or the net cannot be built; one sentence.
        HeldError
            What inputs are to hold does not fit them.
        """
        if self.gpu:
            caffe.set_mode_gpu()
        else:
            caffe.set_mode_cpu()
        with caffe.python_layers_allowed(self.python_layers):
            net = caffe.open_net(self.prototxt, self.weights)
        self.held.fill(net)
        return net


def image_input(net: caffe.Net) -> str:
    """Return the input that pictures go to: the first with four axes.

    Raises
    ------
    FindMaxesError
        There is none, or it takes pairs of pictures.
    """
    for name in net.inputs:
        shape = net.blobs[name].shape
        if len(shape) == 4:
            if shape[1] in _PAIRS or shape[1] < 1:
                raise FindMaxesError(
                    f"the net's input {name!r} has {shape[1]} channels; photos can feed 1, or 3 "
                    "with further ones that hold a value, but no pairs (2 or 6)"
                )
            return name
    raise FindMaxesError("the net has no input of four axes (batch, channels, height, width)")


def set_batch(net: caffe.Net, size: int) -> None:
    """Give every input that has the pictures' batch another batch size."""
    old = net.blobs[image_input(net)].shape[0]
    for name in net.inputs:
        shape = net.blobs[name].shape
        if shape and shape[0] == old:
            net.blobs[name].reshape(size, *shape[1:])
    net.reshape()


def _shapes(net: caffe.Net) -> dict[str, Shape]:
    return {name: blob.dims for name, blob in net.blobs.items()}


def _group_size(net: caffe.Net) -> int:
    """Return how many pictures go together: a property of the net alone."""
    per_picture = 4 * sum(blob.count for blob in net.blobs.values())
    per_picture //= max(1, net.blobs[image_input(net)].shape[0])
    size = GROUP
    while size > 1 and size * per_picture > MAX_GROUP_BYTES:
        size //= 2
    return size


def prepare(net: caffe.Net) -> tuple[int, dict[str, Shape]]:
    """Set the net to its group size and find the blobs with units.

    Returns
    -------
    size : int
        Pictures of a group; the prototxt's own batch where a layer insists on it.
    shapes : dict of str to tuple of int
        Blob -> units and the axes of its map, in the net's order: every blob with an axis of
        images, but inputs and copies.
    """
    own = _shapes(net)
    size, given = _group_size(net), net.blobs[image_input(net)].shape[0]
    try:
        # Two sizes, so that axes that happen to have the batch's size are told apart.
        set_batch(net, size + 1)
        other, more = _shapes(net), size + 1
        set_batch(net, size)
    except caffe.CaffeError:
        for name in net.inputs:
            net.blobs[name].reshape(*own[name])
        net.reshape()
        size, other, more = given, own, given
    types = {name: layer.type for name, layer in net.layer_dict.items()}
    makers = {top: types[name] for name, tops in reversed(net.top_names.items()) for top in tops}
    found, elsewhere = {}, net.layouts
    for name, shape in _shapes(net).items():
        has_images = shape[:1] == (size,) and other[name][:1] == (more,)
        if name in elsewhere:
            continue  # tokens, or channels that are last
        if has_images and 0 not in shape and makers.get(name) not in _NO_UNITS:
            found[name] = shape[1:] or (1,)
    if not found:
        raise FindMaxesError("the net has no layer with units: its definition holds only data")
    return size, found


def choose(net: caffe.Net, shapes: dict[str, Shape], names: Sequence[str] | None) -> list[str]:
    """Check the names of layers asked for; all where there are none.

    Raises
    ------
    FindMaxesError
        One does not exist (the sentence names the nearest) or has no units.
    """
    if names is None:
        return list(shapes)
    for name in names:
        if name in shapes:
            continue
        if name not in net.blobs and name not in net.layer_dict:
            raise FindMaxesError(str(unknown_name("layer", name, shapes)))
        if name in net.layouts:
            raise FindMaxesError(
                f"layer {name!r} keeps tokens, or has its channels last; units are sought in "
                "layers (batch, channels, rows, columns), such as convolutions"
            )
        tops = [top for top in net.top_names.get(name, []) if top in shapes]
        hint = f"; it writes {tops[0]!r}: name that" if tops and name not in net.blobs else ""
        raise FindMaxesError(f"layer {name!r} has no units of its own{hint}")
    return [name for name in shapes if name in set(names)]


def last_writer(net: caffe.Net, blobs: Sequence[str]) -> int:
    """Return the number of the layer after which all these blobs have their final values."""
    return max(
        i for i, tops in enumerate(net.top_names.values()) if any(blob in tops for blob in blobs)
    )


def put(net: caffe.Net, inputs: FloatArray) -> None:
    """Put pictures (size, height, width, channels) into the net's input, without a copy."""
    tensor = torch.from_numpy(inputs).permute(0, 3, 1, 2)
    net.blobs[image_input(net)].set_tensor(tensor.to(caffe.device.current()))


class Runner:
    """Groups of pictures through a net, up to the last layer that matters.

    Parameters
    ----------
    files : NetFiles
        The net.
    names : sequence of str, optional
        Layers whose units are watched (default: all).
    net : Net, optional
        The net, where it is open already.

    Attributes
    ----------
    size : int
        Pictures of a group.
    shapes : dict of str to tuple of int
        Watched layer -> units and the axes of its map.
    input_shape : (int, int, int)
        Channels, height and width.
    """

    def __init__(
        self, files: NetFiles, names: Sequence[str] | None = None, net: caffe.Net | None = None
    ) -> None:
        self._files = files
        self._others: list[Runner] = []
        self.net = net or files.open()
        files.held.fill(self.net)  # the picture's input first, also of a twin
        channels, height, width = self.net.blobs[image_input(self.net)].shape[1:]
        self.input_shape = (channels, height, width)
        self.size, shapes = prepare(self.net)
        files.held.fill(self.net)  # again: the batch is another now
        self.shapes = {name: shapes[name] for name in choose(self.net, shapes, names)}
        self._end = last_writer(self.net, list(self.shapes))

    def __call__(self, inputs: FloatArray) -> dict[str, Tensor]:
        """Return the watched layers' values, (size, units, ...), until the next call."""
        put(self.net, inputs)
        self.net._forward(0, self._end)
        return {name: self.net.blobs[name].tensor for name in self.shapes}

    def copies(self, count: int) -> list[Runner]:
        """Return this runner and others with the same parameters and blobs of their own."""
        while len(self._others) + 1 < count:
            self._others.append(Runner(self._files, list(self.shapes), self.net.twin()))
        return [self, *self._others][:count]

    def release(self) -> None:
        """Forget the pictures put in last: they may lie in somebody else's memory."""
        blob = self.net.blobs[image_input(self.net)]
        blob.set_tensor(torch.zeros(blob.shape, device=caffe.device.current()))
