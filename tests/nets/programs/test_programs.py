"""Programs of torch.export still load, and compute what they computed."""

import pytest
import torch
from archives import Sizes, members, save, write
from torch import nn
from torch.export import Dim, export
from torch.utils import _pytree as pytree

from deepwright.core.errors import InputError
from deepwright.nets import cifar_resnet, load_exported


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.register_buffer("scale", torch.ones(1))
        self.shift = torch.arange(3.0)

    def forward(self, tokens, *, mask=None):
        return self.layer(self.embedding(tokens)).mean(1) * self.scale + self.shift.sum()


class Modes(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            doubled = x * 2
        with torch.autocast("cpu", dtype=torch.bfloat16):
            product = x @ x.T
        return doubled, product.float()


class DataSized(nn.Module):
    def forward(self, x):
        found = (x > 0).nonzero()
        torch._check(found.shape[0] >= 2)
        count = x.sum().to(torch.int64).item()
        torch._check(count >= 0)
        torch._check(count < 100)
        return found.sum(), torch.zeros(count)


class Resized(nn.Module):
    def forward(self, x):
        y = nn.functional.interpolate(x, scale_factor=1.5, mode="bilinear")
        return torch.einsum("bchw,bdhw->bcd", y, y)


class Counted(nn.Module):
    def forward(self, x):
        from torch._higher_order_ops import while_loop

        return while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (torch.tensor(0), x))[1]


ROWS, TOKENS, AUTO = Dim("rows", min=2, max=64), Dim("tokens", min=4, max=64), Dim.AUTO
PROGRAMS = {
    "conv": (
        nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        (torch.rand(4, 3, 8, 8),),
        {},
        ({0: AUTO, 2: AUTO, 3: AUTO},),
    ),
    "transformer": (
        Text(),
        (torch.zeros(4, 6, dtype=torch.long),),
        {"mask": None},
        {"tokens": {0: ROWS, 1: TOKENS}, "mask": None},
    ),
    "sizes": (Sizes(), (torch.ones(4, 6),), {}, ({0: AUTO, 1: AUTO},)),
    "resnet": (cifar_resnet(8, classes=10), (torch.rand(4, 3, 16, 16),), {}, ({0: AUTO, 2: AUTO, 3: AUTO},)),
    "derived size": (Sizes(), (torch.ones(4, 6),), {}, ({0: ROWS, 1: 2 * Dim("half", min=2, max=30)},)),
    "modes": (Modes(), (torch.rand(6, 4),), {}, ({0: ROWS},)),
    "sized by data": (DataSized(), (torch.rand(6, 4),), {}, ({0: ROWS},)),
    "resized": (Resized(), (torch.rand(2, 3, 8, 8),), {}, ({0: AUTO, 2: AUTO, 3: AUTO},)),
    "loop": (Counted(), (torch.rand(3),), {}, None),
}


LONG = ("resnet", "derived size", "resized", "loop")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in PROGRAMS])
def test_it_computes_what_it_computed(name, tmp_path):
    network, inputs, named, shapes = PROGRAMS[name]
    program = export(network.eval(), inputs, named, dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "p.pt2")
    then = pytree.tree_leaves(program.module()(*inputs, **named))
    now = pytree.tree_leaves(load_exported(tmp_path / "p.pt2").graph(*inputs, **named))
    assert len(now) == len(then)
    assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(now, then))


def test_what_it_assumed_about_inputs_is_still_checked(tmp_path):
    class Half(nn.Module):
        def forward(self, x):
            return x.mean(1) if x.shape[1] % 2 == 0 else x.sum(1)

    path = save(tmp_path / "p.pt2", Half(), shapes=({0: Dim.AUTO, 1: Dim.AUTO},))
    network = load_exported(path)
    assert network(torch.ones(3, 8)).tolist() == [1.0] * 3
    with pytest.raises(InputError, match="Guard failed"):
        network(torch.ones(3, 7))


def test_ties_and_buffers_survive(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight
            self.register_buffer("window", torch.arange(6.0).reshape(3, 2).T)
            self.register_buffer("wide", torch.ones(1).expand(4, 3))

        def forward(self, x):
            return self.b(self.a(x)) @ self.window.T + self.wide.sum()

    network = Tied()
    path = save(tmp_path / "p.pt2", network, (torch.rand(4, 3),), None)
    x = torch.rand(4, 3)
    assert torch.equal(load_exported(path)(x), network(x))


def test_compiled_libraries_beside_a_program_are_left_out(tmp_path):
    files = members(save(tmp_path / "p.pt2"))
    files["data/aotinductor/model/model.so"] = b"\x7fELF"
    files["data/aotinductor/model/model_metadata.json"] = b"{}"
    network = load_exported(write(tmp_path / "q.pt2", files))
    assert network.graph(torch.ones(4, 6))["b"].item() == pytest.approx(4 / 6)
