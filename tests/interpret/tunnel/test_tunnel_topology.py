"""Winding numbers, floors and tunnels against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from narrow_nets import random_net
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.interpret import (
    Ball,
    Box,
    approximation_floor,
    approximation_floor_from_samples,
    find_critical_points,
    scalar_map,
    tunnel_path,
    winding_number,
)
from deepwright.interpret.tunnel.components import barriers
from deepwright.nets import NarrowResNet

SQUARE = Box([-2.0, -2.0], [2.0, 2.0])


def _bowl(x: Tensor) -> Tensor:
    return x.square().sum(1)


def _saddle(x: Tensor) -> Tensor:
    return x[:, 0].square() - x[:, 1].square()


def _monkey(x: Tensor) -> Tensor:
    return x[:, 0] ** 3 - 3 * x[:, 0] * x[:, 1].square()


def _slope(x: Tensor) -> Tensor:
    return x[:, 0]


def _pair(x: Tensor) -> Tensor:
    return x[:, 0] ** 3 / 3 - 0.25 * x[:, 0] + x[:, 1].square()


def _wells(x: Tensor) -> Tensor:
    return (x[:, 0].square() - 1).square() + x[:, 1].square()


@pytest.mark.parametrize(("fn", "number"), [(_bowl, 1), (_saddle, -1), (_monkey, -2), (_slope, 0), (_pair, 0)])
def test_winding_numbers_of_polynomials(fn: object, number: int) -> None:
    assert winding_number(fn, [0.0, 0.0], 1.0) == number  # type: ignore[arg-type]
    assert winding_number(fn, domain=SQUARE) == number  # type: ignore[arg-type]


def test_a_minimum_and_a_saddle_cancel_and_both_are_found() -> None:
    points = find_critical_points(_pair, Ball([0.0, 0.0], 1.0))
    found = sorted((round(float(p.x[0]), 6), p.index, p.verified) for p in points)
    assert found == [(-0.5, 1, True), (0.5, 0, True)]


def test_unresolved_turns_are_an_error() -> None:
    with pytest.raises(ArithmeticError, match="gradient"):
        winding_number(_bowl, [1.0, 0.0], 1.0)


def test_newton_kantorovich_verifies_in_three_dimensions() -> None:
    net = NarrowResNet(3, 3, 1, input_layer=False).double().eval()
    with torch.no_grad():  # the sum of x + tanh(-2 x): folds at +-arccosh(sqrt 2) / 2 in each direction
        net.blocks[0].f[0].weight.copy_(-2 * torch.eye(3))
        net.blocks[0].f[0].bias.zero_()
        net.output.weight.fill_(1.0)
    points = find_critical_points(net, Box([-1.5] * 3, [1.5] * 3))
    assert sorted(p.index for p in points) == [0, 1, 1, 1, 2, 2, 2, 3]
    assert all(p.verified and "Kantorovich" in p.how for p in points)


def test_floor_of_a_parabola() -> None:
    floor = approximation_floor(lambda x: x[:, 0].square(), Box([-1.0], [1.0]), 2001)
    assert floor.sup == pytest.approx(0.5, abs=1e-3)
    assert floor.mse == pytest.approx(9 / 160, abs=1e-3)
    assert floor.level == pytest.approx(0.25, abs=1e-2)
    assert floor.argmin is not None
    assert abs(float(floor.argmin[0])) < 1e-9


def test_floors_in_the_plane() -> None:
    disc = approximation_floor(_bowl, Ball([0.0, 0.0], 1.0), 101)
    assert disc.sup == pytest.approx(0.5, abs=1e-3)
    assert disc.mse is None
    wells = approximation_floor(_wells, SQUARE, 201)
    assert wells.sup == pytest.approx(2.0, abs=1e-3)
    assert wells.path is not None
    assert abs(float(wells.path[-1][1])) == 2.0
    assert approximation_floor(lambda x: x[:, 0] + x[:, 1] ** 3, SQUARE, 51).sup == 0
    hill = approximation_floor(lambda x: -_bowl(x), Ball([0.0, 0.0], 1.0), 51)
    assert hill.sign == -1
    assert hill.sup == pytest.approx(0.5, abs=1e-3)


def test_barriers_against_a_search_over_all_levels() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.permutation(30).astype(float)
        starts = np.concatenate(([0], np.cumsum([1, *[2] * 28, 1])))
        neighbours = np.concatenate([[j for j in (i - 1, i + 1) if 0 <= j < 30] for i in range(30)])
        border = np.zeros(30, bool)
        border[[0, 29]] = True
        # on a line a point leaves by the lower of the highest points on both sides, unless a lower one is met first
        best = 0.0
        for i in range(30):
            left, right = values[: i + 1], values[i:]
            out = min(left.max(), right.max())
            best = max(best, out - values[i])
        assert barriers(values, starts, neighbours, border)[0] == best


def _shells(n: int, dimension: int, seed: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, dimension, generator=g)
    return x, (x.norm(dim=1) < 0.7 * math.sqrt(dimension)).long()


def test_floor_of_samples_and_what_it_cannot_say() -> None:
    x, y = _shells(600, 2, 0)
    found = approximation_floor_from_samples(x, y)
    assert found.majority == 0.5
    assert found.by_class[1] == 0.5
    line = (x[:, 0] > 0).long()
    line[x.norm(dim=1).argmin()] = 1 - line[x.norm(dim=1).argmin()]
    flipped = approximation_floor_from_samples(x, line)
    assert flipped.majority == 0.0
    far = approximation_floor_from_samples(*_shells(600, 20, 0))
    assert far.raw is None
    assert "edge" in far.reason
    with pytest.raises(InputError, match="same input"):
        approximation_floor_from_samples(torch.cat((x, x)), torch.cat((y, 1 - y)))


@pytest.mark.slow
def test_tunnel_leads_to_the_edge_with_its_value_rising() -> None:
    fn = scalar_map(random_net(2, 6, 20.0, 0, skip=0.0), torch.zeros(2, 2))
    for direction in (1, -1):
        path = tunnel_path(fn, torch.tensor([0.1, 0.0]), Ball([0.0, 0.0], 1.0), direction)
        assert path.reached_boundary
        assert path.monotone
        assert float(path.points[-1].norm()) == pytest.approx(1.0, abs=1e-9)
        assert bool(((path.values[1:] - path.values[:-1]) * direction >= -1e-12).all())
    stuck = tunnel_path(_bowl, torch.tensor([0.5, 0.0]), Box([-1.0, -1.0], [1.0, 1.0]), -1)
    assert not stuck.reached_boundary
    with pytest.raises(InputError, match="inside"):
        tunnel_path(_bowl, torch.tensor([5.0, 0.0]), Box([-1.0, -1.0], [1.0, 1.0]))
