"""Layers, estimates and expected costs against shapes and published counts."""

import pytest
import torch
from networks import NETWORKS, build
from torch import nn

from deepwright.compress import GAP8, Latency, Layer, TargetProfile, cost, expected_macs, layers
from deepwright.core.errors import InputError
from deepwright.nets import cifar_resnet


def conv(macs, kind="conv", **sizes):
    return Layer("l", kind, macs, **{"weights": 0, "inputs": 0, "outputs": 0, "tile": 0, **sizes})


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "tied"])
def test_layers_sum_to_the_counted_macs(name):
    model, example = build(name)
    assert sum(layer.macs for layer in layers(model, example)) == cost(model, example[0]).macs


def test_kinds_and_sizes():
    found = layers(cifar_resnet(20), torch.rand(2, 3, 32, 32))
    assert sum(x.macs for x in found) == 40_813_184
    assert found[0] == Layer("conv1", "conv", 3 * 9 * 16 * 1024, 432, 3072, 16384, 3 * 32 * 3 + 32 + 27)
    assert [x.kind for x in found].count("pointwise") == 2  # the two shortcuts
    assert found[-1].kind == "linear"
    model, example = build("squeeze-excite")
    assert [x.kind for x in layers(model, example)].count("depthwise") == 1


def test_estimates():
    target = TargetProfile("t", 1e6, {"conv": 4.0, "depthwise": 1.0}, power_w=0.5, fixed_s=0.1)
    estimate = target.estimate([conv(4_000_000), conv(1_000_000, "depthwise")])
    assert estimate.seconds == pytest.approx(1 + 1 + 0.1)
    assert estimate.joules == pytest.approx(1.05)
    assert str(estimate).startswith("estimated on t")
    moving = TargetProfile("t", 1e6, {"conv": 4.0}, ((100, 8.0), (10**6, 2.0)))
    assert moving.estimate([conv(4, inputs=10**6)]).by_layer[0] == ("l", 0.5, True)
    assert target.at_clock(2e6).estimate([conv(4_000_000)]).seconds == pytest.approx(0.6)


def test_gap8_runs_the_published_detector_and_refuses_large_maps():
    # 529 million MACs at 4.8 MACs a cycle and 175 MHz: 1.6 frames a second (arXiv 2301.12175); most of a MobileNet's
    # work is pointwise, a few per cent depthwise
    mobile = [conv(500_000_000, "pointwise"), conv(29_000_000, "depthwise")]
    assert 1 / GAP8.estimate(mobile).seconds == pytest.approx(1.6, rel=0.15)
    wide = nn.Conv2d(512, 512, 1)
    found = GAP8.estimate(wide, torch.rand(1, 512, 60, 80))
    assert any("activations" in v for v in found.violations)
    small = GAP8.estimate(nn.Conv2d(3, 8, 3), torch.rand(1, 3, 32, 32))
    assert small.violations == ()


def test_rates_are_recovered_from_measurements():
    true = TargetProfile("t", 1e8, {"conv": 5.0, "depthwise": 1.25}, fixed_s=0.01)
    runs = [
        [conv(a), conv(b, "depthwise")] for a, b in ((10**8, 10**6), (10**7, 10**7), (5 * 10**7, 0), (0, 2 * 10**7))
    ]
    fitted = TargetProfile.from_measurements("t", 1e8, [(r, true.estimate(r).seconds) for r in runs])
    assert fitted.macs_per_cycle["conv"] == pytest.approx(5.0, rel=1e-6)
    assert fitted.macs_per_cycle["depthwise"] == pytest.approx(1.25, rel=1e-6)
    assert fitted.fixed_s == pytest.approx(0.01, rel=1e-6)
    with pytest.raises(InputError, match="at least 2"):
        TargetProfile.from_measurements("t", 1e8, [(runs[0], 1.0)])
    with pytest.raises(InputError, match="conv"):
        TargetProfile("t", 1e8, {"linear": 1.0})


def test_expected_macs():
    assert expected_macs([10, 100], [0.75, 0.25]) == pytest.approx(32.5)
    with pytest.raises(InputError, match="summing to 1"):
        expected_macs([10, 100], [0.5, 0.2])


def test_latency_is_told_in_two_runtimes_and_never_overclaimed():
    model, example = build("mlp")
    report = cost(model, example[0], latency=True, min_run_time=0.05)
    assert report.latency.median > 0
    assert report.onnx_latency is not None
    assert report.onnx_latency.threads == report.latency.threads
    slow, fast = Latency(2.0, 1.9, 2.1, 1, 1, "cpu", 9), Latency(1.0, 0.9, 1.1, 1, 1, "cpu", 9)
    assert fast.compare(slow).startswith("2.00x faster")
    assert Latency(2.0, 1.0, 2.2, 1, 1, "cpu", 9).compare(slow) == "no measurable difference"
