"""The U-Net: any size in one to three dimensions, what it refuses, and the road scenes' weights."""

import math

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.tasks import Segmentation
from deepwright.data import load as load_data
from deepwright.nets import DoubleConv, UNet, entry, load


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("sides", [(9,), (16, 16), (13, 22), (1, 5), (5, 8, 6)])
def test_every_size_in_and_out(sides, norm):
    torch.manual_seed(0)
    net = UNet(2, 3, (4, 8, 12), len(sides), norm).eval()
    out = net(torch.rand(2, 2, *sides))
    assert out.shape == (2, 3, *sides)
    assert bool(out.isfinite().all())


def test_padding_is_the_edge_repeated():
    torch.manual_seed(0)
    net = UNet(1, 2, (4, 8, 8)).eval()
    x = torch.rand(1, 1, 10, 8)
    whole = torch.cat([x, x[:, :, -1:].expand(-1, -1, 2, -1)], 2)
    torch.testing.assert_close(net(x), net(whole)[:, :, :10])


def test_gradients_reach_every_parameter_and_batches_dont_mix():
    torch.manual_seed(0)
    net = UNet(3, 4, (4, 8), norm="group")
    x = torch.rand(3, 3, 8, 8)
    net(x).square().sum().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in net.parameters())
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]), atol=1e-5, rtol=1e-4)  # in train mode, as groups promise


def test_parameters_by_hand():
    net = UNet(3, 11, (12, 24, 48, 96))
    convs = [(3, 12), (12, 24), (24, 48), (48, 96), (144, 48), (72, 24), (36, 12)]
    by_hand = sum(9 * a * b + 9 * b * b + 4 * b for a, b in convs) + 12 * 11 + 11
    assert sum(p.numel() for p in net.parameters()) == by_hand
    assert isinstance(net.encoder[0], DoubleConv)
    assert net.multiple == 8


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"widths": (8,)}, "widths"),
        ({"widths": (8, 0)}, "widths"),
        ({"dims": 4}, "dims"),
        ({"norm": "layer"}, "norm"),
        ({"widths": (6, 8), "norm": "group"}, "multiples of 4"),
        ({"classes": 0}, "classes"),
    ],
)
def test_what_it_refuses_when_made(options, word):
    with pytest.raises(InputError, match=word):
        UNet(**options)


@pytest.mark.parametrize("x", [torch.rand(1, 1, 8, 8), torch.rand(1, 3, 8)])
def test_what_it_refuses_when_called(x):
    with pytest.raises(InputError, match="inputs"):
        UNet(3, 2, (4, 8))(x)


def test_the_road_scenes_network_takes_pixels_of_any_size():
    net = load("unet-camvid")
    assert isinstance(net, nn.Module)
    assert entry("unet-camvid").data == "camvid"
    with torch.no_grad():
        assert net(torch.rand(1, 3, 90, 121)).shape == (1, 11, 90, 121)


@pytest.mark.realdata
def test_the_road_scenes_network_on_its_test_frames(data_root):
    data = load_data("camvid", root=data_root, train_limit=2, limit=30, size=120)
    assert data.test.x.shape == (30, 3, 120, 160)
    net = load("unet-camvid")
    with torch.no_grad():
        out = torch.cat([net(x) for x, _ in data.test.batches(10)])
    called, y = out.argmax(1), data.test.y
    counts = y != 255
    ious = []
    for k in range(11):
        both, either = ((called == k) & (y == k))[counts], ((called == k) | (y == k))[counts]
        ious.append(float(both.sum()) / int(either.sum()) if int(either.sum()) else math.nan)
    task = Segmentation(11)
    by_class = task.class_iou(out, y).tolist()
    assert by_class == pytest.approx(ious, nan_ok=True)
    intervals = task.class_intervals(out, y, resamples=200)
    assert all(each.low <= by_class[k] <= each.high for k, each in intervals.items())
    assert task.headline_value(out, y) == pytest.approx(
        sum(v for v in ious if v == v) / len([v for v in ious if v == v])
    )
    assert task.headline_value(out, y) > 0.4
