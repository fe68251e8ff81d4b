"""Calibration of grouped claims, coverage of intervals, borders of label maps: closed forms and independent references."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from deepwright.core.errors import InputError
from deepwright.risk import (
    bootstrap_index,
    boundary_f1,
    confidence_ece,
    conformal_half_width,
    coverage,
    drawn_pixels,
    ece_interval,
    grouped_calibration,
    miscoverage,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_plain_estimate_is_that_of_the_bins():
    p = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.1, 0.1])
    right = torch.tensor([1, 1, 1, 0, 0, 1]).bool()
    found = grouped_calibration(p, right, torch.arange(6))
    assert found.ece == pytest.approx((4 * 0.15 + 2 * 0.4) / 6)
    assert found.overconfidence == pytest.approx(float(p.mean() - right.double().mean()), rel=1e-5)
    assert found.groups == 6


def test_grouped_and_single_claims_have_one_plain_estimate():
    z = torch.randn(300, 3, generator=seeded())
    y = z.argmax(1).where(torch.rand(300, generator=seeded(1)) < 0.7, torch.randint(3, (300,), generator=seeded(2)))
    sure, called = z.double().softmax(1).max(1)
    single, grouped = ece_interval(z, y), grouped_calibration(sure, called == y, torch.arange(300))
    assert confidence_ece(sure, called == y) == single
    assert grouped.debiased.value == pytest.approx(single.value, abs=0.02)
    assert grouped.debiased.low <= grouped.debiased.value <= grouped.debiased.high


def test_claims_that_err_together_say_less():
    """Thirty groups of which each is right as a whole: the noise of thirty claims, not of 1,500."""
    p = (0.2 + 0.6 * torch.rand(30, 1, generator=seeded())).expand(30, 50)
    right = (torch.rand(30, 1, generator=seeded(1)) < p[:, :1]).expand(30, 50)
    group = torch.arange(30)[:, None].expand(30, 50)
    together = grouped_calibration(p.flatten(), right.flatten(), group.flatten())
    apart = grouped_calibration(p.flatten(), right.flatten(), torch.arange(1500))
    assert together.by_chance > 3 * apart.by_chance
    assert together.debiased.low == 0.0 < apart.debiased.low
    assert together.debiased.value < apart.debiased.value


@pytest.mark.slow
def test_the_interval_by_groups_holds_the_truth():
    held = 0
    for seed in range(100):
        q = 0.7 * torch.rand(60, 25, generator=seeded(seed))
        right = torch.rand(60, 25, generator=seeded(seed + 1000)) < q
        group = torch.arange(60)[:, None].expand(60, 25)
        found = grouped_calibration((q + 0.15).flatten(), right.flatten(), group.flatten(), seed=seed).debiased
        held += found.low <= 0.15 <= found.high
    assert held >= 85


def test_conformal_width_is_the_order_statistic():
    errors = torch.arange(1.0, 20.0) * torch.tensor([1, -1]).repeat(10)[:19]
    assert conformal_half_width(errors, 0.9) == 18.0  # ceil(20 * 0.9)
    assert conformal_half_width(errors, 0.5) == 10.0
    assert conformal_half_width(errors[:8], 0.9) == math.inf  # 8 errors can't give 0.9: 9 would


def test_conformal_intervals_hold_what_they_promise():
    shares = []
    for seed in range(300):
        errors = torch.randn(60, generator=seeded(seed))
        half = conformal_half_width(errors[:39], 0.9)
        shares.append(float((errors[39:].abs() <= half).double().mean()))
    assert np.mean(shares) == pytest.approx(0.9, abs=0.015)  # exactly 0.9 for 39 = 40 * 0.9 / 0.9 - 1


def test_coverage_counts_ends_in():
    y = torch.tensor([0.0, 1.0, 2.0, 3.0])
    found = coverage(torch.zeros(4), torch.full((4,), 2.0), y, 0.8)
    assert (found.held.value, found.width) == (0.75, 2.0)


@pytest.mark.usefixtures("unchecked")
def test_coverage_of_unlike_lengths():
    y = torch.arange(4.0)
    with pytest.raises(InputError, match="shapes"):
        coverage(torch.zeros(4), torch.zeros(4, 1)[:, 0], y[:3], 0.8)


def test_miscoverage_of_many_samples_is_the_gap():
    held = {0.5: torch.rand(20_000, 1, generator=seeded()) < 0.6, 0.9: torch.rand(20_000, 1, generator=seeded(1)) < 0.8}
    found = miscoverage(held, resamples=200)
    assert found.value == pytest.approx(0.1, abs=0.01)
    assert found.low < found.value < found.high


def test_miscoverage_of_true_intervals_is_less_than_the_plain_gap():
    levels = (0.5, 0.8, 0.9, 0.95)
    draws = [torch.rand(100, 1, generator=seeded(s)) for s in range(12)]
    found = [miscoverage({p: u < p for p in levels}, resamples=200).value for u in draws]
    plain = [np.mean([abs(float((u < p).double().mean()) - p) for p in levels]) for u in draws]
    assert np.mean(found) < 0.75 * np.mean(plain)


def borders_by_distance(called, truth, k, tolerance):
    """Precision and recall of border pixels by exact distances, one picture after the other."""
    hits = np.zeros(2)
    counts = np.zeros(2)
    for a, b in zip(called, truth):
        edges = []
        for labels in (a, b):
            mask = labels == k
            inner = ndimage.binary_erosion(mask, ndimage.generate_binary_structure(2, 1), border_value=1)
            edges.append(mask & ~inner)
        radius = max(1, round(tolerance * math.hypot(*a.shape)))
        for i in (0, 1):
            other = edges[1 - i]
            far = ndimage.distance_transform_edt(~other) if other.any() else np.full(a.shape, np.inf)
            hits[i] += (edges[i] & (far <= radius)).sum()
            counts[i] += edges[i].sum()
    precision, recall = hits / counts
    return 2 * precision * recall / (precision + recall)


def test_borders_against_distance_transforms():
    noise = torch.randn(4, 1, 30, 40, generator=seeded())
    smooth = torch.nn.functional.avg_pool2d(noise, 7, 1, 3)[:, 0]
    truth = torch.bucketize(smooth, torch.tensor([-0.1, 0.1]))
    called = torch.bucketize(torch.roll(smooth, 2, 2), torch.tensor([-0.1, 0.1]))
    for tolerance in (0.0075, 0.04):
        found = boundary_f1(called, truth, 3, tolerance=tolerance)
        expected = [borders_by_distance(called.numpy(), truth.numpy(), k, tolerance) for k in range(3)]
        assert found.tolist() == pytest.approx(expected)


def test_borders_of_what_does_not_occur():
    a = torch.zeros(1, 20, 20, dtype=torch.long)
    a[0, 5:15, 5:15] = 1
    found = boundary_f1(a, a, 3)
    assert found[:2].tolist() == [1, 1]
    assert math.isnan(float(found[2]))
    ignored = a.clone()
    ignored[0, :, 10:] = 255
    assert boundary_f1(a, ignored, 2, ignore_index=255).tolist() == [1, 1]


def test_pixels_are_drawn_alike_whatever_the_batch():
    truth = torch.randint(0, 3, (5, 12, 12), generator=seeded())
    truth[2, :, :11] = 255
    image, place = drawn_pixels(truth, 20, 3, ignore_index=255)
    assert torch.bincount(image).tolist() == [20, 20, 12, 20, 20]  # the third has 12 that count
    assert bool((truth.flatten(1)[image, place] != 255).all())
    alone = drawn_pixels(truth[:1], 20, 3, ignore_index=255)
    assert torch.equal(alone[1], place[image == 0])


def test_index_by_groups_of_one_is_the_plain_one():
    xi = 0.4 * torch.randn(200, generator=seeded()).double() - 0.3
    plain, grouped = (bootstrap_index(xi, rows=100, group=g) for g in (None, torch.arange(200)))
    for a, b in zip(plain, grouped):
        assert (b.value, b.low, b.high) == pytest.approx((a.value, a.low, a.high))
    pairs = bootstrap_index(xi.repeat_interleave(2), rows=100, group=torch.arange(200).repeat_interleave(2))
    assert pairs[0].low == pytest.approx(grouped[0].low)
