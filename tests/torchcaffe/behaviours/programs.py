"""Small programs as pycaffe's users write them; what they see is compared with real Caffe.

Each program gets the module `caffe` (real Caffe's or ours) and returns what it saw, as lists,
numbers and strings. Its docstring is the row of the table in docs/pycaffe.md.
`make_answers.py` runs them on a real Caffe, under Python 3.9: nothing newer here.
"""

import sys

import numpy as np
from nets import CHAIN, DIAMOND, INPUT, LOSS, SHARED, TWO_INPUTS, USER

PROGRAMS = {}


def program(function):
    """Add a program to the table."""
    PROGRAMS[function.__name__] = function
    return function


def build(caffe, text, phase=1, **settings):
    """Build a net from text in the current folder."""
    with open("net.prototxt", "w", encoding="utf-8") as file:
        file.write(text)
    return caffe.Net("net.prototxt", phase, **settings)


def values(array):
    """Return an array as nested lists."""
    return np.asarray(array, float).tolist()


def ramp(net, name="data"):
    """Fill a blob with 0, 1, 2, ... and return the array."""
    data = net.blobs[name].data
    data[...] = np.arange(data.size).reshape(data.shape)
    return data


def user(caffe, layer, more="", bottoms=("data",), tops=("y",), change=None):
    """Build a net with one Python layer of `USER` behind an input."""
    with open("user_layers.py", "w", encoding="utf-8") as file:
        file.write(USER)
    sys.path.insert(0, ".")
    ends = "".join([f' bottom: "{b}"' for b in bottoms] + [f' top: "{t}"' for t in tops])
    text = INPUT + (
        f'layer {{ name: "mine" type: "Python"{ends} '
        f'python_param {{ module: "user_layers" layer: "{layer}" }} }}\n{more}'
    )
    return build(caffe, change(text) if change else text)


# ---------------------------------------------------------------- names and order


@program
def blobs_in_order(caffe):
    """`net.blobs`: every top in the order of the layers, the copies of a split too."""
    net = build(caffe, DIAMOND)
    return [list(net.blobs), list(net._layer_names), list(net._blob_names)]


@program
def inputs_and_outputs(caffe):
    """`net.inputs` in the order of the definition; `net.outputs` sorted by name."""
    net = build(caffe, TWO_INPUTS)
    return [list(net.inputs), list(net.outputs)]


@program
def output_with_an_in_place_layer(caffe):
    """A blob that a layer works on in place, with no reader behind it, is an output."""
    net = build(caffe, CHAIN)
    return [list(net.outputs), net.top_names["relu"], net.bottom_names["relu"]]


@program
def private_names(caffe):
    """`_inputs`, `_outputs`, `_top_ids(i)`, `_bottom_ids(i)`: places in `_blobs`."""
    net = build(caffe, TWO_INPUTS)
    count = len(net.layers)
    return [
        list(net._inputs), list(net._outputs), len(net._blobs), list(net._blob_loss_weights),
        [list(net._top_ids(i)) for i in range(count)],
        [list(net._bottom_ids(i)) for i in range(count)],
        [list(blob.shape) for blob in net._blobs],
    ]  # fmt: skip


@program
def names_by_layer(caffe):
    """`top_names`, `bottom_names`: a list for every layer, splits too."""
    net = build(caffe, DIAMOND)
    return [list(net.top_names.items()), list(net.bottom_names.items())]


@program
def layers_with_parameters(caffe):
    """`net.params`: only layers that have parameters, in the order of the layers."""
    net = build(caffe, DIAMOND)
    found = [[name, [list(b.shape) for b in blobs]] for name, blobs in net.params.items()]
    return [found, [[layer.type, len(layer.blobs)] for layer in net.layers]]


@program
def python_layer_without_parameters(caffe):
    """A Python layer without blobs is not in `net.params`."""
    return list(user(caffe, "Double").params)


@program
def loss_weights(caffe):
    """`blob_loss_weights`: a number for every blob, 1 for a loss by default."""
    net = build(caffe, LOSS)
    return [list(net.blob_loss_weights.items()), values(net.blobs["loss"].diff)]


@program
def layer_objects(caffe):
    """`net.layer_dict[name]` has `type` and `blobs`; `net.layers[-1]` is the last layer."""
    net = build(caffe, CHAIN)
    layer = net.layer_dict["ip"]
    return [layer.type, [list(b.shape) for b in layer.blobs], net.layers[-1].type, len(net.layers)]


# ---------------------------------------------------------------- blobs


@program
def shape_is_a_list(caffe):
    """`blob.shape` is a list of its own: writing into it leaves the blob as it is."""
    blob = build(caffe, INPUT).blobs["data"]
    shape = blob.shape
    shape[0] = 7
    return [list(shape), list(blob.shape), len(shape), shape[-1], list(shape[:1]), 2 in shape]


@program
def legacy_axes(caffe):
    """`num`, `channels`, `height`, `width`: 1 for axes that the blob does not have."""
    net = build(caffe, TWO_INPUTS)
    return [[b.num, b.channels, b.height, b.width, b.count] for b in net.blobs.values()]


@program
def a_blob_without_axes(caffe):
    """A loss has no axes, and one value."""
    blob = build(caffe, LOSS).blobs["loss"]
    return [list(blob.shape), blob.count, list(blob.data.shape), blob.num]


@program
def data_is_one_array(caffe):
    """`blob.data` is a float32 array that can be written, and stays what the net computes on."""
    net = build(caffe, CHAIN)
    held = net.blobs["data"].data
    held[...] = -1
    top = net.blobs["ip"].data
    net.params["ip"][0].data[...] = 1
    net.params["ip"][1].data[...] = 0.5
    net.forward()
    first = values(top)
    held[...] = 2
    net.forward()
    return [str(held.dtype), bool(held.flags.c_contiguous), first, values(top)]


@program
def assigning_to_data(caffe):
    """`blob.data = array` is an AttributeError; `blob.data[...] = array` copies."""
    blob = build(caffe, INPUT).blobs["data"]
    try:
        blob.data = np.zeros((1, 2))
    except AttributeError:
        return "AttributeError"
    return "set"


@program
def smaller_keeps_its_values(caffe):
    """A blob made smaller keeps the first values, and the rest when it grows back."""
    blob = ramp_blob(caffe)
    blob.diff[...] = 10 * blob.data
    seen = []
    for shape in ((1, 3), (2, 2), (6,), (2, 3)):
        blob.reshape(*shape)
        seen.append([values(blob.data), values(blob.diff)])
    return seen


@program
def larger_than_ever_is_zeros(caffe):
    """A blob made larger than it ever was is zeros."""
    blob = ramp_blob(caffe)
    blob.reshape(3, 3)
    return [values(blob.data), values(blob.diff)]


def ramp_blob(caffe):
    """Return the input blob of shape (2, 3) with the values 0 to 5."""
    net = build(caffe, INPUT.replace("dim: 1 dim: 2", "dim: 2 dim: 3"))
    ramp(net)
    return net.blobs["data"]


@program
def arrays_before_a_reshape(caffe):
    """An array taken before a blob became smaller still is its memory."""
    blob = ramp_blob(caffe)
    before = blob.data
    blob.reshape(1, 3)
    blob.data[...] = 9
    return values(before)


@program
def parameters_can_be_reshaped(caffe):
    """`net.params[...][0].reshape` is allowed (net surgery); the values stay."""
    blob = build(caffe, CHAIN).params["ip"][0]
    blob.data[...] = np.arange(blob.data.size).reshape(blob.data.shape)
    blob.reshape(blob.count, 1)
    return [list(blob.shape), values(blob.data[:, 0])]


@program
def blobs_without_values(caffe):
    """A blob reshaped to no axes has one value; one with an axis of 0 has none."""
    blob, seen = ramp_blob(caffe), []
    for shape in ((), (0, 3), (2, 0)):
        blob.reshape(*shape)
        seen.append([list(blob.shape), blob.count, list(blob.data.shape), list(blob.diff.shape)])
    return seen


@program
def layer_and_params_share_blobs(caffe):
    """`net.layers[i].blobs` and `net.params` are the same memory."""
    net = build(caffe, CHAIN)
    net.layers[1].blobs[0].data[...] = 6
    return [numbers(net), len(net.params["ip"]), list(net.params["ip"][-1].shape)]


@program
def diffs_grow_and_shrink(caffe):
    """Diffs of blobs between layers keep their first values when the net is reshaped."""
    net = build(caffe, CHAIN)
    net.blobs["data"].reshape(3, 2)
    net.reshape()
    net.blobs["ip"].diff[...] = 7
    net.blobs["data"].reshape(1, 2)
    net.reshape()
    small = values(net.blobs["ip"].diff)
    net.blobs["data"].reshape(2, 2)
    net.reshape()
    return [small, values(net.blobs["ip"].diff)]


@program
def inputs_keep_their_rows(caffe):
    """Rows of an input come back when a smaller batch becomes the old one again."""
    net = build(caffe, CHAIN)
    net.blobs["data"].reshape(3, 2)
    ramp(net)
    for batch in (1, 3):
        net.blobs["data"].reshape(batch, 2)
        net.forward()
    return values(net.blobs["data"].data)


# ---------------------------------------------------------------- forward


@program
def forward_returns(caffe):
    """`forward()` returns the outputs; `blobs=` adds to them; all are live arrays."""
    net = build(caffe, DIAMOND)
    out = net.forward(blobs=["left"])
    live = out["join"]
    before = values(live)
    ramp(net)
    net.forward()
    return [sorted(out), before, values(live)]


@program
def forward_from_and_to(caffe):
    """`start=`, `end=` are layers, both included; with `end=` its tops are returned."""
    net = build(caffe, DIAMOND)
    ramp(net)
    net.forward()
    net.blobs["left"].data[...] = 100
    out = net.forward(start="join", end="join")
    return [sorted(net.forward(end="left")), sorted(out), values(out["join"])]


@program
def forward_with_inputs(caffe):
    """`forward(data=array)` copies the array, of any kind of numbers, into the input."""
    net = build(caffe, INPUT + 'layer { name: "p" type: "Power" bottom: "data" top: "p" }')
    return [values(net.forward(data=np.array([[True, False]]))["p"]),
            values(net.forward(data=np.array([[1.5, 3]], ">f8"))["p"]),
            values(net.forward(data=np.array([[7]]))["p"])]  # fmt: skip


def raises(kind, call):
    """Return whether `call` raises an exception of that kind."""
    try:
        call()
    except kind:
        return True
    return False


@program
def what_raises(caffe):
    """Wrong calls raise, and what they raise can be caught as in pycaffe."""
    net = build(caffe, DIAMOND)
    data = np.zeros((1, 1, 1, 2), np.float32)
    return {
        "unknown blob": raises(KeyError, lambda: net.blobs["nothing"]),
        "unknown parameter": raises(KeyError, lambda: net.params["nothing"]),
        "unknown top": raises(KeyError, lambda: net.forward(blobs=["nothing"])),
        "unknown start": raises(ValueError, lambda: net.forward(start="nothing")),
        "unknown end": raises(ValueError, lambda: net.backward(end="nothing")),
        "no such layer number": raises(IndexError, lambda: net.layers[99]),
        "no such file": raises(RuntimeError, lambda: caffe.Net("nothing.prototxt", 1)),
        "no such weights": raises(
            RuntimeError, lambda: caffe.Net("net.prototxt", "nothing.caffemodel", 1)
        ),
        "missing input": raises(Exception, lambda: net.forward(other=np.zeros((1, 2)))),
        "wrong batch": raises(Exception, lambda: net.forward(data=np.zeros((3, 2)))),
        "wrong shape": raises(ValueError, lambda: net.forward(data=np.zeros((1, 5)))),
        "no MemoryData": raises(
            RuntimeError, lambda: net.set_input_arrays(data, np.zeros(1, np.float32))
        ),
        "setting num": raises(AttributeError, lambda: setattr(net.blobs["data"], "num", 3)),
        "a tuple of sizes": raises(TypeError, lambda: net.blobs["data"].reshape((1, 2))),
        "a size of a half": raises(TypeError, lambda: net.blobs["data"].reshape(1, 2.5)),
    }


@program
def any_attribute(caffe):
    """Programs may hang attributes of their own on nets, blobs and layers."""
    net = build(caffe, CHAIN)
    net.mine = 1
    net.blobs["data"].mine = 2
    net.layers[0].mine = 3
    return [net.mine, sorted(set(vars(net)) & {"mine"})]


@program
def loss_of_forward(caffe):
    """`net._forward(first, last)` returns the weighted loss as a number."""
    net = build(caffe, LOSS)
    net.blobs["data"].data[...] = 3
    return [net._forward(0, len(net.layers) - 1), values(net.blobs["loss"].data)]


@program
def forward_all_in_batches(caffe):
    """`forward_all` computes any number of images and cuts the padding off."""
    net = build(caffe, CHAIN)
    net.blobs["data"].reshape(2, 2)
    net.reshape()
    net.params["ip"][0].data[...] = 1
    return values(net.forward_all(data=np.arange(10.0).reshape(5, 2))["ip"])


@program
def reshape_by_forward(caffe):
    """`forward` follows a reshaped input by itself; `net.reshape()` does it without computing."""
    net = build(caffe, CHAIN)
    net.blobs["data"].reshape(3, 2)
    before = list(net.blobs["ip"].shape)
    net.reshape()
    after = list(net.blobs["ip"].shape)
    net.blobs["data"].reshape(4, 2)
    net.forward()
    return [before, after, list(net.blobs["ip"].shape)]


@program
def memory_data(caffe):
    """`set_input_arrays(data, labels)` fills a MemoryData layer; batches are taken in turn."""
    net = build(caffe, 'layer { name: "m" type: "MemoryData" top: "data" top: "label" '
                "memory_data_param { batch_size: 2 channels: 1 height: 1 width: 2 } }")  # fmt: skip
    data = np.arange(8, dtype=np.float32).reshape(4, 1, 1, 2)
    net.set_input_arrays(data, np.arange(4, dtype=np.float32))
    seen = []
    for _ in range(3):
        out = net.forward()
        seen.append([values(out["data"].ravel()), values(out["label"])])
    return seen


@program
def hooks(caffe):
    """`before_forward(f)` and the like: `f` gets each layer's number, around each layer."""
    net, log = build(caffe, CHAIN), []
    for name in ("before_forward", "after_forward", "before_backward", "after_backward"):
        getattr(net, name)(lambda number, name=name: log.append([name, number]))
    net.forward()
    net.backward()
    net.forward(start="relu")
    return log


@program
def hooks_may_change_blobs(caffe):
    """What a hook writes into a blob is what the next layer sees."""
    net = build(caffe, INPUT + 'layer { name: "p" type: "Power" bottom: "data" top: "p" }')
    net.before_forward(lambda i: net.blobs["data"].data.fill(i + 4))
    return values(net.forward()["p"])


# ---------------------------------------------------------------- backward


@program
def diffs_of_a_split(caffe):
    """A blob read twice gets the sum of its readers' diffs; the copies keep theirs."""
    net = build(caffe, DIAMOND)
    ramp(net)
    net.forward()
    net.blobs["join"].diff[...] = 1
    net.backward()
    return [[name, values(blob.diff)] for name, blob in net.blobs.items()]


@program
def parameter_diffs_add_up(caffe):
    """Diffs of parameters add up from pass to pass until `clear_param_diffs()`."""
    net = build(caffe, CHAIN)
    net.params["ip"][1].data[...] = 1  # above zero, so that the ReLU lets diffs through
    ramp(net)
    net.forward()
    net.blobs["ip"].diff[...] = 1
    net.backward()
    once = values(net.params["ip"][0].diff)
    net.blobs["ip"].diff[...] = 1
    net.backward()
    twice = values(net.params["ip"][0].diff)
    net.clear_param_diffs()
    return [once, twice, values(net.params["ip"][0].diff)]


@program
def in_place_diffs(caffe):
    """In place, the top's diff becomes the bottom's: they are one array."""
    net = build(caffe, CHAIN)
    net.params["ip"][1].data[...] = [1, -1]
    net.forward()
    net.blobs["ip"].diff[...] = 5
    net.backward(end="relu")
    return values(net.blobs["ip"].diff)


@program
def backward_returns(caffe):
    """`backward()` returns the inputs' diffs, or with `end=` those of its bottoms."""
    net = build(caffe, DIAMOND)
    net.forward()
    diff = np.full((1, 4), 2, np.float32)
    return [sorted(net.backward(join=diff)), sorted(net.backward(diffs=["left"])),
            sorted(net.backward(end="join")), values(net.blobs["right"].diff)]  # fmt: skip


@program
def diffs_of_a_label(caffe):
    """A loss's label gets no diff; what is in it stays."""
    net = build(caffe, LOSS)
    net.blobs["label"].diff[...] = 5
    ramp(net)
    net.forward()
    net.backward()
    return [values(net.blobs["data"].diff), values(net.blobs["label"].diff)]


@program
def a_learning_rate_of_zero(caffe):
    """A parameter of `lr_mult: 0` gets no diff, unless `force_backward: true` wants all."""
    forced = CHAIN.replace("inner_product_param", "param { lr_mult: 0 } inner_product_param")
    seen = []
    for text in (forced, unforced(forced)):
        net = build(caffe, text)
        net.params["ip"][1].data[...] = 1
        ramp(net)
        net.forward()
        net.blobs["ip"].diff[...] = 1
        net.backward()
        seen.append([values(blob.diff) for blob in net.params["ip"]])
    return seen


def unforced(text):
    """Leave `force_backward` out, and make the last layer a loss: Caffe goes back from losses."""
    head, tail = text.replace("force_backward: true", "").rsplit("layer {", 1)
    return head + "layer { loss_weight: 1 " + tail


@program
def propagate_down_false(caffe):
    """`propagate_down: false` leaves a bottom's diff as it is, without `force_backward`."""
    forced = DIAMOND.replace(
        'type: "Concat"', 'type: "Concat" propagate_down: true propagate_down: false'
    ).replace('type: "Power"', 'type: "InnerProduct" inner_product_param { num_output: 2 }')
    seen = []
    for text in (forced, unforced(forced)):
        net = build(caffe, text)
        net.forward()
        net.blobs["join"].diff[...] = 3
        net.backward()
        seen.append([values(net.blobs[name].diff) for name in ("left", "right")])
    return seen


@program
def forward_leaves_diffs(caffe):
    """`forward` changes no diff, `backward` no data."""
    net = build(caffe, DIAMOND)
    for blob in net.blobs.values():
        blob.diff[...] = 8
    net.forward()
    seen = [values(blob.diff) for blob in net.blobs.values()]
    before = [values(blob.data) for blob in net.blobs.values()]
    net.backward()
    return [seen, before == [values(blob.data) for blob in net.blobs.values()]]


# ---------------------------------------------------------------- parameters and files


def stored(caffe, *layers):
    """Write a caffemodel of layers, (name, values of each blob) each."""
    param = caffe.proto.caffe_pb2.NetParameter()
    for name, blobs in layers:
        layer = param.layer.add(name=name)
        for array in blobs:
            layer.blobs.add().CopyFrom(caffe.io.array_to_blobproto(np.asarray(array, float)))
    with open("w.caffemodel", "wb") as file:
        file.write(param.SerializeToString())


def numbers(net, name="ip"):
    """Return a layer's parameters as lists."""
    return [values(blob.data) for blob in net.params[name]]


ONES, TWOS = [np.ones((2, 2)), np.ones(2)], [2 * np.ones((2, 2)), 2 * np.ones(2)]


@program
def the_last_of_two_entries(caffe):
    """Of two entries of one name in a weights file the last one counts."""
    net = build(caffe, CHAIN)
    stored(caffe, ("ip", ONES), ("ip", TWOS))
    net.copy_from("w.caffemodel")
    return numbers(net)


@program
def entries_of_other_layers(caffe):
    """Entries for layers that the net lacks are passed over; layers without one keep theirs."""
    net = build(caffe, SHARED)
    net.params["a"][0].data[...] = 7
    stored(caffe, ("other", TWOS), ("b", ONES[:1]))
    net.copy_from("w.caffemodel")
    return [numbers(net, "a"), numbers(net, "b")]


@program
def weights_stored_flat(caffe):
    """Old files pad shapes with ones in front: (1, 1, 2, 2) fits (2, 2)."""
    net = build(caffe, CHAIN)
    param = caffe.proto.caffe_pb2.NetParameter()
    layer = param.layer.add(name="ip")
    layer.blobs.add(num=1, channels=1, height=2, width=2, data=[1, 2, 3, 4])
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[5, 6])
    with open("w.caffemodel", "wb") as file:
        file.write(param.SerializeToString())
    net.copy_from("w.caffemodel")
    return numbers(net)


def entry(caffe, **fields):
    """Write a weights file whose layer `ip` has these fields in its first blob."""
    param = caffe.proto.caffe_pb2.NetParameter()
    layer = param.layer.add(name="ip")
    layer.blobs.add(**fields)
    layer.blobs.add(data=[5, 6], shape={"dim": [2]})
    with open("w.caffemodel", "wb") as file:
        file.write(param.SerializeToString())
    net = build(caffe, CHAIN)
    net.copy_from("w.caffemodel")
    return net


@program
def doubles_beside_floats(caffe):
    """Of values stored as `data` and as `double_data` the doubles count."""
    found = entry(caffe, shape={"dim": [2, 2]}, data=[1, 2, 3, 4], double_data=[5, 6, 7, 8])
    return numbers(found)


@program
def old_and_new_shape(caffe):
    """Of an old (`num`, ...) and a new shape the old one counts."""
    shapes = {"shape": {"dim": [4, 1]}, "num": 1, "channels": 1, "height": 2, "width": 2}
    return numbers(entry(caffe, data=[1, 2, 3, 4], **shapes))


@program
def hdf5_by_its_name(caffe):
    """`copy_from` takes HDF5 by the ending .h5."""
    net, other = build(caffe, CHAIN), build(caffe, CHAIN)
    net.params["ip"][0].data[...] = 3
    net.save_hdf5("w.h5")
    other.copy_from("w.h5")
    return numbers(other)


@program
def saving_a_copy_changes_nothing(caffe):
    """`save` and `copy_from` leave data and diffs of the blobs as they are."""
    net = build(caffe, CHAIN)
    ramp(net)
    net.blobs["data"].diff[...] = 4
    net.params["ip"][0].diff[...] = 5
    net.save("w.caffemodel")
    net.copy_from("w.caffemodel")
    return [values(net.blobs["data"].data), values(net.blobs["data"].diff),
            values(net.params["ip"][0].diff)]  # fmt: skip


@program
def weights_are_copied_in_place(caffe):
    """`copy_from` writes into the arrays that programs hold."""
    net = build(caffe, CHAIN)
    held = net.params["ip"][0].data
    stored(caffe, ("ip", TWOS))
    net.copy_from("w.caffemodel")
    return values(held)


@program
def one_parameter_by_name(caffe):
    """`param { name: "w" }` twice is one parameter, in `net.params` under both layers."""
    net = build(caffe, SHARED)
    net.params["a"][0].data[...] = 3
    seen = numbers(net, "b")
    net.forward()
    net.blobs["out"].diff[...] = 1
    net.blobs["data"].data[...] = 1
    net.forward()
    net.backward()
    return [seen, values(net.params["a"][0].diff), values(net.params["b"][0].diff)]


@program
def saved_layers(caffe):
    """`save` writes every layer, splits too, with its parameters; the net's name as well."""
    net = build(caffe, 'name: "mine"\n' + DIAMOND)
    net.save("w.caffemodel")
    param = caffe.proto.caffe_pb2.NetParameter()
    with open("w.caffemodel", "rb") as file:
        param.ParseFromString(file.read())
    return [param.name, [[la.name, la.type, len(la.blobs)] for la in param.layer]]


@program
def sharing_parameters(caffe):
    """`share_with`: the layers of one name use one memory from then on."""
    net, other = build(caffe, CHAIN), build(caffe, CHAIN)
    other.share_with(net)
    net.params["ip"][0].data[...] = 4
    return numbers(other)


@program
def saved_and_loaded(caffe):
    """`save_hdf5` and `load_hdf5` keep the values."""
    net, other = build(caffe, CHAIN), build(caffe, CHAIN)
    net.params["ip"][0].data[...] = [[1, 2], [3, 4]]
    net.save_hdf5("w.h5")
    other.load_hdf5("w.h5")
    return numbers(other)


@program
def constructors(caffe):
    """`Net(file, phase)`, `Net(file, weights, phase)`, `Net(file, phase, weights=...)`."""
    net = build(caffe, CHAIN)
    stored(caffe, ("ip", TWOS))
    nets = [caffe.Net("net.prototxt", "w.caffemodel", caffe.TEST),
            caffe.Net("net.prototxt", caffe.TEST, weights="w.caffemodel"),
            caffe.Net(network_file="net.prototxt", phase=caffe.TEST, level=0, stages=[],
                      weights="w.caffemodel")]  # fmt: skip
    return [len(net.layers), [numbers(other) for other in nets]]


# ---------------------------------------------------------------- Python layers


@program
def reshape_in_every_forward(caffe):
    """A Python layer's `reshape` runs when the net is built, and in every pass and `reshape()`."""
    net = user(caffe, "Counts", bottoms=())
    seen = [values(net.blobs["y"].data)]
    for call in (net.forward, net.forward, net.reshape, net.forward):
        call()
        seen.append(values(net.blobs["y"].data))
    return seen


@program
def data_layers_in_python(caffe):
    """A data layer that takes its next picture in `reshape` gets on, whatever its size."""
    net = user(caffe, "Feed", 'layer { name: "p" type: "Power" bottom: "y" top: "p" }', ())
    return [values(net.forward()["p"]) for _ in range(3)]


@program
def top_reshaped_in_forward(caffe):
    """A Python layer may reshape its top in `forward` (as proposal layers do)."""
    net = user(caffe, "Late", 'layer { name: "p" type: "Power" bottom: "y" top: "p" }')
    return [[list(net.forward()["p"].shape), values(net.blobs["p"].data)] for _ in range(3)]


@program
def python_in_place(caffe):
    """In place, a Python layer's top is its bottom: what it leaves there counts."""
    more = 'layer { name: "p" type: "Power" bottom: "data" top: "p" }'
    net = user(caffe, "InPlace", more, tops=("data",))
    ramp(net)
    net.forward()
    return [values(net.blobs["data"].data), values(net.blobs["p"].data)]


@program
def python_in_place_behind_a_relu(caffe):
    """A ReLU below goes backward by what a Python layer left in their blob, as in Caffe."""
    relu = 'layer { name: "relu" type: "ReLU" bottom: "data" top: "c" }\n'
    again = 'layer { name: "again" type: "ReLU" bottom: "c" top: "c" }\n'
    mine = 'layer { name: "mine"'

    def behind(text):
        return text.replace(mine, relu + again + mine)

    net = user(caffe, "Double", tops=("c",), bottoms=("c",), change=behind)
    net.blobs["data"].data[...] = [[-3, 2]]
    net.forward()
    after = values(net.blobs["c"].data)
    net.blobs["c"].diff[...] = 1
    net.backward()
    return [after, values(net.blobs["data"].diff), values(net.blobs["c"].diff)]


@program
def python_only_looks(caffe):
    """In place with nothing to do, a Python layer leaves the values as they are."""
    more = 'layer { name: "p" type: "Power" bottom: "data" top: "p" }'
    net = user(caffe, "Looks", more, tops=("data",))
    ramp(net)
    return values(net.forward()["p"])


@program
def users_object(caffe):
    """`net.layers[i]` and `net.layer_dict[name]` are the user's own object."""
    net = user(caffe, "Double")
    net.forward()
    mine = net.layer_dict["mine"]
    return [mine.passes, net.layers[1].passes, type(mine).__name__, net.layers[1].type,
            mine.param_str, mine.phase, len(mine.blobs)]  # fmt: skip


@program
def python_propagate_down(caffe):
    """`propagate_down`: a truth for each bottom; True where a diff is needed, or forced."""
    ip = ('layer { name: "c" type: "InnerProduct" bottom: "data" top: "c" '
          "inner_product_param { num_output: 2 } }\n")  # fmt: skip
    seen = []
    for given in ("", "propagate_down: false propagate_down: true "):
        for force in (True, False):
            text = ip + (
                'layer { name: "down" type: "Python" bottom: "c" bottom: "data" top: "z" ' + given
                + 'python_param { module: "user_layers" layer: "Down" } }'
            )  # fmt: skip
            net = user(caffe, "Double", text, change=None if force else unforced)
            net.forward()
            net.backward()
            seen.append(net.layer_dict["down"].seen)
    return seen


@program
def python_backward(caffe):
    """`backward` sees the top's diff and writes the bottom's."""
    net = user(caffe, "Double")
    ramp(net)
    net.forward()
    net.blobs["y"].diff[...] = [[3, 4]]
    net.backward()
    return values(net.blobs["data"].diff)


@program
def python_parameters(caffe):
    """`self.blobs.add_blob(...)` makes parameters; they are saved and loaded as any."""
    net = user(caffe, "Learns")
    net.params["mine"][0].data[...] = 6
    net.save("w.caffemodel")
    other = caffe.Net("net.prototxt", caffe.TEST)
    before = numbers(other, "mine")
    other.copy_from("w.caffemodel")
    other.blobs["data"].data[...] = 1
    return [before, numbers(other, "mine"), values(other.forward()["y"])]


@program
def python_errors(caffe):
    """What a Python layer raises, in `setup` or `forward`, comes out as it is."""
    net = user(caffe, "Fails")
    return [raises(IndexError, net.forward), raises(KeyError, lambda: user(caffe, "FailsAtOnce"))]


@program
def python_keeps_what_it_wrote(caffe):
    """What a Python layer wrote into its top in `setup` or `reshape` is there before a pass."""
    net = user(caffe, "WritesEarly")
    before = values(net.blobs["y"].data)
    return [before, values(net.forward()["y"])]


@program
def python_layer_many(caffe):
    """Two layers of one class are two objects; layers behind them follow their shapes."""
    with open("user_layers.py", "w", encoding="utf-8") as file:
        file.write(USER)
    more = (
        'layer { name: "second" type: "Python" bottom: "y" top: "w" python_param { '
        'module: "user_layers" layer: "Double" } }\n'
        'layer { name: "p" type: "Power" bottom: "w" top: "p" }'
    )
    net = user(caffe, "Double", more)
    net.blobs["data"].reshape(2, 1)
    net.blobs["data"].data[...] = 3
    net.forward()
    mine, second = net.layer_dict["mine"], net.layer_dict["second"]
    return [mine is second, mine.passes, second.passes, values(net.blobs["p"].data)]


@program
def python_blobs_are_the_nets(caffe):
    """What `bottom` and `top` hold are the net's own blobs: arrays taken there stay live."""
    net = user(caffe, "Looks", 'layer { name: "p" type: "Power" bottom: "data" top: "p" }',
               tops=("data",))  # fmt: skip
    net.forward()
    mine = net.layer_dict["mine"]
    net.blobs["data"].diff[...] = 4
    return [sorted(mine.blob.shape), values(mine.blob.diff)]


@program
def python_loss(caffe):
    """A Python layer with `loss_weight` is a loss: its top's diff is the weight."""
    net = user(caffe, "Double", change=unforced_loss)
    ramp(net)
    loss = net._forward(0, len(net.layers) - 1)
    return [loss, values(net.blobs["y"].diff), dict(net.blob_loss_weights)]


def unforced_loss(text):
    """Give the last layer a weight of 3."""
    head, tail = text.rsplit("layer {", 1)
    return head + "layer { loss_weight: 3 " + tail


# ---------------------------------------------------------------- programs' ways


@program
def net_surgery(caffe):
    """Net surgery: `params[...].data.flat = ...` turns an InnerProduct into a Convolution."""
    text = INPUT.replace("dim: 1 dim: 2", "dim: 1 dim: 2 dim: 2 dim: 2")
    whole = build(
        caffe, text + 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" '
        "inner_product_param { num_output: 3 } }",
    )  # fmt: skip
    for i, blob in enumerate(whole.params["fc"]):
        blob.data.flat = np.arange(blob.count) - i
    sliding = build(
        caffe, text.replace("dim: 2 dim: 2 }", "dim: 3 dim: 2 }")
        + 'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
        "convolution_param { num_output: 3 kernel_size: 2 } }",
    )  # fmt: skip
    for own, theirs in zip(sliding.params["conv"], whole.params["fc"]):  # noqa: B905 - Python 3.9
        own.data.flat = theirs.data.flat
    ramp(sliding)
    return values(sliding.forward()["conv"])


@program
def steps_uphill(caffe):
    """A step of gradient ascent (DeepDream): `diff[:] = data`, `backward(start=...)`."""
    net = build(caffe, DIAMOND)
    source, target = net.blobs["data"], net.blobs["right"]
    ramp(net)
    for _ in range(3):
        net.forward(end="ip")
        target.diff[:] = target.data
        net.backward(start="ip")
        gradient = source.diff[0]
        source.data[:] += 1.5 / np.abs(gradient).mean() * gradient
    return values(source.data)


@program
def pictures_of_any_size(caffe):
    """Each picture in its own size: `blobs["data"].reshape(*x.shape)`, `forward(data=x)`."""
    net = build(
        caffe, INPUT.replace("dim: 1 dim: 2", "dim: 1 dim: 1 dim: 4 dim: 4")
        + 'layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" '
        "pooling_param { kernel_size: 3 stride: 2 } }",
    )  # fmt: skip
    seen = []
    for height, width in ((5, 7), (3, 4), (6, 6)):
        x = np.arange(height * width).reshape(1, 1, height, width)
        net.blobs["data"].reshape(*x.shape)
        out = net.forward(data=x.astype(np.float32, copy=False))
        seen.append([list(net.blobs["pool"].shape), values(out["pool"])])
    return seen


# ---------------------------------------------------------------- caffe.io


def transformer(caffe):
    """Return a transformer for (1, 3, 4, 4)."""
    return caffe.io.Transformer({"data": (1, 3, 4, 4)})


@program
def mean_of_another_size(caffe):
    """`set_mean` with an image of another size resizes it bilinearly to the input."""
    t = transformer(caffe)
    t.set_mean("data", np.linspace(0, 255, 3 * 8 * 8).reshape(3, 8, 8))
    found = [list(t.mean["data"].shape), values(t.mean["data"])]
    t.set_mean("data", np.linspace(-3, 3, 3 * 2 * 3).reshape(3, 2, 3))
    return [*found, values(t.mean["data"])]


@program
def mean_of_one_axis(caffe):
    """A mean of one number a channel is spread; one of another length is a ValueError."""
    t = transformer(caffe)
    t.set_mean("data", np.array([1.0, 2, 3]))
    return [values(t.mean["data"]), raises(ValueError, lambda: t.set_mean("data", np.zeros(2))),
            raises(ValueError, lambda: t.set_mean("data", np.zeros((1, 3, 4, 4)))),
            raises(Exception, lambda: t.set_mean("other", np.zeros(3)))]  # fmt: skip


@program
def preprocess_keeps_float32(caffe):
    """`preprocess` and `deprocess` stay in float32, whatever mean and scales are."""
    t = transformer(caffe)
    t.set_transpose("data", (2, 0, 1))
    t.set_channel_swap("data", (2, 1, 0))
    t.set_raw_scale("data", 255)
    t.set_mean("data", np.array([104.0, 117, 123]))
    t.set_input_scale("data", np.float64(0.5))
    image = np.linspace(0, 1, 48).reshape(4, 4, 3)
    out = t.preprocess("data", image)
    back = t.deprocess("data", out)
    return [str(out.dtype), values(out), str(back.dtype), values(back), values(image)]


@program
def preprocess_resizes(caffe):
    """`preprocess` brings an image of another size to the input's."""
    t = transformer(caffe)
    t.set_transpose("data", (2, 0, 1))
    return values(t.preprocess("data", np.linspace(0, 1, 7 * 5 * 3).reshape(7, 5, 3)))


@program
def arrays_and_messages(caffe):
    """Arrays to BlobProto and Datum and back."""
    io = caffe.io
    blob = io.array_to_blobproto(np.arange(6.0).reshape(1, 1, 2, 3), np.ones((1, 1, 2, 3)))
    datum = io.array_to_datum(np.arange(6, dtype=np.float64).reshape(1, 2, 3), 4)
    parts = io.blobprotovector_str_to_arraylist(io.arraylist_to_blobprotovector_str([np.ones(2)]))
    return [values(io.blobproto_to_array(blob)), values(io.blobproto_to_array(blob, True)),
            values(io.datum_to_array(datum)), datum.label, [values(p) for p in parts]]  # fmt: skip


@program
def crops(caffe):
    """`oversample`: corners, centre, and the same mirrored, of images of any size."""
    images = [np.arange(5 * 6 * 1.0).reshape(5, 6, 1), np.ones((5, 6, 1))]
    return values(caffe.io.oversample(images, (2, 3)))


@program
def classified(caffe):
    """`Classifier.predict`, by ten crops and by the centre."""
    text = INPUT.replace("dim: 1 dim: 2", "dim: 2 dim: 3 dim: 4 dim: 4") + (
        'layer { name: "p" type: "Pooling" bottom: "data" top: "p" '
        "pooling_param { pool: AVE global_pooling: true } }\n"
        'layer { name: "s" type: "Softmax" bottom: "p" top: "s" }'
    )
    build(caffe, text)
    stored(caffe, ("none", ONES))
    net = caffe.Classifier(
        "net.prototxt", "w.caffemodel", image_dims=(6, 7), mean=np.array([0.1, 0.2, 0.3]),
        raw_scale=3, channel_swap=(2, 1, 0), input_scale=0.5,
    )  # fmt: skip
    images = [np.linspace(0, 1, 9 * 8 * 3).reshape(9, 8, 3) ** 2, np.full((5, 5, 3), 0.25)]
    return [values(net.predict(images).reshape(2, -1)),
            values(net.predict(images, oversample=False).reshape(2, -1))]  # fmt: skip
