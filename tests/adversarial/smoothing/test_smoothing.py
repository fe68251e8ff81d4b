"""Certificates on affine networks, where the radius is known; counts against SciPy; what a vote is."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from deepwright.adversarial.smoothing import ABSTAINED, NoisyMean, Smoothed, certified_accuracy
from deepwright.adversarial.smoothing.smoothed import binomial, lower_bounds
from deepwright.core.statistics import clopper_pearson
from deepwright.core.tasks import Binary


def half_plane(d=6):
    """Class 1 on the positive side of the first number."""
    model = nn.Linear(d, 2).eval()
    with torch.no_grad():
        model.weight.zero_()
        model.weight[1, 0] = 5.0
        model.bias.zero_()
    return model


def at(*distances, d=6):
    x = torch.zeros(len(distances), d)
    x[:, 0] = torch.tensor(distances)
    return x


def test_the_radius_is_the_distance_to_the_plane_from_below():
    """p is exactly Phi(distance / sigma) there."""
    x, sigma, draws = at(0.1, 0.3, 0.8, -0.4), 0.5, 4000
    found = Smoothed(half_plane(), sigma).certify(x, draws)
    assert found.prediction.tolist() == [1, 1, 1, 0]
    true = x[:, 0].abs()
    assert (found.radius.float() <= true).all()
    assert (found.radius.float() >= true - 0.15).all()
    hits = np.round(stats.norm.cdf(true.numpy() / sigma) * draws).astype(int)
    expected = [sigma * stats.norm.ppf(clopper_pearson(int(h), draws, 0.998).low) for h in hits]
    assert np.abs(found.radius.numpy() - expected).max() < 0.06


def test_no_radius_exceeds_what_the_draws_allow():
    found = Smoothed(half_plane(), 0.5).certify(at(9.0), 300, 0.01)
    assert math.isclose(float(found.radius), 0.5 * stats.norm.ppf(0.01 ** (1 / 300)), rel_tol=1e-9)


def test_on_the_plane_it_abstains():
    smoothed = Smoothed(half_plane(), 0.5)
    assert smoothed.predict(at(0.0), 400).tolist() == [ABSTAINED]
    found = smoothed.certify(at(0.0), 400)
    assert found.prediction.tolist() == [ABSTAINED]
    assert found.radius.tolist() == [0.0]
    assert smoothed.predict(at(0.6, -0.6), 400).tolist() == [1, 0]


def test_certificates_are_wrong_at_most_as_often_as_alpha():
    x = at(*[0.25] * 300)
    found = Smoothed(half_plane(), 0.5, batch_size=2000).certify(x, 100, 0.1, first=20)
    wrong = int(((found.radius > 0.25) & (found.prediction == 1)).sum())
    assert stats.binom.sf(wrong - 1, 300, 0.1) > 1e-3
    assert wrong > 0  # the bound isn't loose beyond its discreteness


def test_bounds_are_those_of_the_exact_interval():
    hits = np.array([0, 1, 50, 99, 100])
    assert np.allclose(lower_bounds(hits, 100, 0.01), [clopper_pearson(int(h), 100, 0.98).low for h in hits], atol=1e-9)
    pairs = [(9, 1), (5, 5), (0, 0), (30, 20)]
    expected = [stats.binomtest(a, a + b, 0.5).pvalue if a + b else 1.0 for a, b in pairs]
    assert np.allclose(binomial(*np.array(pairs).T), expected)


def test_numbers_don_t_depend_on_the_batch():
    x = at(0.05, 0.1, -0.1, 0.2, 0.0)
    wide, narrow = (Smoothed(half_plane(), 0.5, batch_size=b) for b in (1000, 7))
    a, b = wide.certify(x, 130), narrow.certify(x, 130)
    assert torch.equal(a.lower, b.lower)
    alone = wide.certify(x[3:4], 130, ids=torch.tensor([3]))
    assert torch.equal(alone.lower, a.lower[3:4])
    assert not torch.equal(wide.certify(x, 130, ids=torch.arange(5) + 9).lower, a.lower)


class Broken(nn.Module):
    """No finite outputs on the left of -0.2; else class 0."""

    def forward(self, x):
        out = torch.stack([torch.ones(len(x)), torch.zeros(len(x))], 1)
        return torch.where(x[:, :1] < -0.2, math.nan, 1.0) * out


def test_outputs_that_aren_t_finite_vote_for_nobody():
    found = Smoothed(Broken(), 0.5).certify(at(0.0), 2000)
    assert abs(float(found.lower) - stats.norm.cdf(0.4)) < 0.05  # not 1: what is left of them


def test_a_denoiser_goes_before_the_network_and_two_classes_may_have_one_logit():
    class Halved(nn.Module):
        def forward(self, x):
            return x - 0.3

    shifted = Smoothed(half_plane(), 0.5, denoiser=Halved())
    assert shifted.predict(at(0.1, 0.9), 300).tolist() == [0, 1]
    one = nn.Linear(6, 1).eval()
    with torch.no_grad():
        one.weight.zero_()
        one.weight[0, 0] = 3.0
        one.bias.zero_()
    assert Smoothed(one, 0.5, task=Binary()).predict(at(-0.6, 0.6), 300).tolist() == [0, 1]


def test_the_curve_counts_what_is_right_and_certified():
    x, y = at(0.05, 0.3, 0.8, -0.8, 0.8), torch.tensor([1, 1, 1, 0, 0])
    report = certified_accuracy(
        Smoothed(half_plane(), 0.5), [(x[:2], y[:2]), (x[2:], y[2:])], [0.0, 0.1, 0.6], draws=2000
    )
    assert [round(p.value * 5) for p in report.curve] == [3 + int(report.right[0]), 3, 2]
    assert report.right[1:] == [True, True, True, False]
    radii = [r for r, ok in zip(report.radius, report.right) if ok]
    assert math.isclose(report.mean_radius, sum(radii) / 5)
    assert len(report.table().rows) == 3


def test_the_mean_over_noise_is_one_module():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    mean, x = NoisyMean(model, 0.3, (1, 4, 4), draws=5), torch.rand(7, 1, 4, 4)
    with torch.no_grad():
        by_hand = torch.stack([model(x + z).softmax(1) for z in mean.noise]).mean(0).log()
        assert torch.allclose(mean(x), by_hand, atol=1e-6)
    program = torch.export.export(mean, (x,), dynamic_shapes=({0: torch.export.Dim("n", min=1)},))
    with torch.no_grad():
        assert torch.allclose(program.module()(x[:3]), by_hand[:3], atol=1e-6)
    point = x.clone().requires_grad_(True)
    assert torch.autograd.grad(mean(point).sum(), point)[0].abs().sum() > 0


@pytest.mark.slow
def test_training_on_noise_is_what_makes_it_certifiable():
    """On pictures of digits: the same network, trained with and without noise."""
    from deepwright.core.fit import adamw, fit
    from deepwright.data import load

    data = load("digits")
    curves = []
    for sigma in (0.0, 0.25):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        noisy = lambda x, g, s=sigma: x + s * torch.randn(x.shape, generator=g)  # noqa: E731
        fit(model, (data.train.inputs(), data.train.y), epochs=12, optimizer=adamw(3e-3), augment=noisy)
        few = data.test.take(60)
        smoothed = Smoothed(model.eval(), 0.25, batch_size=2000)
        curves.append(certified_accuracy(smoothed, [(few.inputs(), few.y)], [0.25], draws=500).curve[0].value)
    assert curves[1] > curves[0]
