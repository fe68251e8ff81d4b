"""Fronts against brute force and pymoo."""

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.core.pareto import (
    crowding_distance,
    hypervolume,
    knee,
    nondominated,
    nondominated_sort,
    polynomial_mutation,
    simulated_binary_crossover,
    survivors,
    thin,
    tournament,
)


def points(seed, k):
    rng = np.random.default_rng(seed)
    f = rng.integers(0, 8, (rng.integers(1, 40), k)) / 8  # ties
    return np.concatenate([f, f[: len(f) // 3]])  # duplicates


def dominates(a, b):
    return (a <= b).all() and (a < b).any()


def brute_ranks(f):
    ranks, left, rank = np.full(len(f), -1), set(range(len(f))), 0
    while left:
        front = [i for i in left if not any(dominates(f[j], f[i]) for j in left)]
        ranks[front], rank = rank, rank + 1
        left -= set(front)
    return ranks


@pytest.mark.parametrize("k", [2, 3, 4])
def test_ranks_equal_brute_force(k):
    for seed in range(200):
        f = points(seed, k)
        assert (nondominated_sort(f) == brute_ranks(f)).all()


@pytest.mark.parametrize("k", [2, 3])
def test_against_pymoo(k):
    indicators = pytest.importorskip("pymoo.indicators.hv")
    crowding = pytest.importorskip("pymoo.operators.survival.rank_and_crowding.metrics")
    for seed in range(40):
        f = np.random.default_rng(seed).random((30, k))
        front = f[nondominated(f)]
        assert hypervolume(f, (1.1,) * k) == pytest.approx(indicators.HV(np.full(k, 1.1))(f))
        if len(front) < 3:
            continue
        ours, theirs = crowding_distance(front), crowding.calc_crowding_distance(front)
        # theirs is the mean over objectives
        finite = np.isfinite(ours)
        assert (np.isfinite(theirs) == finite).all()
        assert np.allclose(ours[finite], k * theirs[finite])


def test_hypervolume_by_counting_cells():
    assert hypervolume(np.array([(0.25, 0.75), (0.5, 0.5), (0.75, 0.25)]), (1, 1)) == pytest.approx(0.375)
    for k in (2, 3):
        for seed in range(100):
            f = points(seed, k)
            grid = np.stack(np.meshgrid(*[(np.arange(8) + 0.5) / 8] * k), -1).reshape(-1, k)
            covered = (f[:, None] <= grid).all(2).any(0).mean()
            assert hypervolume(f, (1.0,) * k) == pytest.approx(covered)
    assert hypervolume(np.array([(2.0, 2.0)]), (1, 1)) == 0.0


def test_crowding():
    f = np.array([(0, 1), (0.25, 0.5), (1, 0), (0.25, 0.5)], float)
    distance = crowding_distance(f)
    assert np.isinf(distance[[0, 2]]).all()
    assert distance[1] == pytest.approx(2.0)
    assert distance[3] == 0  # a duplicate
    assert np.isinf(crowding_distance(np.array([(0.0, 1), (0, 2), (0, 3)]))).sum() == 2


def test_selection_keeps_the_front_and_its_extremes():
    rng = np.random.default_rng(0)
    f = rng.random((60, 2))
    kept = survivors(f, 20)
    assert len(set(kept.tolist())) == 20
    assert nondominated_sort(f)[kept].max() <= np.sort(nondominated_sort(f))[19]
    front = np.stack([np.linspace(0, 1, 30), 1 - np.linspace(0, 1, 30)], 1)
    few = thin(front, 5, keep=(7,))
    assert {0, 7, 29} <= set(few.tolist())
    wins = tournament(f, 200, np.random.default_rng(1))
    assert nondominated_sort(f)[wins].mean() < nondominated_sort(f).mean()


def test_knee():
    f = np.array([(0, 1), (0.1, 0.2), (0.5, 0.1), (1, 0)], float)
    assert knee(f) == 1
    assert knee(f[::-1]) == 2
    assert knee(np.array([(0.5, 0.5)])) == 0


def test_operators_stay_in_bounds_and_keep_the_mean():
    rng = np.random.default_rng(0)
    a, b = rng.random((4000, 3)), rng.random((4000, 3))
    low, high = np.zeros(3), np.ones(3)
    c, d = simulated_binary_crossover(a, b, low, high, rng)
    assert min(c.min(), d.min()) >= 0
    assert max(c.max(), d.max()) <= 1
    assert float((c + d - a - b).mean()) == pytest.approx(0, abs=0.01)
    assert not np.array_equal(a, c)
    m = polynomial_mutation(a, low, high, rng, 1 / 3)
    assert 0 <= m.min() <= m.max() <= 1
    assert float((m != a).mean()) == pytest.approx(1 / 3, abs=0.03)
    with pytest.raises(InputError, match="NaN"):
        nondominated_sort(np.array([[np.nan, 1.0]]))
