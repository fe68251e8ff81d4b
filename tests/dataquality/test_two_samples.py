"""Drift: the test keeps its level where nothing moved, and sees what did; gaps between groups."""

import numpy as np
import pytest
import torch
from scipy import stats

from deepwright.dataquality import classifier_two_sample_test, compare_groups, grouping, moved_columns


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_level_is_kept_where_both_sets_are_alike():
    source = seeded()
    small = {"permutations": 39, "features": 16}
    ps = []
    for seed in range(120):
        a, b = torch.randn(60, 4, generator=source), torch.randn(40, 4, generator=source)
        ps.append(classifier_two_sample_test(a, b, seed=seed, **small).p)
    ps = torch.tensor(ps)
    assert float((ps <= 0.05).double().mean()) <= 0.11  # 5 %, and three deviations
    assert stats.kstest(ps.numpy() - 0.0125, "uniform").pvalue > 0.005


def test_a_shift_and_a_change_of_spread_are_seen():
    source = seeded(1)
    a, b = torch.randn(300, 4, generator=source), torch.randn(300, 4, generator=source)
    for moved in (b + 0.5, 1.8 * b):
        found = classifier_two_sample_test(a, moved, permutations=99)
        assert found.p == pytest.approx(0.01)
        assert found.auroc.low > 0.5
    assert float(found.scores[300:].mean()) > float(found.scores[:300].mean())


def test_sets_of_one_value_are_alike():
    same = torch.ones(30, 2)
    assert classifier_two_sample_test(same, same).p == 1.0


def test_columns_are_compared_by_the_fields_tests():
    source = seeded(2)
    a, b = torch.randn(200, generator=source), 0.4 + torch.randn(150, generator=source)
    kinds = ["x"] * 100 + ["y"] * 60 + ["z"] * 40, ["x"] * 70 + ["y"] * 50 + ["z"] * 30
    found = {m.name: m for m in moved_columns({"n": a, "k": kinds[0]}, {"n": b, "k": kinds[1]})}
    reference = stats.ks_2samp(a.numpy(), b.numpy(), method="asymp")
    assert found["n"].statistic == pytest.approx(reference.statistic)
    assert found["n"].p == pytest.approx(2 * reference.pvalue)
    table = np.array([[100, 60, 40], [70, 50, 30]])
    assert found["k"].p == pytest.approx(stats.chi2_contingency(table).pvalue)
    assert found["k"].before + found["k"].after > 0


def test_rare_values_are_put_together():
    values = [str(i) for i in range(60)]
    (found,) = moved_columns({"id": values}, {"id": values})
    assert found.p == 1.0


def test_groups_have_their_means_and_exact_tests():
    names = ["a"] * 100 + ["b"] * 100 + ["c"] * 10
    right = torch.tensor([True] * 95 + [False] * 5 + [True] * 70 + [False] * 30 + [True] * 10)
    found, gaps = compare_groups(right, grouping(names))
    assert [g.name for g in found] == ["b", "a", "c"]
    (gap,) = gaps  # "c" is too small to be compared
    assert (gap.better, gap.worse, gap.gap.value) == ("a", "b", pytest.approx(0.25))
    assert gap.p == pytest.approx(stats.fisher_exact([[95, 5], [70, 30]]).pvalue)


def test_equal_groups_differ_by_chance_only():
    source = seeded(3)
    low = 0
    for seed in range(40):
        right = torch.rand(150, generator=source) < 0.8
        _, gaps = compare_groups(right, grouping(torch.arange(150) % 3), seed=seed)
        low += gaps[0].p < 0.05
    assert low <= 6


def test_columns_become_groups():
    assert grouping([True, False, True]).names == ("False", "True")
    assert grouping(torch.tensor([3.0, 1.0, float("nan")])).index.tolist() == [1, 0, -1]
    quarters = grouping(torch.arange(100.0))
    assert torch.bincount(quarters.index).tolist() == [25, 25, 25, 25]
