"""What decides a claim: the whole interval of a mean, the worst of every seed, a number that is no sample."""

import math

import pytest

from deepwright.core.errors import InputError
from deepwright.core.results import Arm, Claim, StudyResult, Table
from deepwright.core.statistics import Interval, mean_interval

VALUES = [0.9, 1.0, 1.1, 1.0, 1.2]  # mean 1.04, standard error 0.05099, t(0.975, 4) = 2.776445: 0.8984 to 1.1816


def test_the_interval_is_students():
    claim = Claim.at_least("c", VALUES, 0.5)
    half = 2.776445 * 0.1140175 / math.sqrt(5)
    assert (claim.measured, claim.low, claim.high) == pytest.approx((1.04, 1.04 - half, 1.04 + half), abs=1e-6)
    assert (claim.n, claim.spread) == (5, pytest.approx(0.1140175))


@pytest.mark.parametrize(
    ("bar", "at_least", "at_most"),
    [
        (0.89, "holds", "fails"),
        (0.91, "not shown", "not shown"),
        (1.17, "not shown", "not shown"),
        (1.19, "fails", "holds"),
    ],
)
def test_a_mean_is_decided_by_its_whole_interval(bar, at_least, at_most):
    assert Claim.at_least("c", VALUES, bar).verdict == at_least
    assert Claim.at_most("c", VALUES, bar).verdict == at_most


def test_exactly_one_of_three_verdicts_and_only_one_holds():
    for bar in (0.0, 0.9, 1.04, 1.1, 2.0):
        claim = Claim.at_least("c", VALUES, bar)
        assert claim.holds == (claim.verdict == "holds")


def test_values_without_spread_hold_at_the_bar():
    assert Claim.at_least("c", [1.0, 1.0, 1.0], 1.0).holds
    assert Claim.at_most("c", [1.0, 1.0, 1.0], 1.0).holds


def test_no_difference_in_any_seed_shows_none():
    claim = Claim.at_least("ours less theirs", [0.0] * 5, 0.0)
    assert claim.verdict == "not shown"
    assert Claim.at_most("ours less theirs", [0.0] * 5, 0.0).verdict == "not shown"
    assert Claim.at_least("in every seed", [0.0] * 5, 0.0, every=True).holds


@pytest.mark.parametrize("n", [3, 5, 6, 7, 10])
@pytest.mark.parametrize("value", [0.1, 0.3, 0.7, 1.1])
def test_no_rounding_decides_values_without_spread(value, n):
    assert Claim.at_least("c", [value] * n, value).holds
    assert Claim.at_most("c", [value] * n, value).holds


def test_no_number_is_a_bar():
    assert Claim.at_least("c", VALUES, math.nan).verdict == "no number: not shown"


@pytest.mark.parametrize(("values", "n"), [(VALUES, 100), (VALUES, 0), (mean_interval(VALUES), None)], ids=str)
def test_a_claim_says_over_how_many_seeds_it_was_measured(values, n):
    with pytest.raises(InputError, match="measured over"):
        Claim.at_least("c", values, 0.5, n=n)


def test_one_seed_shows_nothing():
    claim = Claim.at_least("c", [5.0], 1.0)
    assert (claim.holds, claim.verdict, claim.low) == (False, "one seed: not shown", None)


def test_a_mean_whose_interval_is_not_known_shows_nothing():
    claim = Claim.at_least("c", Interval(1.0, -math.inf, math.inf), 0.5, n=5)
    assert (claim.holds, claim.verdict, claim.low) == (False, "not shown", None)


def test_a_mean_does_not_decide_a_claim_of_every_seed():
    with pytest.raises(InputError, match="one a seed"):
        Claim.at_least("c", mean_interval(VALUES), 0.95, every=True, n=5)


def test_a_number_that_is_no_sample_decides_by_itself():
    claim = Claim.at_most("c", 1e-15, 1e-9, basis="a proof")
    assert (claim.verdict, claim.rule, claim.basis, claim.low) == ("holds", "once", "a proof", None)
    assert Claim.at_least("c", 0.4, 0.5).verdict == "fails"


def test_every_seed_is_decided_by_the_one_nearest_to_failing():
    low, high = Claim.at_least("c", VALUES, 0.95, every=True), Claim.at_most("c", VALUES, 1.25, every=True)
    assert (low.measured, low.verdict, low.n) == (0.9, "fails", 5)
    assert (high.measured, high.verdict) == (1.2, "holds")


def test_an_interval_from_elsewhere_decides_as_a_means():
    inside = Claim.at_least("c", Interval(2.0, 0.9, 4.0), 1.0, n=5)
    assert (inside.verdict, inside.n, inside.measured) == ("not shown", 5, 2.0)
    assert Claim.at_least("c", Interval(2.0, 1.1, 4.0), 1.0, n=5).verdict == "holds"


def test_an_interval_over_one_seed_shows_nothing():
    assert Claim.at_least("c", mean_interval([3.0]), 1.0, n=1).verdict == "one seed: not shown"


def test_a_value_that_is_no_number_shows_nothing():
    assert Claim.at_least("c", [1.0, math.nan, 2.0], 0.0).verdict == "no number: not shown"


def test_a_claim_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least one"):
        Claim.at_least("c", [], 0.0)


def test_a_claim_of_every_timing_is_refused():
    with pytest.raises(InputError, match="one of them"):
        Claim.at_least("c", VALUES, 0.0, every=True, timing=True)


def test_a_reason_stays_with_what_fails_only():
    failing, holding = Claim.at_least("c", VALUES, 2.0), Claim.at_least("c", VALUES, 0.5)
    assert failing.because("It is small.", "table") == Claim(
        **{**vars(failing), "reason": "It is small.", "experiment": "table"}
    )
    assert holding.because("It is small.", "table") == holding


def test_claims_arms_limits_and_machine_go_to_json_and_back(tmp_path):
    arm = Arm("ours", "lowest loss", "a split", "1 epoch", {"lr": [0.1, 0.2]}, 2, {"lr = 0.1": 5}, 1, "digits", "why")
    claims = [Claim.at_least("c", VALUES, 2.0).because("Small.", "t"), Claim.at_most("d", 1.0, 2.0, timing=True)]
    result = StudyResult("s", claims, Table(["a"], [[1]]), arms=[arm], limits=["much"], machine={"cpu": "x"})
    assert StudyResult.from_json(result.to_json(tmp_path / "r.json")) == result


def test_a_result_of_an_earlier_version_reads_and_keeps_its_verdicts():
    """Without intervals, rules, arms, limits and machine: what was said by the mean stays said."""
    claim = {"text": "c", "measured": 1.0, "threshold": 0.5, "sense": ">=", "holds": True, "n": 1, "spread": 0.0}
    data = {"study": "s", "claims": [claim, {**claim, "holds": False}], "table": {"columns": ["a"], "rows": [[1]]}}
    result = StudyResult.from_dict(data)
    assert [c.verdict for c in result.claims] == ["holds", "fails"]
    assert (result.arms, result.limits, result.machine) == ([], [], {})
