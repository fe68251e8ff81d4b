"""Drift: the test keeps its level where nothing moved, and sees what did; gaps between groups."""

import numpy as np
import pytest
import torch
from scipy import stats

from deepwright.dataquality import classifier_two_sample_test, compare_groups, grouping, moved_columns
from deepwright.dataquality.subgroups import _permuted
from deepwright.dataquality.two_samples import _areas, _cross_fitted


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_level_is_kept_where_both_sets_are_alike():
    source = seeded()
    small = {"permutations": 39, "features": 16}
    ps, away = [], 0
    for seed in range(120):
        a, b = torch.randn(60, 4, generator=source), torch.randn(40, 4, generator=source)
        found = classifier_two_sample_test(a, b, seed=seed, **small)
        ps.append(found.p)
        away += not found.auroc.low <= 0.5 <= found.auroc.high
    ps = torch.tensor(ps)
    assert away / len(ps) <= 0.11
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


def test_groups_bear_exact_names_and_unknown_values_are_in_none():
    assert grouping(np.array([10000001, 10000002, 10000003] * 4)).names == ("10000001", "10000002", "10000003")
    assert grouping(torch.tensor([0.1, 2.0, 0.1])).names == ("0.1", "2")
    found = grouping(np.array(["a", "b", float("nan"), None, ""], dtype=object))
    assert (found.names, found.index.tolist(), found.unknown) == (("a", "b"), [0, 1, -1, -1, -1], 3)
    assert len(set(grouping(np.arange(10000001, 10000101)).names)) == 4


def test_unknown_values_are_left_out_of_their_column_and_counted():
    a, b = np.arange(100.0), np.arange(60.0) + 70
    (whole,) = moved_columns({"n": a}, {"n": b})
    (holed,) = moved_columns({"n": np.append(a, [np.nan, np.inf])}, {"n": [*b, None]})
    assert (holed.p, holed.statistic, holed.before) == (whole.p, whole.statistic, whole.before)
    assert (whole.unknown, holed.unknown) == ((0, 0), (2, 1))


def test_objects_of_numbers_are_numbers_and_columns_come_in_any_order():
    a, b = np.array([1.0, 2.0] * 40, dtype=object), np.array([1, 2] * 40)
    found = moved_columns({"x": a, "y": b}, {"y": b, "x": b})
    assert [m.p for m in found] == [1.0, 1.0]
    assert [m.statistic for m in found] == [0.0, 0.0]


def test_numbers_of_any_size_give_one_answer():
    source = seeded(4)
    a, b = (torch.randn(n, 2, generator=source, dtype=torch.float64) for n in (50, 40))
    plain = classifier_two_sample_test(a, b + 1, permutations=19)
    for factor in (1e300, 1e-300):
        assert classifier_two_sample_test(a * factor, (b + 1) * factor, permutations=19).auroc == plain.auroc


def test_equal_scores_count_half():
    from sklearn.metrics import roc_auc_score

    scores = torch.randint(0, 4, (80, 3), generator=seeded(5)).double()
    sets = (torch.rand(80, 3, generator=seeded(6)) < 0.4).double()
    expected = [roc_auc_score(sets[:, k].numpy(), scores[:, k].numpy()) for k in range(3)]
    assert _areas(scores, sets).tolist() == pytest.approx(expected)
    same = torch.eye(3)[torch.arange(60) % 3]
    found = classifier_two_sample_test(same, same.clone(), permutations=99)
    assert found.p > 0.05


def test_the_fit_of_more_columns_than_rows_is_the_same_fit():
    x = torch.randn(40, 60, generator=seeded(7), dtype=torch.float64)
    y = (torch.arange(40) % 2).double()[:, None]
    fold = torch.arange(40) // 8
    seen = fold != 0
    inner = x[seen] - x[seen].mean(0)
    gram = inner.T @ inner + 0.5 * 32 * torch.eye(60, dtype=torch.float64)
    weight = torch.linalg.solve(gram, inner.T @ (y[seen] - y[seen].mean(0)))
    assert torch.allclose(_cross_fitted(x, y, fold, 0.5)[~seen], (x[~seen] - x[seen].mean(0)) @ weight)


def test_the_interval_of_the_largest_of_many_gaps_covers_no_gap():
    missed = 0
    for seed in range(25):
        right = torch.rand(400, generator=seeded(seed)) < 0.7
        _, gaps = compare_groups(right, grouping(torch.arange(400) % 8))
        widest = max(gaps, key=lambda g: g.gap.value)
        missed += widest.gap.low > 0
    assert missed <= 4  # 5 % are 1; with intervals of single pairs it is about half of them


@pytest.mark.parametrize("n", [60, 600])
def test_means_of_numbers_are_compared_at_their_level_and_far_gaps_are_seen(n):
    ps = []
    for seed in range(30):
        values = torch.rand(2 * n, generator=seeded(seed), dtype=torch.float64)
        ps.append(_permuted(values[:n], values[n:], seed))
        reference = stats.ttest_ind(values[:n].numpy(), values[n:].numpy()).pvalue
        assert ps[-1] == pytest.approx(reference, abs=0.04)
    apart = torch.cat([values[:n], values[n:] + 0.5])
    assert _permuted(apart[:n], apart[n:], 0) < 1e-4  # less than 2,000 permutations reach: many pairs ask for it
    assert _permuted(torch.ones(n), torch.ones(n), 0) == 1.0
