"""Write the prototxts of this folder: `python -m tests.nets.make`.

Each function returns one net, built with NetSpec; a test checks that the files are these.
"""

from pathlib import Path

from google.protobuf import text_format

import torchcaffe as caffe
from torchcaffe import layers as L
from torchcaffe import params as P
from torchcaffe.coord_map import crop

FOLDER = Path(__file__).parent
MSRA = {"type": "msra"}
XAVIER = {"type": "xavier"}
NETS = {}


def net(function):
    NETS[function.__name__] = function
    return function


def data(*shape):
    return L.Input(shape={"dim": list(shape)})


def conv(bottom, outputs, kernel, **settings):
    return L.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, weight_filler=MSRA, **settings
    )


def fc(bottom, outputs, **settings):
    return L.InnerProduct(bottom, num_output=outputs, weight_filler=XAVIER, **settings)


def pool(bottom, kernel, stride, method=P.Pooling.MAX, **settings):
    return L.Pooling(bottom, pool=method, kernel_size=kernel, stride=stride, **settings)


def relu(bottom):
    return L.ReLU(bottom, in_place=True)


@net
def vgg16():
    """VGG-16 (Simonyan and Zisserman 2014, configuration D)."""
    n = caffe.NetSpec()
    n.data = x = data(1, 3, 224, 224)
    for block, (count, width) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for i in range(1, count + 1):
            n[f"conv{block}_{i}"] = x = conv(x, width, 3, pad=1)
            n[f"relu{block}_{i}"] = x = relu(x)
        n[f"pool{block}"] = x = pool(x, 2, 2)
    for i in (6, 7):
        n[f"fc{i}"] = x = fc(x, 4096)
        n[f"relu{i}"] = x = relu(x)
        n[f"drop{i}"] = x = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    n.fc8 = fc(x, 1000)
    n.prob = L.Softmax(n.fc8)
    return n.to_proto()


def inception(n, name, x, widths):
    """Four branches joined along the channels (Szegedy et al. 2014, figure 2b)."""
    one, three_reduce, three, five_reduce, five, projection = widths

    def step(branch, bottom, outputs, kernel, pad=0):
        n[f"inception_{name}/{branch}"] = conv(bottom, outputs, kernel, pad=pad)
        n[f"inception_{name}/relu_{branch}"] = top = relu(n[f"inception_{name}/{branch}"])
        return top

    branches = [step("1x1", x, one, 1)]
    branches.append(step("3x3", step("3x3_reduce", x, three_reduce, 1), three, 3, 1))
    branches.append(step("5x5", step("5x5_reduce", x, five_reduce, 1), five, 5, 2))
    n[f"inception_{name}/pool"] = pool(x, 3, 1, pad=1)
    branches.append(step("pool_proj", n[f"inception_{name}/pool"], projection, 1))
    n[f"inception_{name}/output"] = L.Concat(*branches)
    return n[f"inception_{name}/output"]


INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@net
def googlenet():
    """GoogLeNet (Szegedy et al. 2014) without its auxiliary classifiers."""
    n = caffe.NetSpec()
    norm = {"local_size": 5, "alpha": 0.0001, "beta": 0.75}
    n.data = data(1, 3, 224, 224)
    n["conv1/7x7_s2"] = conv(n.data, 64, 7, stride=2, pad=3)
    n["conv1/relu_7x7"] = relu(n["conv1/7x7_s2"])
    n["pool1/3x3_s2"] = pool(n["conv1/relu_7x7"], 3, 2)
    n["pool1/norm1"] = L.LRN(n["pool1/3x3_s2"], **norm)
    n["conv2/3x3_reduce"] = conv(n["pool1/norm1"], 64, 1)
    n["conv2/relu_3x3_reduce"] = relu(n["conv2/3x3_reduce"])
    n["conv2/3x3"] = conv(n["conv2/relu_3x3_reduce"], 192, 3, pad=1)
    n["conv2/relu_3x3"] = relu(n["conv2/3x3"])
    n["conv2/norm2"] = L.LRN(n["conv2/relu_3x3"], **norm)
    n["pool2/3x3_s2"] = x = pool(n["conv2/norm2"], 3, 2)
    for name, widths in INCEPTIONS.items():
        x = inception(n, name, x, widths)
        if name in ("3b", "4e"):
            n[f"pool{name[0]}/3x3_s2"] = x = pool(x, 3, 2)
    n["pool5/7x7_s1"] = pool(x, 7, 1, P.Pooling.AVE)
    n["pool5/drop_7x7_s1"] = L.Dropout(n["pool5/7x7_s1"], dropout_ratio=0.4, in_place=True)
    n["loss3/classifier"] = fc(n["pool5/drop_7x7_s1"], 1000)
    n.prob = L.Softmax(n["loss3/classifier"])
    return n.to_proto()


def conv_bn(n, name, x, outputs, kernel, *, stride=1, pad=0, prefix="", active=True):
    """Convolution, BatchNorm and Scale (and ReLU), the latter in place, as ResNet names them."""
    here = prefix + name
    bn = name if prefix == "res" else f"_{name}"
    n[here] = conv(x, outputs, kernel, stride=stride, pad=pad, bias_term=False)
    n[f"bn{bn}"] = L.BatchNorm(n[here], use_global_stats=True, in_place=True)
    n[f"scale{bn}"] = x = L.Scale(n[f"bn{bn}"], bias_term=True, in_place=True)
    if active:
        n[f"{here}_relu"] = x = relu(x)
    return x


def bottleneck(n, name, x, width, stride, *, project):
    shortcut = x
    if project:
        shortcut = conv_bn(
            n, f"{name}_branch1", x, 4 * width, 1, stride=stride, prefix="res", active=False
        )
    x = conv_bn(n, f"{name}_branch2a", x, width, 1, stride=stride, prefix="res")
    x = conv_bn(n, f"{name}_branch2b", x, width, 3, pad=1, prefix="res")
    x = conv_bn(n, f"{name}_branch2c", x, 4 * width, 1, prefix="res", active=False)
    n[f"res{name}"] = L.Eltwise(shortcut, x)
    n[f"res{name}_relu"] = relu(n[f"res{name}"])
    return n[f"res{name}_relu"]


@net
def resnet50():
    """ResNet-50 (He et al. 2015)."""
    n = caffe.NetSpec()
    n.data = data(1, 3, 224, 224)
    x = conv_bn(n, "conv1", n.data, 64, 7, stride=2, pad=3)
    n.pool1 = x = pool(x, 3, 2)
    for stage, (count, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], 2):
        for i in range(count):
            stride = 2 if i == 0 and stage > 2 else 1
            x = bottleneck(n, f"{stage}{'abcdef'[i]}", x, width, stride, project=i == 0)
    n.pool5 = pool(x, 7, 1, P.Pooling.AVE)
    n.fc1000 = fc(n.pool5, 1000)
    n.prob = L.Softmax(n.fc1000)
    return n.to_proto()


@net
def lenet():
    """LeNet for digits (LeCun et al. 1998, in the form of Caffe's first example): one channel."""
    n = caffe.NetSpec()
    n.data = data(2, 1, 28, 28)
    n.conv1 = conv(n.data, 20, 5)
    n.pool1 = pool(n.conv1, 2, 2)
    n.conv2 = conv(n.pool1, 50, 5)
    n.pool2 = pool(n.conv2, 2, 2)
    n.ip1 = fc(n.pool2, 500)
    n.relu1 = relu(n.ip1)
    n.ip2 = fc(n.relu1, 10)
    n.prob = L.Softmax(n.ip2)
    return n.to_proto()


def shared(layer):
    """Names under which both towers share weights and bias."""
    return [{"name": f"{layer}_w"}, {"name": f"{layer}_b"}]


@net
def siamese():
    """Two towers with the same weights and a contrastive loss (Hadsell et al. 2006)."""
    n = caffe.NetSpec()
    n.pair, n.similar = data(2, 2, 28, 28), data(2, 1)
    n.left, n.right = L.Slice(n.pair, slice_point=1, ntop=2)
    for side, end in (("left", ""), ("right", "_p")):
        n[f"conv1{end}"] = conv(n[side], 20, 5, param=shared("conv1"))
        n[f"pool1{end}"] = pool(n[f"conv1{end}"], 2, 2)
        n[f"conv2{end}"] = conv(n[f"pool1{end}"], 50, 5, param=shared("conv2"))
        n[f"pool2{end}"] = pool(n[f"conv2{end}"], 2, 2)
        n[f"ip1{end}"] = fc(n[f"pool2{end}"], 100, param=shared("ip1"))
        n[f"relu1{end}"] = relu(n[f"ip1{end}"])
        n[f"feat{end}"] = fc(n[f"relu1{end}"], 2, param=shared("feat"))
    n.loss = L.ContrastiveLoss(n.feat, n.feat_p, n.similar, margin=1.0)
    return n.to_proto()


def upsample(bottom, channels, factor):
    settings = {
        "num_output": channels, "kernel_size": 2 * factor, "stride": factor,
        "bias_term": False, "weight_filler": {"type": "bilinear"}, "group": channels,
    }  # fmt: skip
    return L.Deconvolution(bottom, convolution_param=settings)


@net
def fcn():
    """A small fully convolutional net with a skip (Long et al. 2015): its Crops align blobs."""
    n = caffe.NetSpec()
    n.data = data(1, 3, 48, 56)
    n.conv1 = conv(n.data, 8, 3, pad=20)
    n.relu1 = relu(n.conv1)
    n.pool1 = pool(n.relu1, 2, 2)
    n.conv2 = conv(n.pool1, 12, 3, pad=1)
    n.relu2 = relu(n.conv2)
    n.pool2 = pool(n.relu2, 2, 2)
    n.conv3 = conv(n.pool2, 16, 3, pad=2, dilation=2)
    n.relu3 = relu(n.conv3)
    n.pool3 = pool(n.relu3, 2, 2)
    n.fc6 = conv(n.pool3, 24, 5)
    n.relu6 = relu(n.fc6)
    n.score = conv(n.relu6, 5, 1)
    n.upscore2 = upsample(n.score, 5, 2)
    n.score_pool2 = conv(n.pool2, 5, 1)
    n.score_pool2c = crop(n.score_pool2, n.upscore2)
    n.fuse = L.Eltwise(n.upscore2, n.score_pool2c)
    n.upscore = upsample(n.fuse, 5, 4)
    n.upscorec = crop(n.upscore, n.data)
    n.prob = L.Softmax(n.upscorec)
    return n.to_proto()


def ssd_source(n, name, bottom, boxes, **prior):
    """One source of boxes: locations, confidences (both per position) and default boxes."""
    for kind, outputs in (("loc", 4 * boxes), ("conf", 6 * boxes)):
        here = f"{name}_mbox_{kind}"
        n[here] = conv(bottom, outputs, 3, pad=1)
        n[f"{here}_perm"] = L.Permute(n[here], order=[0, 2, 3, 1])
        n[f"{here}_flat"] = L.Flatten(n[f"{here}_perm"], axis=1)
    n[f"{name}_mbox_priorbox"] = L.PriorBox(
        bottom, n.data, prior_box_param={"variance": [0.1, 0.1, 0.2, 0.2], **prior}
    )


@net
def ssd():
    """A head of SSD (Liu et al. 2016) on a small trunk, with five classes and background."""
    n = caffe.NetSpec()
    n.data = data(1, 3, 64, 64)
    n.conv1 = conv(n.data, 8, 3, pad=1, stride=2)
    n.relu1 = relu(n.conv1)
    n.pool1 = pool(n.relu1, 3, 2)
    n.conv4 = conv(n.pool1, 16, 3, pad=1)
    n.relu4 = relu(n.conv4)
    scale = {"type": "constant", "value": 20.0}
    n.conv4_norm = L.Normalize(
        n.relu4, across_spatial=False, channel_shared=False, scale_filler=scale
    )
    n.conv6 = conv(n.relu4, 24, 3, pad=1, stride=2)
    n.relu6 = relu(n.conv6)
    small = {"min_size": 12.0, "max_size": 24.0, "aspect_ratio": 2.0, "clip": False}
    ssd_source(n, "conv4_norm", n.conv4_norm, 4, **small)
    ssd_source(n, "conv6", n.relu6, 2, min_size=24.0, max_size=44.0, step=8.0, clip=True)
    for kind, axis in (("loc", 1), ("conf", 1), ("priorbox", 2)):
        end = "" if kind == "priorbox" else "_flat"
        parts = [n[f"{name}_mbox_{kind}{end}"] for name in ("conv4_norm", "conv6")]
        n[f"mbox_{kind}"] = L.Concat(*parts, axis=axis)
    n.mbox_conf_reshape = L.Reshape(n.mbox_conf, shape={"dim": [0, -1, 6]})
    n.mbox_conf_softmax = L.Softmax(n.mbox_conf_reshape, axis=2)
    n.mbox_conf_flatten = L.Flatten(n.mbox_conf_softmax, axis=1)
    return n.to_proto()


def text(function):
    """Return a net's prototxt, a line for each layer."""
    lines = [f"# {function.__doc__}", f'name: "{function.__name__}"']
    for layer in function().layer:
        lines.append(f"layer {{ {text_format.MessageToString(layer, as_one_line=True).strip()} }}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, function in NETS.items():
        (FOLDER / f"{name}.prototxt").write_text(text(function), encoding="utf-8")
