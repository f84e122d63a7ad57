"""NetSpec, layers and params as pycaffe's, and coord_map's maps and crops."""

import copy
from operator import attrgetter

import numpy as np
import pytest

import torchcaffe as caffe
from tests.nets.build import read
from tests.nets.make import googlenet
from torchcaffe import layers as L
from torchcaffe import params as P
from torchcaffe.coord_map import (
    AxisMismatchException,
    UndefinedMapException,
    compose,
    coord_map,
    coord_map_from_to,
    crop,
    inverse,
)
from torchcaffe.net_spec import Function, Top, assign_proto, param_name_dict
from torchcaffe.proto.caffe_pb2 import ConvolutionParameter, LayerParameter, PoolingParameter


def data(*shape):
    return L.Input(shape={"dim": list(shape)})


def small():
    n = caffe.NetSpec()
    n.data, n.label = L.DummyData(
        shape=[{"dim": [4, 1, 12, 12]}, {"dim": [4]}], transform_param={"scale": 0.5}, ntop=2
    )
    n.conv = L.Convolution(
        n.data, num_output=3, kernel_size=5, weight_filler={"type": "xavier"}, name="first"
    )
    n.pool = L.Pooling(n.conv, kernel_size=2, stride=2, pool=P.Pooling.AVE)
    n.relu = L.ReLU(n.pool, in_place=True)
    n.ip = L.InnerProduct(n.relu, num_output=5, param=[{"lr_mult": 1}, {"lr_mult": 2}])
    n.loss = L.SoftmaxWithLoss(n.ip, n.label, loss_weight=3)
    return n


# ---------------------------------------------------------------- text


def test_text_of_googlenet_is_a_net(tmp_path):
    path = tmp_path / "googlenet.prototxt"
    path.write_text(str(googlenet()), encoding="utf-8")
    net = caffe.Net(path, caffe.TEST)
    assert net.outputs == ["prob"] and net.blobs["prob"].shape == (1, 1000)
    assert [layer.name for layer in googlenet().layer] == [
        layer.name for layer in read("googlenet").layer
    ]


def test_layers_by_name_with_their_settings():
    proto = small().to_proto()
    by_name = {layer.name: layer for layer in proto.layer}
    assert list(by_name) == ["data", "first", "pool", "relu", "ip", "loss"]
    assert list(by_name["data"].top) == ["data", "label"]
    assert by_name["data"].transform_param.scale == 0.5
    assert [list(s.dim) for s in by_name["data"].dummy_data_param.shape] == [[4, 1, 12, 12], [4]]
    assert list(by_name["first"].top) == ["conv"]
    assert by_name["first"].convolution_param == ConvolutionParameter(
        num_output=3, kernel_size=[5], weight_filler={"type": "xavier"}
    )
    assert by_name["pool"].pooling_param.pool == PoolingParameter.AVE
    assert [spec.lr_mult for spec in by_name["ip"].param] == [1, 2]
    assert list(by_name["loss"].loss_weight) == [3]


def test_in_place_layers_keep_their_own_name():
    relu = small().to_proto().layer[3]
    assert (relu.name, list(relu.bottom), list(relu.top)) == ("relu", ["pool"], ["pool"])
    assert list(small().to_proto().layer[4].bottom) == ["pool"]


def test_net_runs():
    net = caffe.Net.from_param(small().to_proto())
    assert net.blob_loss_weights["loss"] == 3
    assert net.forward()["loss"].shape == ()


def test_made_up_names_count_by_type():
    a, b = L.DummyData(shape=[{"dim": [2, 3]}, {"dim": [2, 3]}], ntop=2)
    joined = L.Eltwise(L.ReLU(a), L.ReLU(b))
    proto = caffe.to_proto(joined, L.Power(joined, power=2))
    assert [layer.name for layer in proto.layer] == [
        "DummyData1", "ReLU1", "ReLU2", "Eltwise1", "Power1",
    ]  # fmt: skip
    assert list(proto.layer[0].top) == ["DummyData1", "DummyData2"]
    assert list(proto.layer[3].bottom) == ["ReLU1", "ReLU2"]
    assert joined.to_proto() == caffe.to_proto(joined)
    assert caffe.Net.from_param(proto).outputs == ["Power1"]


def test_layers_without_and_with_several_tops():
    silence = L.Silence(data(1), ntop=0)
    assert isinstance(silence, Function)
    assert isinstance(data(1), Top)
    tops = L.Slice(data(1, 4), ntop=4)
    assert [top.n for top in tops] == [0, 1, 2, 3] and len({top.fn for top in tops}) == 1
    n = caffe.NetSpec()
    n.a, n.b = L.DummyData(shape={"dim": 3}, ntop=2)
    n.quiet = L.Silence(n.a, ntop=0)
    n.also = L.Silence(n.b, ntop=0)
    assert [layer.name for layer in n.to_proto().layer] == ["a", "quiet", "also"]
    assert caffe.Net.from_param(n.to_proto()).forward() == {}


def test_nets_deeper_than_the_stack():
    top = data(1, 2)
    for _ in range(3000):
        top = L.Power(top, shift=1.0)
    assert len(top.to_proto().layer) == 3001


# ---------------------------------------------------------------- names and values


def test_type_names_and_their_settings():
    names = param_name_dict()
    assert names["Convolution"] == "convolution"
    assert names["InnerProduct"] == "inner_product"
    assert names["HDF5Data"] == "hdf5_data"
    assert names["Recurrent"] == "recurrent"


@pytest.mark.parametrize("kind", sorted(caffe.LAYERS))
def test_every_layer_type_is_an_attribute(kind):
    assert getattr(L, kind)(ntop=0).type_name == kind
    assert getattr(caffe.net_spec.layers, kind)(ntop=0).type_name == kind


def test_types_that_nobody_registered_and_other_names():
    assert L.SomebodysOwn(data(1)).fn.type_name == "SomebodysOwn"
    with pytest.raises(AttributeError):
        attrgetter("convolutoin")(L)


def test_constants():
    assert P.Pooling.MAX == 0 and P.Eltwise.SUM == 1
    assert P.Data.LMDB == 1
    with pytest.raises(AttributeError, match="NothingParameter"):
        attrgetter("Nothing.MAX")(P)


def test_values_of_all_forms():
    layer = LayerParameter()
    assign_proto(layer, "name", "x")
    assign_proto(layer, "bottom", ["a", "b"])
    assign_proto(layer, "top", "one")
    assign_proto(layer, "param", ({"lr_mult": 1}, {"lr_mult": 0, "name": "shared"}))
    assign_proto(layer, "convolution_param", {"kernel_size": np.array([3, 5]), "pad": np.int64(1)})
    assign_proto(layer, "relu_param", {})
    assert list(layer.bottom) == ["a", "b"] and list(layer.top) == ["one"]
    assert layer.param[1].name == "shared" and layer.param[1].lr_mult == 0
    assert list(layer.convolution_param.kernel_size) == [3, 5]
    assert list(layer.convolution_param.pad) == [1]
    assert layer.HasField("relu_param")


@pytest.mark.parametrize(
    "make, kind, sentence",
    [
        (lambda: L.Convolution(data(1), numoutput=1), AttributeError, "near are num_output"),
        (lambda: L.Convolution(data(1), weight_filler={"typ": "x"}), AttributeError, "near.*type"),
        (lambda: L.Deconvolution(data(1), num_output=1), AttributeError, "xyz_param"),
        (lambda: L.Convolution(data(1), num_output="many"), TypeError, "num_output can't be"),
        (lambda: L.Convolution(data(1), num_output=-1), TypeError, "can't be -1"),
        (lambda: L.Slice(data(1), ntop=2), TypeError, "n.a, n.b = "),
        (lambda: 3, TypeError, "NetSpec.x is a int"),
    ],
)
def test_mistakes_get_a_sentence(make, kind, sentence):
    n = caffe.NetSpec()
    n.x = make()
    with pytest.raises(kind, match=sentence) as caught:
        n.to_proto()
    assert isinstance(caught.value, caffe.CaffeError)


def test_inputs_must_be_tops():
    pair = L.DummyData(ntop=2)
    sentence = r"^Silence input 0 is not a Top \(type is <class 'tuple'>\)$"
    with pytest.raises(TypeError, match=sentence):
        L.Silence(pair, ntop=0)
    L.Silence(*pair, ntop=0)


def test_tops_by_attribute_and_by_item():
    n = small()
    assert n["conv"] is n.conv
    n["odd/name"] = L.ReLU(n.pool)
    assert list(n.tops)[-1] == "odd/name"
    del n["odd/name"]
    del n.loss
    assert "loss" not in n.tops and not hasattr(n, "loss")
    with pytest.raises(KeyError, match="no top 'loss'; its tops: data"):
        n["loss"]
    assert copy.copy(n).tops is n.tops


# ---------------------------------------------------------------- coordinates


def up_and_down(kernel=3, stride=1, pad=0, pool=2, factor=2, cut=0):
    n = caffe.NetSpec()
    n.data = data(2, 1, 100, 100)
    n.conv = L.Convolution(n.data, num_output=2, kernel_size=kernel, stride=stride, pad=pad)
    n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=pool, stride=pool)
    n.up = L.Deconvolution(
        n.pool,
        convolution_param={
            "num_output": 2, "kernel_size": 2 * factor, "stride": factor, "pad": cut,
        },
    )  # fmt: skip
    return n


def test_maps_by_hand():
    # output x of a convolution sits over input 2x - 3 + (5 - 1) / 2 = 2x - 1
    fn = L.Convolution(data(1), kernel_size=5, stride=2, pad=3).fn
    assert inverse(coord_map(fn)) == (1, 2, -1)
    fn = L.Convolution(data(1), kernel_size=3, dilation=4).fn
    assert inverse(coord_map(fn)) == (1, 1, 4)
    assert coord_map(L.ReLU(data(1)).fn) == (None, 1, 0)
    assert coord_map(L.Crop(data(1), data(1), axis=2, offset=7).fn) == (1, 1, -7)
    assert compose((1, 2, 3), (None, 5, 7)) == (1, 10, 17)


@pytest.mark.parametrize(
    "settings, shift", [({}, 0), ({"pool": 4, "factor": 4}, -1), ({"pad": 6}, -6), ({"cut": 3}, 3)]
)
def test_map_of_what_is_pooled_and_upsampled(settings, shift):
    n = up_and_down(**settings)
    n.relu = L.ReLU(n.up)
    for top in (n.up, n.relu):
        assert coord_map_from_to(top, n.data) == (1, 1, shift)
    n.cut = L.Crop(n.up, n.data, axis=2, offset=4)
    assert coord_map_from_to(n.cut, n.data) == (1, 1, shift + 4)


def test_maps_along_rows_and_columns():
    n = up_and_down(kernel=[3, 5], stride=[1, 2], pad=[0, 10])
    _, scale, shift = coord_map_from_to(n.conv, n.data)
    assert scale.tolist() == [1, 2] and shift.tolist() == [1, -8]


def test_crop_aligns_blobs():
    n = up_and_down(pad=9, kernel=5)
    n.cut = crop(n.up, n.data)
    assert n.to_proto().layer[-1].crop_param.offset == [8]
    net = caffe.Net.from_param(n.to_proto())
    assert net.blobs["cut"].shape == (2, 2, 100, 100)
    # the unit in the middle of the crop sees the pixels around its own place
    region = caffe.regions.receptive_field(net, "cut", 51, 51)
    assert abs(sum(region.rows) / 2 - 51) <= 2


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"pool": 3}, "scale mismatch"),
        ({"cut": 10}, "negative"),
        ({"kernel": 4, "pad": 1}, "noninteger"),
    ],
)
def test_impossible_crops(settings, sentence):
    n = up_and_down(**settings)
    with pytest.raises(AssertionError, match=sentence):
        crop(n.up, n.data)


def test_tops_that_are_not_connected():
    n = up_and_down()
    n.ip = L.InnerProduct(n.up, num_output=10)
    with pytest.raises(RuntimeError, match="not connected"):
        coord_map_from_to(n.ip, n.data)
    with pytest.raises(UndefinedMapException, match="InnerProduct"):
        coord_map(n.ip.fn)
    n.other = L.Convolution(n.data, kernel_size=3, axis=2)
    n.odd = L.Eltwise(L.Convolution(n.other, kernel_size=3, axis=1), n.data)
    with pytest.raises(AxisMismatchException):
        coord_map_from_to(n.odd, n.other)
    with pytest.raises(AssertionError, match="kernel_h"):
        coord_map(L.Convolution(n.data, kernel_h=3, kernel_w=3).fn)
