"""Weak slices: a planted one is found and nothing is found in noise."""

import numpy as np
import pytest
import torch

from deepwright.core.statistics import share_difference
from deepwright.dataquality import find_weak_slices, literals_of, picture_statistics
from deepwright.dataquality.resampling import subset_sums


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def attributes(n, source, more=6):
    found = {"age": torch.randn(n, generator=source), "site": torch.randint(0, 5, (n,), generator=source)}
    return found | {f"x{i}": torch.randn(n, generator=source) for i in range(more)}


@pytest.mark.parametrize("binary", [True, False])
def test_a_planted_slice_is_found_with_its_words_and_rows(binary):
    source = seeded()
    known = attributes(2000, source)
    inside = (known["age"] > float(known["age"].quantile(0.75))) & (known["site"] == 2)
    losses = (torch.rand(2000, generator=source) < 0.05 + 0.4 * inside).double()
    losses = losses if binary else losses + 0.1 * torch.randn(2000, generator=source)
    found, _ = find_weak_slices(losses, known)
    assert "age >" in found[0].words
    assert "site = 2" in found[0].words
    assert set(found[0].rows.tolist()) == set(inside.nonzero().flatten().tolist())
    assert found[0].gap.low < 0.4 < found[0].gap.high
    assert found[0].p < 0.01


def test_no_slice_stands_where_errors_fall_by_chance():
    source = seeded(1)
    known = attributes(400, source, more=2)
    losses = (torch.rand(400, generator=source) < 0.2).double()
    false = 0
    for seed in range(80):
        mixed = losses[torch.randperm(400, generator=source)]
        false += bool(find_weak_slices(mixed, known, seed=seed)[0])
    assert false <= 8  # 5 % are 4; more than 8 come once in 50


def test_without_errors_or_attributes_nothing_is_found():
    assert find_weak_slices(torch.zeros(200), {"a": torch.arange(200)}) == ([], [])
    assert find_weak_slices(torch.ones(200), {"a": torch.zeros(200)}) == ([], [])
    assert find_weak_slices(torch.ones(10), {"a": torch.arange(10)}) == ([], [])


def test_statements_cut_numbers_into_quarters_and_take_values_one_by_one():
    known = literals_of({"n": np.arange(100.0), "kind": ["a", "b"] * 50, "gap": [np.nan, 1.0] * 50})
    counts = dict(zip(known.words, known.holds.sum(0).tolist()))
    assert sorted(v for k, v in counts.items() if "n" in k and "kind" not in k) == [25, 25, 25, 25]
    assert counts["kind = a"] == 50
    assert counts["gap = 1"] == 50
    assert not any("nan" in word for word in known.words)


def test_statistics_of_pictures_have_closed_forms():
    half = torch.zeros(1, 3, 32, 32)
    half[:, :, :, 16:] = 1.0
    flat = torch.full((1, 3, 32, 32), 0.25)
    red = torch.zeros(1, 3, 32, 32)
    red[:, 0] = 1.0
    found = picture_statistics(torch.cat([half, flat, red]))
    assert found["brightness"].tolist() == pytest.approx([0.5, 0.25, 0.299], abs=1e-5)
    assert found["contrast"].tolist() == pytest.approx([0.5, 0.0, 0.0], abs=1e-5)
    assert found["sharpness"][0] > found["sharpness"][1] == pytest.approx(0.0, abs=1e-6)
    assert found["colourfulness"].tolist() == pytest.approx([0.0, 0.0, 0.3 * (1 + 0.25) ** 0.5], abs=1e-5)
    assert "colourfulness" not in picture_statistics(torch.rand(2, 1, 8, 8))


def test_newcombes_interval_of_a_difference_is_his_example():
    found = share_difference(56, 70, 48, 80)  # Newcombe (1998), method 10
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_slices_are_the_same_whatever_is_added_to_all_losses():
    source = seeded(2)
    known = attributes(600, source, more=2)
    losses = (torch.rand(600, generator=source, dtype=torch.float64) + 0.5 * (known["site"] == 2)).round(decimals=3)
    found = [find_weak_slices(losses + by, known)[0] for by in (0.0, -5.0, 7.0)]
    assert found[0][0].words == "site = 2"
    assert len({tuple(s.words for s in some) for some in found}) == 1
    assert [s.p for s in found[1]] == [s.p for s in found[0]]


def test_statements_name_values_exactly_and_hold_for_no_unknown_value():
    known = literals_of({"id": np.array([10000001, 10000002, 10000003] * 10)})
    assert known.words == ("id = 10000001", "id = 10000002", "id = 10000003")
    many = literals_of({"id": np.arange(10000001, 10000101)})
    assert len(set(many.words)) == 4
    mixed = literals_of({"s": np.array(["a", "b", np.nan, None] * 10, dtype=object)})
    assert set(mixed.words) == {"s = a", "s = b"}
    assert mixed.holds.sum(0).tolist() == [10, 10]
    endless = literals_of({"x": [*range(98), np.inf, -np.inf]})
    assert int(endless.holds.sum()) == 98


def test_sums_over_subsets_have_the_mean_and_variance_of_drawing_without_replacement():
    values = torch.randn(40, generator=seeded(), dtype=torch.float64)
    n, mean, spread = len(values), float(values.mean()), float(values.var())
    for k, sums in zip((5, 20, 39), subset_sums(values, [5, 20, 39], 4000, 0)):
        deviation = (k * (n - k) / n * spread) ** 0.5
        assert abs(sums.mean() - k * mean) < 5 * deviation / 4000**0.5
        assert sums.std() == pytest.approx(deviation, rel=0.06)
    assert np.allclose(subset_sums(values, [40], 3, 0), float(values.sum()))
