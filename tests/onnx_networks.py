"""Networks of torch and the ONNX files that torch itself writes of them."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F


class Pools(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.grouped, self.slope = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4), nn.PReLU(8)
        self.up, self.last = nn.ConvTranspose2d(8, 8, 3, 2, 1, 1), nn.Linear(8, 10)
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = self.slope(self.grouped(F.relu6(self.norm(self.first(x)))))
        x = F.avg_pool2d(F.max_pool2d(x, 3, 2, 1), 3, 2, 1, count_include_pad=False)
        x = F.silu(self.up(x))
        return self.last(F.gelu(F.adaptive_avg_pool2d(x, 1).flatten(1) + x.amax((2, 3))))


class Attention(nn.Module):
    """A block of a transformer over tokens."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 16), nn.Linear(16, 5)
        self.lift = nn.Linear(6, 16)
        self.block = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")

    def forward(self, x):
        places = torch.arange(x.shape[1])
        return self.head(self.block(self.lift(x) + self.embed(places)).mean(1))


class SmallUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(12, 2, 3)
        self.group, self.instance = nn.GroupNorm(2, 8), nn.InstanceNorm2d(4, affine=True)

    def forward(self, x):
        a = F.leaky_relu(self.instance(self.a(x)))
        b = F.hardswish(self.group(self.b(F.max_pool2d(a, 2))))
        up = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
        up = up + F.interpolate(b, size=a.shape[2:], mode="nearest")
        return self.c(F.pad(torch.cat([a, up], 1), (1, 1, 1, 1), mode="reflect"))


class Memory(nn.Module):
    """Both kinds of recurrent layer over a series (time, channels), read in both directions."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.LSTM(3, 5, 2, batch_first=True, bidirectional=True), nn.GRU(10, 4, batch_first=True)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.two(self.one(x)[0])[0][:, -1])


def perceptron():
    layers = [nn.Linear(4, 8), nn.ELU(), nn.LayerNorm(8), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3), nn.LogSoftmax(1)]
    return nn.Sequential(*layers)


NETWORKS = {
    "pools": (Pools, (3, 33, 33)),
    "attention": (Attention, (7, 6)),
    "unet": (SmallUNet, (1, 16, 16)),
    "memory": (Memory, (9, 3)),
    "perceptron": (perceptron, (4,)),
}


def made(name, seed=0):
    """A network in eval mode, and the shape of a sample."""
    factory, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return factory().eval(), shape


def write(network, shape, path, *, batch=2, free=True, opset=17, dynamo=False):
    """The file that torch writes; with a free batch size, or that of the example."""
    x = torch.rand(batch, *shape)
    options = {"dynamo": dynamo, "verbose": False}
    if dynamo:
        options |= {"dynamic_shapes": ({0: torch.export.Dim("n")},)} if free else {}
    else:
        options |= {"opset_version": opset, "input_names": ["x"]} | ({"dynamic_axes": {"x": {0: "n"}}} if free else {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x,), str(path), **options)
    return path
