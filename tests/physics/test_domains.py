"""Points lie where they should, evenly, and follow the residual when asked."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics import Ball, Box, LevelSet, SpaceTime, adaptive, require_inside

DOMAINS = {
    "box": Box((-1, 2), (0, 1), (3, 4)),
    "ball": Ball((1.0, -1.0), 0.5),
    "level set": LevelSet(lambda x: x[:, 0] ** 2 + 4 * x[:, 1] ** 2 - 1, Box((-1.5, 1.5), (-1.5, 1.5))),
    "space-time": SpaceTime(Ball((0.0, 0.0), 1.0), (0, 2)),
}


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("method", ["sobol", "lhs", "uniform", "grid"])
def test_samples_are_inside(name, method):
    domain = DOMAINS[name]
    x = domain.sample(200, method, generator=torch.Generator().manual_seed(0))
    assert x.shape == (200, domain.dim)
    require_inside(domain, x)
    again = domain.sample(200, method, generator=torch.Generator().manual_seed(0))
    assert torch.equal(x, again)


@pytest.mark.parametrize("name", DOMAINS)
def test_boundaries_and_normals(name):
    domain = DOMAINS[name]
    x, n = domain.sample_boundary(101)
    assert x.shape == n.shape == (101, domain.dim)
    assert torch.allclose(n.norm(dim=1), torch.ones(101).double())
    step = 1e-4 * n
    assert not domain.contains(x + step).any()
    assert domain.contains(x - step).all()


def test_boxes_share_their_boundary_by_area():
    _, n = Box((0, 1), (0, 3)).sample_boundary(80)
    assert [int((n[:, 0].abs() == 1).sum()), int((n[:, 1].abs() == 1).sum())] == [60, 20]


def test_balls_are_filled_evenly():
    x = Ball((0.0, 0.0, 0.0), 2.0).sample(8192)
    assert float((x.norm(dim=1) < 1).double().mean()) == pytest.approx(1 / 8, abs=0.01)
    assert float(x.square().sum(1).mean()) == pytest.approx(4 * 3 / 5, rel=0.02)


def test_times():
    domain = SpaceTime(Box((0, 1)), (1, 3))
    assert torch.equal(domain.sample_initial(5)[:, 1], torch.ones(5).double())
    x, n = domain.sample_boundary(8)
    assert torch.equal(n[:, 1], torch.zeros(8).double())
    assert set(x[:, 0].tolist()) == {0.0, 1.0}


def test_adaptive_points_follow_the_residual():
    x = torch.linspace(0, 1, 1000, dtype=torch.float64)
    picked = adaptive(torch.exp(-(((x - 0.5) / 0.05) ** 2)), 200, c=0.1, generator=torch.Generator().manual_seed(0))
    assert len(set(picked.tolist())) == 200
    inside = float(((x[picked] - 0.5).abs() < 0.1).double().mean())
    peak = math.sqrt(math.pi) * 0.05
    assert inside > 0.6 > 0.2 / (1 + peak)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box((1, 1)), "low < high"),
        (lambda: Box((0, math.inf)), "finite"),
        (lambda: Ball((0.0,), -1), "above 0"),
        (lambda: Box((0, 1)).sample(3, "halton"), "unknown method"),
        (lambda: require_inside(Box((0, 1)), torch.tensor([[0.5], [2.0], [3.0]]).double()), "2 outside"),
        (lambda: LevelSet(lambda x: x[:, 0] * 0 + 1, Box((0, 1), (0, 1))).sample(3), "no point"),
        (lambda: Ball((math.nan, 0.0), 1.0), "finite coordinates"),
        (lambda: SpaceTime(Box((0, 1)), (0, math.nan)), "start < end"),
        (lambda: LevelSet(lambda x: x, Box((0, 1), (0, 1))).sample(3), "phi"),
        (lambda: adaptive(torch.zeros(5), 2, c=0.0, generator=torch.Generator().manual_seed(0)), "c above 0"),
        (lambda: adaptive(torch.ones(5), 2, c=-5.0, generator=torch.Generator().manual_seed(0)), "0 or more each"),
    ],
    ids=["flat", "endless", "radius", "method", "outside", "empty", "centre", "span", "phi", "no residuals", "share"],
)
def test_regions_that_cannot_be(make, message):
    with pytest.raises(InputError, match=message):
        make()
