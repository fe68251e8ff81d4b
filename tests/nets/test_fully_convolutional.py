"""Output strides against each other, and fully convolutional networks against published counts and names."""

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.nets import fcn_resnet, imagenet_resnet


def settled(network):
    """A network in eval mode whose norms have statistics of their own."""
    streams = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=streams)
            module.running_var.uniform_(0.5, 1.5, generator=streams)
    return network.eval()


@pytest.mark.parametrize("depth", [18, 50])
def test_finer_maps_hold_the_coarser_ones(depth):
    coarse = settled(imagenet_resnet(depth, classes=2)).double()
    x = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        expected = coarse.maps(x, 1)[0]
        assert expected.shape[2:] == (2, 3)
        for stride in (16, 8):
            fine = imagenet_resnet(depth, classes=2, output_stride=stride).double().eval()
            fine.load_state_dict(coarse.state_dict(), strict=True)
            found = fine.maps(x, 1)[0]
            assert found.shape[2:] == (64 // stride, 96 // stride)
            step = 32 // stride
            assert torch.allclose(found[..., ::step, ::step], expected, rtol=1e-9, atol=1e-9)


def test_published_size_and_names():
    network = fcn_resnet()
    assert sum(p.numel() for p in network.parameters()) == 35_322_218
    names = set(network.state_dict())
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    for head in ("classifier", "aux_classifier"):
        own = {f"{head}.0.weight", f"{head}.4.weight", f"{head}.4.bias", *(f"{head}.1.{each}" for each in norm)}
        assert {name for name in names if name.startswith(f"{head}.")} == own
    plain = {f"backbone.{name}" for name in imagenet_resnet(50).state_dict() if not name.startswith("fc.")}
    assert {name for name in names if name.startswith("backbone.")} == plain
    dilations = {name: m.dilation[0] for name, m in network.named_modules() if name.endswith("conv2")}
    assert [dilations[f"backbone.layer{i}.{j}.conv2"] for i, j in ((2, 3), (3, 0), (3, 1), (4, 0), (4, 1))] == [
        *(1, 1, 2, 2, 4)
    ]


def test_any_size_and_gradients():
    network = fcn_resnet(18, classes=5, output_stride=16).eval()
    x = torch.rand(2, 3, 37, 50, requires_grad=True)
    out = network(x)
    assert out.shape == (2, 5, 37, 50)
    out.sum().backward()
    assert bool((x.grad != 0).any())
    first, second = network.both(x)
    assert torch.equal(first, out)
    assert second.shape == first.shape
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: imagenet_resnet(18, output_stride=4), "32, 16 or 8"),
        (lambda: fcn_resnet(18, classes=1), "2"),
        (lambda: fcn_resnet(18, auxiliary=False).both(torch.rand(1, 3, 32, 32)), "auxiliary=True"),
    ],
)
def test_refusals(build, expected):
    with pytest.raises(InputError, match=expected):
        build()
