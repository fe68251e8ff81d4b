"""Networks that surgery must get right: each couples its channels in another way."""

import torch
from torch import nn
from torch.nn import functional as F

from deepwright.nets import cifar_resnet, mlp


def trained_like(model, seed=0):
    """Random statistics, scales and biases: initial ones (0, 1, 0) hide most mistakes."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(generator=rng)
                module.running_var.uniform_(0.5, 2, generator=rng)
            if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm):
                module.weight.uniform_(0.5, 1.5, generator=rng)
                module.bias.normal_(generator=rng)
            elif getattr(module, "bias", None) is not None and isinstance(module.bias, torch.Tensor):
                module.bias.normal_(generator=rng)
    return model.eval()


class SqueezeExcite(nn.Module):
    """An inverted residual with a depthwise convolution and squeeze-and-excitation."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.expand, self.n1 = nn.Conv2d(12, 24, 1, bias=False), nn.BatchNorm2d(24)
        self.depth, self.n2 = nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False), nn.BatchNorm2d(24)
        self.down, self.up = nn.Conv2d(24, 6, 1), nn.Conv2d(6, 24, 1)
        self.project, self.n3 = nn.Conv2d(24, 12, 1, bias=False), nn.BatchNorm2d(12)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.stem(x)
        h = F.silu(self.n1(self.expand(x)))
        h = F.silu(self.n2(self.depth(h)))
        gate = self.up(F.relu(self.down(F.adaptive_avg_pool2d(h, 1)))).sigmoid()
        x = x + self.n3(self.project(h * gate))
        return self.head(x.mean((2, 3)))


class Dense(nn.Module):
    """Concatenation, then two halves that are read off the new width."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(11, 8, 3, padding=1)
        self.c, self.n = nn.Conv2d(19, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        y = torch.cat([x, F.elu(self.a(x))], 1)
        y = torch.cat([y, F.softplus(self.b(y))], 1)
        u, v = self.n(self.c(y)).chunk(2, 1)
        return self.head((u * v.sigmoid() + v).mean((2, 3)))


class Grouped(nn.Module):
    """A convolution in four groups."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 24, 3, groups=4), nn.Conv2d(24, 8, 1)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(F.gelu(self.c(F.tanh(self.b(F.gelu(self.a(x)))))).amax((2, 3)))


class Multiplier(nn.Module):
    """A depthwise convolution with three outputs a channel."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv1d(2, 6, 3), nn.Conv1d(6, 18, 3, groups=6), nn.Conv1d(18, 4, 1)

    def forward(self, x):
        return self.c(F.relu(self.b(F.relu(self.a(x))))).mean(2)


class Flattened(nn.Module):
    """Maps flattened into a linear layer, a transposed convolution on the way."""

    def __init__(self):
        super().__init__()
        self.a, self.t, self.b = nn.Conv2d(1, 6, 3), nn.ConvTranspose2d(6, 5, 2, 2), nn.Conv2d(5, 4, 3, 2)
        self.fc, self.head = nn.Linear(4 * 36, 20), nn.Linear(20, 3)
        self.slope = nn.PReLU(6)

    def forward(self, x):
        y = F.max_pool2d(self.b(self.t(self.slope(self.a(x)))), 1)
        return self.head(F.relu(self.fc(y.flatten(1))))


class Branches(nn.Module):
    """Two branches with other strides that meet in a sum."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.a, self.b = nn.Conv2d(8, 12, 3, 2, 1), nn.Conv2d(8, 12, 1)
        self.head = nn.Conv2d(12, 3, 1)

    def forward(self, x):
        x = F.leaky_relu(self.stem(x))
        y = self.a(x) + F.avg_pool2d(self.b(x), 2)
        return self.head(F.interpolate(y, scale_factor=2, mode="nearest"))


class Attention(nn.Module):
    """Fused query, key and value; the number of heads is read off the width."""

    def __init__(self, width=24, head=6):
        super().__init__()
        self.d = head
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, -1, self.d).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(b, n, -1))


class Transformer(nn.Module):
    """Pre-norm blocks."""

    def __init__(self, width=24):
        super().__init__()
        self.embed, self.place = nn.Linear(4, width), nn.Parameter(torch.randn(1, 5, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention, self.up, self.down = Attention(width), nn.Linear(width, 40), nn.Linear(40, width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = self.embed(x) + self.place
        x = x + self.attention(self.norms[0](x))
        x = x + self.down(F.gelu(self.up(self.norms[1](x))))
        return self.head(self.norms[2](x)[:, 0])


class GroupedQueries(nn.Module):
    """Eight query heads on two key and value heads, attention written out."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = nn.Linear(16, 32), nn.Linear(16, 8), nn.Linear(16, 8), nn.Linear(32, 16)

    def forward(self, x):
        b, n, _ = x.shape
        q = self.q(x).view(b, n, -1, 4).transpose(1, 2)
        k = self.k(x).view(b, n, -1, 4).transpose(1, 2).repeat_interleave(4, 1)
        v = self.v(x).view(b, n, -1, 4).transpose(1, 2).repeat_interleave(4, 1)
        weights = (q @ k.transpose(-1, -2) / 2.0).softmax(-1)
        return self.o((weights @ v).transpose(1, 2).flatten(2))


class Tied(nn.Module):
    """One matrix embeds and un-embeds."""

    def __init__(self):
        super().__init__()
        self.embed, self.mix = nn.Embedding(11, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        x = self.embed(tokens)
        return self.head(x + torch.tanh(self.mix(x)))


class Shared(nn.Module):
    """One block used twice."""

    def __init__(self):
        super().__init__()
        self.stem, self.block, self.norm = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.stem(x)
        for _ in range(2):
            x = x + F.relu(self.norm(self.block(x)))
        return self.head(x.mean((2, 3)))


class Shuffle(nn.Module):
    """Channels dealt out over two groups."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 12, 1), nn.Conv2d(12, 12, 3, padding=1), nn.Linear(12, 3)

    def forward(self, x):
        y = F.relu(self.a(x))
        b, c, h, w = y.shape
        y = y.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
        return self.head(F.relu(self.b(y)).mean((2, 3)))


class UNet(nn.Module):
    """Encoder and decoder with a concatenated skip and group norms."""

    def __init__(self):
        super().__init__()
        self.a, self.na, self.b = nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.Conv2d(8, 16, 3, 2, 1)
        self.up, self.c = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 6, 3, padding=1)
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, x):
        skip = F.relu(self.na(self.a(x)))
        y = self.up(F.relu(self.b(skip)))
        return self.head(F.relu(self.c(torch.cat([skip, y], 1))))


class Halves(nn.Module):
    """Two halves that go separate ways: nothing but the cut itself ties them."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 4, 1)

    def forward(self, x):
        u, v = self.a(x).chunk(2, 1)
        return self.b(torch.cat([F.relu(u), torch.tanh(v)], 1))


class MobileBlock(nn.Module):
    """An inverted residual with hard activations, as in MobileNetV3: one of them isn't tagged element-wise by torch."""

    def __init__(self):
        super().__init__()
        self.stem, self.n0 = nn.Conv2d(3, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.expand, self.n1 = nn.Conv2d(12, 24, 1, bias=False), nn.BatchNorm2d(24)
        self.depth, self.n2 = nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False), nn.BatchNorm2d(24)
        self.down, self.up = nn.Conv2d(24, 6, 1), nn.Conv2d(6, 24, 1)
        self.project, self.head = nn.Conv2d(24, 12, 1), nn.Linear(12, 5)
        self.hard = nn.Hardswish(inplace=True)

    def forward(self, x):
        x = F.relu6(self.n0(self.stem(x)))
        h = self.hard(self.n2(self.depth(self.hard(self.n1(self.expand(x))))))
        gate = F.hardsigmoid(self.up(F.hardtanh(self.down(F.adaptive_avg_pool2d(h, 1)))))
        return self.head((x + self.project(h * gate)).mean((2, 3)))


class Activations(nn.Module):
    """A chain of layers with another activation behind each."""

    KINDS = (
        F.hardswish,
        F.hardsigmoid,
        F.relu6,
        F.mish,
        F.leaky_relu,
        F.gelu,
        F.silu,
        F.softplus,
        F.elu,
        F.celu,
        F.selu,
        F.logsigmoid,
        F.hardshrink,
        F.softshrink,
        F.tanhshrink,
        F.softsign,
        F.hardtanh,
        F.rrelu,
        F.threshold,
        torch.clamp,
        torch.erf,
        torch.sin,
    )

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in self.KINDS)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for layer, kind in zip(self.layers, self.KINDS):
            bounds = {F.threshold: (0.1, 0.2), torch.clamp: (-0.5, 0.5)}.get(kind, ())
            x = kind(layer(x), *bounds)
        return self.head(x)


class TwoArms(nn.Module):
    """Element-wise operations of two tensors, some by their second names."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 10), nn.Linear(6, 10), nn.Linear(10, 8)
        self.d, self.head = nn.Linear(10, 8), nn.Linear(8, 2)

    def forward(self, x):
        a, b = self.a(x), self.b(x)
        largest = torch.max(a, torch.multiply(b, a.sigmoid()))
        chosen = torch.where(a > b, torch.subtract(a, b), torch.minimum(a, b))
        return self.head(torch.lerp(self.c(largest), self.d(chosen), 0.3).square())


def _image(*shape):
    return lambda: (torch.rand(2, *shape, generator=torch.Generator().manual_seed(1)),)


def _tokens():
    return (torch.randint(0, 11, (2, 6), generator=torch.Generator().manual_seed(1)),)


NETWORKS = {
    "mlp": (lambda: mlp(5, 3, (32, 16)), _image(5)),
    "resnet20": (lambda: cifar_resnet(20), _image(3, 16, 16)),
    "squeeze-excite": (SqueezeExcite, _image(3, 8, 8)),
    "dense": (Dense, _image(3, 8, 8)),
    "halves": (Halves, _image(3, 8, 8)),
    "grouped": (Grouped, _image(3, 9, 9)),
    "multiplier": (Multiplier, _image(2, 12)),
    "flattened": (Flattened, _image(1, 9, 9)),
    "branches": (Branches, _image(3, 8, 8)),
    "transformer": (Transformer, _image(5, 4)),
    "grouped-queries": (GroupedQueries, _image(6, 16)),
    "tied": (Tied, _tokens),
    "shared": (Shared, _image(3, 8, 8)),
    "shuffle": (Shuffle, _image(3, 8, 8)),
    "unet": (UNet, _image(1, 8, 8)),
    "mobile-block": (MobileBlock, _image(3, 8, 8)),
    "activations": (Activations, _image(8)),
    "two-arms": (TwoArms, _image(6)),
}


def build(name):
    """A network with trained-like values, and its example inputs."""
    make, example = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return trained_like(make()), example()


class Written(nn.Module):
    """Attention whose numbers of heads and widths are written into the module."""

    def __init__(self, silent=False):
        super().__init__()
        self.heads, self.size, self.silent = 4, 6, silent
        self.qkv, self.out = nn.Linear(10, 3 * 24), nn.Linear(24, 5)

    def forward(self, x):
        b, n, _ = x.shape
        last = -1 if self.silent else self.size
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, last).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(b, n, self.heads * self.size if not self.silent else -1))


class Entangled(nn.Module):
    """A head's width computed from the width of something else: no attribute to correct."""

    def __init__(self):
        super().__init__()
        self.stem, self.b = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(12, 16, 1)
        self.attn, self.out, self.head = nn.Linear(16, 48), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        t = F.relu(self.b(F.relu(self.stem(x)))).flatten(2).transpose(1, 2)
        b, n, c = t.shape
        q, k, v = self.attn(t).view(b, n, 3, 4, c // 4).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c)
        return self.head((t + self.out(y)).mean(1))
