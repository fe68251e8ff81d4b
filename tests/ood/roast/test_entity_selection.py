"""Warping against a plain double loop; splits of entities, their guards, and what is shown of attacks."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.ood import EntitySelector, OutlierExposure, RiskProfile, dtw


def naive(a, b, band):
    reach = math.inf if band is None else max(band, abs(len(a) - len(b)))
    table = {(-1, -1): 0.0}
    for i in range(len(a)):
        for j in range(len(b)):
            if abs(i - j) <= reach:
                before = min(table.get(p, math.inf) for p in ((i - 1, j), (i, j - 1), (i - 1, j - 1)))
                table[i, j] = float((a[i] - b[j]) ** 2) + before
    return math.sqrt(table[len(a) - 1, len(b) - 1])


@pytest.mark.parametrize("band", [None, 0, 3, 40])
def test_warping_is_what_a_double_loop_finds(band):
    draws = torch.Generator().manual_seed(0)
    series = [torch.randn(n, generator=draws, dtype=torch.float64) for n in (30, 25, 30, 1, 18)]
    found = dtw(series, band)
    assert torch.equal(found, found.T)
    assert torch.equal(found.diagonal(), torch.zeros(5, dtype=torch.float64))
    for i in range(5):
        for j in range(i):
            assert float(found[i, j]) == pytest.approx(naive(series[i], series[j], band), abs=1e-10)


def profiles(risks, flips=None):
    draws = torch.Generator().manual_seed(1)
    found = {}
    for i, risk in enumerate(risks):
        series = risk * (1 + 0.1 * torch.rand(30, generator=draws).double())
        flip = 0.0 if flips is None else flips[i]
        found[f"e{i}"] = RiskProfile(series, float(series.mean()), flip)
    return found


@pytest.mark.parametrize("method", ["quantile", "dtw_hierarchical", "dtw_kmeans"])
def test_the_half_at_less_risk_is_kept_whatever_a_cluster_is_called(method):
    found = EntitySelector(method).fit(profiles([900, 5, 1000, 6, 1100, 7, 950, 8]))
    assert sorted(found.less_vulnerable_) == ["e1", "e3", "e5", "e7"]
    assert sorted(found.more_vulnerable_) == ["e0", "e2", "e4", "e6"]
    assert not found.warnings_
    assert (found.distances_ is None) == (method == "quantile")
    assert (found.linkage_ is None) == (method != "dtw_hierarchical")


def test_a_cluster_of_one_says_nothing():
    with pytest.warns(UserWarning, match="clusters of"):
        found = EntitySelector("dtw_hierarchical").fit(profiles([1, 2, 3, 4, 5, 10_000]))
    assert found.less_vulnerable_ == ["e0", "e1", "e2"]


def test_ties_and_unknown_risks():
    with pytest.warns(UserWarning, match="equal"):
        found = EntitySelector().fit({f"e{i}": RiskProfile(torch.zeros(3).double(), 0.0, 0.0) for i in range(4)})
    assert len(found.less_vulnerable_) == 4
    some = profiles([1, 2, 3, 4])
    some["e0"] = RiskProfile(torch.zeros(3).double(), math.nan, 0.0, "exposure_normalized")
    with pytest.warns(UserWarning, match="can't come to harm"):
        found = EntitySelector().fit(some)
    assert "e0" in found.more_vulnerable_
    with pytest.raises(InputError, match="4 or more"):
        EntitySelector().fit(profiles([1, 2, 3]))


def test_half_of_what_can_be_attacked_is_shown_attacked():
    draws = torch.Generator().manual_seed(2)
    benign = {name: torch.randn(4000, 3, 2, generator=draws) for name in "ab"}
    attacked = {name: x.clone() for name, x in benign.items()}
    for x in attacked.values():
        x[: len(x) // 2, 0, 0] += 1  # an early step of a window, which the authors' code doesn't look at
    found = OutlierExposure(seed=3).build(benign, attacked, ["b", "a"])
    assert found.names == ("b", "a")
    assert abs(float(found.y.double().mean()) - 0.25) < 3 * math.sqrt(0.25 * 0.25 / 4000)
    assert not found.y.view(2, -1)[:, 2000:].any()
    together = torch.cat([benign["b"], benign["a"]])
    assert torch.equal((found.x != together).flatten(1).any(1), found.y)
    assert torch.equal(found.benign, together[~found.y])
    again = OutlierExposure(seed=3).build(benign, attacked, ["b"])
    assert torch.equal(again.y, found.y[:4000])


def test_exposure_refuses_what_doesnt_fit():
    x = {"a": torch.zeros(3, 2, 1)}
    with pytest.raises(InputError, match="'b'"):
        OutlierExposure().build(x, x, ["b"])
    with pytest.raises(InputError, match="attacked windows of 'a'"):
        OutlierExposure().build(x, {"a": torch.full((3, 2, 1), math.nan)})
    with pytest.raises(InputError, match="mode"):
        OutlierExposure("shown")


def test_clusters_are_told_by_their_risk_and_unknown_risk_is_no_low_one():
    found = EntitySelector("dtw_kmeans").fit(profiles([900, 5, 1000, 6, 1100, 7, 950, 8], flips=[0.0, 0.9] * 4))
    assert sorted(found.less_vulnerable_) == ["e1", "e3", "e5", "e7"]
    some = profiles([900, 5, 1000, 6, 1100, 7, 950, 8])
    for name in ("e1", "e3"):
        some[name] = RiskProfile(some[name].series, math.nan, 0.0, "exposure_normalized")
    with pytest.warns(UserWarning, match="can't come to harm"):
        found = EntitySelector("dtw_hierarchical").fit(some)
    assert found.less_vulnerable_
    assert not {"e1", "e3"} & set(found.less_vulnerable_)


@pytest.mark.parametrize(("length", "band"), [(1, 0), (9, 0), (9, 2), (9, 30), (9, None)])
def test_warping_of_equal_lengths_is_the_naive_ones(length, band):
    series = torch.randn(4, length, generator=torch.Generator().manual_seed(3))
    found = dtw(series, band)
    for i in range(4):
        for j in range(i):
            assert float(found[i, j]) == pytest.approx(naive(series[i].double(), series[j].double(), band), abs=1e-10)
