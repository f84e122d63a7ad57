"""The definitions and the Python layers that the programs use."""

INPUT = """force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
"""
CHAIN = (
    INPUT
    + """
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
"""
)
DIAMOND = (
    INPUT
    + """
layer { name: "left" type: "Power" bottom: "data" top: "left"
  power_param { scale: 2 shift: 1 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "right"
  inner_product_param { num_output: 2 weight_filler { type: "constant" value: 0.5 } } }
layer { name: "join" type: "Concat" bottom: "left" bottom: "right" top: "join" }
"""
)
TWO_INPUTS = """
layer { name: "z" type: "Input" top: "z" top: "b" input_param {
  shape { dim: 1 dim: 2 dim: 3 dim: 4 } shape { dim: 5 } } }
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "zz" type: "Power" bottom: "z" top: "zz" }
layer { name: "last" type: "Power" bottom: "b" top: "aa" }
layer { name: "third" type: "Power" bottom: "a" top: "m" loss_weight: 2 }
layer { name: "fourth" type: "Power" bottom: "a" top: "c" }
"""
LOSS = (
    INPUT
    + """
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 dim: 1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss" }
"""
)
SHARED = (
    INPUT
    + """
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" }
  inner_product_param { num_output: 2 bias_term: false
    weight_filler { type: "constant" value: 0.5 } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "out" param { name: "w" }
  inner_product_param { num_output: 2 bias_term: false
    weight_filler { type: "constant" value: 0.25 } } }
"""
)
USER = """
import caffe
import numpy as np


class Double(caffe.Layer):
    def setup(self, bottom, top):
        self.passes = 0

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        self.passes += 1
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 2 * top[0].diff


class Counts(caffe.Layer):
    def setup(self, bottom, top):
        self.built = self.shaped = self.ran = 0

    def reshape(self, bottom, top):
        self.shaped += 1
        top[0].reshape(2)
        top[0].data[...] = (self.shaped, self.ran)

    def forward(self, bottom, top):
        self.ran += 1
        top[0].data[1] = self.ran

    def backward(self, top, propagate_down, bottom):
        pass


class Feed(caffe.Layer):
    def setup(self, bottom, top):
        self.next = 1

    def reshape(self, bottom, top):
        self.picture = np.full((1, self.next), 10 * self.next)
        top[0].reshape(*self.picture.shape)
        self.next += 1

    def forward(self, bottom, top):
        top[0].data[...] = self.picture

    def backward(self, top, propagate_down, bottom):
        pass


class Late(Double):
    def reshape(self, bottom, top):
        top[0].reshape(1, 1)

    def forward(self, bottom, top):
        self.passes += 1
        top[0].reshape(self.passes, 1)
        top[0].data[...] = self.passes


class InPlace(Double):
    def forward(self, bottom, top):
        bottom[0].data[0, 1] = 8
        top[0].data[0, 0] = 7


class Looks(Double):
    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.blob = bottom[0]


class Down(caffe.Layer):
    def setup(self, bottom, top):
        self.seen = []

    def reshape(self, bottom, top):
        top[0].reshape(1, 2)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        self.seen = [bool(down) for down in propagate_down]


class Learns(Double):
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs.add_blob(2, 1)
        self.blobs[0].data[...] = 3

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data


class Fails(Double):
    def forward(self, bottom, top):
        raise IndexError("beyond the end")


class FailsAtOnce(Double):
    def setup(self, bottom, top):
        raise KeyError("no such file")


class WritesEarly(Double):
    def reshape(self, bottom, top):
        top[0].reshape(1, 3)
        top[0].data[...] = [[1, 2, 3]]

    def forward(self, bottom, top):
        top[0].data[0, 1] = 9
"""
