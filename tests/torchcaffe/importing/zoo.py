"""Small nets of many kinds in plain PyTorch, with random weights and statistics."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ZOO: dict[str, Callable[[], nn.Module]] = {}
SIZE = 32


def net(cls):
    ZOO[cls.__name__] = cls
    return cls


def make(name: str, seed: int = 0) -> nn.Module:
    """Return a net in testing mode, its statistics and parameters away from their defaults."""
    torch.manual_seed(seed)
    module = ZOO[name]()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, 0, 0.3)
        if isinstance(part, nn.LayerNorm | nn.GroupNorm):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.3)
    return module.eval()


@net
class Plain(nn.Module):
    """AlexNet's kind: poolings that overlap, dropout, a named flatten."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(8, 12, 3, padding="same"), nn.ReLU(), nn.AvgPool2d(3, 2, padding=1),
            nn.AdaptiveAvgPool2d((2, 2)),
        )  # fmt: skip
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(48, 10), nn.Softmax(dim=1))

    def forward(self, x):
        return self.classifier(self.flatten(self.features(x)))


class BasicBlock(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.down = None
        if stride > 1:
            self.down = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.down is None else self.down(x)
        return self.relu(y)


@net
class Residual(nn.Module):
    """ResNet-18's kind: one in-place ReLU called twice a block, += on the branch."""

    def __init__(self, widths=(8, 12, 16), classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(widths[0], widths[0], 1))
        self.layer2 = nn.Sequential(
            BasicBlock(widths[0], widths[1], 2), BasicBlock(widths[1], widths[1], 1)
        )
        self.layer3 = nn.Sequential(BasicBlock(widths[1], widths[2], 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[2], classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(self.avgpool(x), 1))


@net
class Bottleneck(nn.Module):
    """ResNeXt's kind: 1x1, grouped 3x3, 1x1; batch normalisation without parameters too."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.reduce = nn.Conv2d(16, 8, 1)
        self.bn1 = nn.BatchNorm2d(8)
        self.group = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.bn2 = nn.BatchNorm2d(8, affine=False)
        self.expand = nn.Conv2d(8, 16, 1)
        self.act = nn.LeakyReLU(0.1)
        self.fc = nn.Linear(16, 7)

    def forward(self, x):
        x = self.stem(x)
        y = torch.relu(self.bn1(self.reduce(x)))
        y = torch.relu(self.bn2(self.group(y)))
        x = self.act(x + 0.5 * self.expand(y))
        return self.fc(x.mean((2, 3)))


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, 4, 1)
        self.act = nn.SiLU(inplace=True)
        self.fc2 = nn.Conv2d(4, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(self.act(self.fc1(self.pool(x)))))


@net
class Mobile(nn.Module):
    """MobileNet's and EfficientNet's kind: uneven padding, depthwise, ReLU6, SE, hardswish."""

    def __init__(self):
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU6(inplace=True)
        )
        self.depth = nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.act = nn.ReLU6()
        self.se = SqueezeExcite(8)
        self.point = nn.Conv2d(8, 16, 1)
        self.swish = nn.Hardswish(inplace=True)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(self.pad(2 * x))
        x = x + self.se(self.act(self.bn(self.depth(x))))
        x = self.swish(self.point(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1))


@net
class Dense(nn.Module):
    """DenseNet's kind: every layer sees all before, batch normalisation in front."""

    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 8, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(8 + 4 * i) for i in range(3)])
        self.convs = nn.ModuleList([nn.Conv2d(8 + 4 * i, 4, 3, padding=1) for i in range(3)])
        self.pool = nn.AvgPool2d(2, 2)
        self.head = nn.Conv2d(20, 6, 1)

    def forward(self, x):
        found = [self.conv0(x)]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            found.append(conv(F.relu(norm(torch.cat(found, 1)), inplace=True)))
        return self.head(self.pool(torch.cat(found, 1))).amax((2, 3))


@net
class Inception(nn.Module):
    """GoogLeNet's kind: branches, poolings that round up, of odd sizes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.branch1 = nn.Conv2d(8, 4, 1)
        self.branch2 = nn.Sequential(
            nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, (1, 5), 1, (0, 2))
        )
        self.branch3 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), nn.Conv2d(8, 4, 1))
        self.last = nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False, padding=1)
        self.fc = nn.Linear(14 * 4 * 4, 9)

    def forward(self, x):
        x = self.pool(F.relu(self.stem(x)))
        x = torch.cat([self.branch1(x), self.branch2(x), self.branch3(x)], dim=1)
        x = self.last(F.relu(x))
        return F.log_softmax(self.fc(x.view(x.size(0), -1)), dim=-1)


@net
class Segmenter(nn.Module):
    """A fully convolutional net: dilated layers, a transposed one, scores a pixel."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, 2, 1)
        self.wide = nn.Conv2d(8, 8, 3, padding=4, dilation=4)
        self.prelu = nn.PReLU(8)
        self.up = nn.ConvTranspose2d(8, 6, 4, 2, 1)
        self.up2 = nn.ConvTranspose2d(6, 6, 3, 2, 1, output_padding=1, groups=2)
        self.score = nn.Conv2d(6, 3, 1)

    def forward(self, x):
        x = self.prelu(self.wide(F.elu(self.down(x))))
        return torch.softmax(self.score(torch.tanh(self.up2(F.relu(self.up(x))))), 1)


@net
class UNet(nn.Module):
    """Skips, nearest and bilinear interpolation, pixel shuffle, reflected borders."""

    def __init__(self):
        super().__init__()
        self.enc1 = nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect")
        self.enc2 = nn.Conv2d(6, 8, 3, padding=1)
        self.mid = nn.Conv2d(8, 16, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.dec2 = nn.Conv2d(12, 8, 3, padding=1)
        self.dec1 = nn.Conv2d(14, 4, 3, padding=1)

    def forward(self, x):
        one = F.relu(self.enc1(x))
        two = F.relu(self.enc2(F.max_pool2d(one, 2)))
        low = F.relu(self.mid(F.max_pool2d(two, 2)))
        y = torch.cat([two, self.shuffle(low)], 1)
        y = F.interpolate(F.relu(self.dec2(y)), scale_factor=2, mode="bilinear")
        y = torch.cat([y, F.interpolate(F.max_pool2d(one, 2), size=(SIZE, SIZE))], 1)
        return torch.sigmoid(self.dec1(y))


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depth = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.up = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.down = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.rand(channels))

    def forward(self, x):
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(self.act(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


@net
class ConvNeXt(nn.Module):
    """Layer normalisation and products over the last axis, GELU, a learned factor a channel."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 4, 4), LayerNorm2d(12))
        self.stage = nn.Sequential(ConvNeXtBlock(12), ConvNeXtBlock(12))
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 8)

    def forward(self, x):
        return self.head(self.norm(self.stage(self.stem(x)).mean([-2, -1])))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        parts = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(n, tokens, width))


@net
class ViT(nn.Module):
    """Patches as tokens with a class token, attention in two ways."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.cls = nn.Parameter(torch.randn(1, 1, 16))
        self.pos = nn.Parameter(torch.randn(1, 17, 16))
        self.norm1 = nn.LayerNorm(16)
        self.attn = Attention(16, 4)
        self.norm2 = nn.LayerNorm(16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(approximate="tanh"), nn.Linear(32, 16))
        self.multi = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 6)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.pos
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        x = x + self.multi(x, x, x, need_weights=False)[0]
        return self.head(x[:, 0])


@net
class Shared(nn.Module):
    """Modules used twice: one convolution, one normalisation, one ReLU."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.norm = nn.GroupNorm(2, 8)
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        x = self.stem(x)
        for _ in range(2):
            x = self.relu(self.bn(self.conv(x)))
        x = F.relu(self.norm(x)).flatten(2).mean(-1)
        return self.fc(F.relu(self.fc(x)))


@net
class Functional(nn.Module):
    """Nothing but functions and parameters."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.randn(8, 3, 3, 3) / 5)
        self.second = nn.Parameter(torch.randn(8, 4, 3, 3) / 6)
        self.scale = nn.Parameter(torch.rand(8))
        self.shift = nn.Parameter(torch.rand(8, 1, 1))
        self.register_buffer("order", torch.tensor([3, 1, 0, 2]))

    def forward(self, x):
        x = F.conv2d((x - 0.1) / 0.5, self.first, stride=2, padding=1)
        x = F.relu_(x * self.scale.view(1, -1, 1, 1) + self.shift)
        a, b = x.chunk(2, dim=1)
        y = F.conv2d(torch.maximum(a, b), self.second, padding=1)
        y = F.relu6(y[:, :, ::2, 1:-1]) - F.pad(y, (1, 1))[:, :, ::2, 2:-2]
        top = F.max_pool2d(F.relu(y), 2)[:, self.order]
        return torch.clamp(top, min=0).flatten(1), F.avg_pool2d(y, 2).reshape(len(x), -1)


@net
class Masked(nn.Module):
    """Swin's kind: a mask written part by part, a rolled picture, dropout in place."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.bias = nn.Parameter(torch.randn(8))
        self.scores = nn.Linear(8, 8)
        self.drop = nn.Dropout(0.2, inplace=True)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = torch.roll(self.stem(x), shifts=(-2, -2), dims=(2, 3)).flatten(2).transpose(1, 2)
        mask = x.new_zeros((64, 64))
        for i, part in enumerate((slice(0, 40), slice(40, None))):
            mask[part, part] = i + 1
        bias = self.bias.clone()
        bias[2:5].zero_()
        x = F.relu(self.scores(x) + bias)
        x = torch.softmax(x @ x.transpose(1, 2) / 8 + mask, -1) @ x
        return self.fc(self.drop(x.mean(1)))


@net
class Written(nn.Module):
    """Parts of tensors written in place, while others look at the same memory."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.pad = nn.ConstantPad2d((1, -1, 0, 2), 0.5)
        self.fc = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        x = self.stem(x)
        out = torch.zeros_like(x)  # temporal shift: channels moved by a row up and down
        out[:, :2, :-1] = x[:, :2, 1:]
        out[:, 2:4, 1:] = x[:, 2:4, :-1]
        out[:, 4:] = x[:, 4:]
        pairs = out.view(out.shape[0], 2, 4, *out.shape[2:])
        turned = out.permute(0, 2, 3, 1)
        second = pairs[:, 1].transpose(2, 3)
        second += 1
        pairs[:, 0, 2] *= 2
        out.unsqueeze(1)[:, 0, 1].zero_()
        turned[..., 7] = turned[..., 6]
        canvas = torch.ones(8)
        before = canvas * 2
        canvas[2:4] = out[:, :2].mean((0, 2, 3)) * 0 + 3
        before, canvas = before.view(8, 1, 1), canvas.view(8, 1, 1)
        y = F.relu_(self.pad(out * canvas + before))
        return torch.cat([self.fc(y).flatten(1), second.flatten(1), pairs.flatten(1)], 1)


@net
class Recurrent(nn.Module):
    """Rows of a picture read by an LSTM and a GRU in both directions."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, 4)
        self.lstm = nn.LSTM(32, 6, batch_first=True)
        self.gru = nn.GRU(6, 5, bidirectional=True)
        self.fc = nn.Linear(10, 3)

    def forward(self, x):
        rows, _ = self.lstm(torch.tanh(self.stem(x)).permute(0, 2, 1, 3).flatten(2))
        return self.fc(self.gru(rows.transpose(0, 1))[0][-1])


@net
class Rows(nn.Module):
    """Layers over one axis, einsum, an axis turned round."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.mix = nn.Parameter(torch.randn(8, 6))
        self.conv = nn.Conv1d(6, 4, 3)
        self.bn = nn.BatchNorm1d(4)
        self.pool = nn.MaxPool1d(2)
        self.mean = nn.AvgPool1d(3, 2)

    def forward(self, x):
        x = torch.einsum("bchw,cd->bdhw", self.stem(x), self.mix).flip(3).flatten(2)
        x = self.mean(self.pool(F.relu(self.bn(self.conv(x)))))
        return torch.cat([x.logsumexp(2), x.abs().sum(2)], 1)


def example(batch: int = 2, seed: int = 1) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(batch, 3, SIZE, SIZE)
