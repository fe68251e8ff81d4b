"""Every committed result is held to what a machine can check of docs/evidence.md."""

from dataclasses import replace
from pathlib import Path

import pytest

from deepwright.core.results import Arm, Claim, Figure, StudyResult, Table
from deepwright.report.study import markdown
from deepwright.studies import STUDIES, evidence_faults, unsupported_numbers

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def committed(slug):
    return StudyResult.from_json(RESULTS / f"{slug}.json")


@pytest.mark.parametrize("slug", STUDIES)
def test_a_committed_result_is_evidence(slug):
    assert evidence_faults(committed(slug)) == []


@pytest.mark.parametrize("slug", STUDIES)
def test_a_committed_result_has_its_page_and_figures(slug):
    result = committed(slug)
    assert result.claims
    assert result.figures
    assert (RESULTS / f"{slug}.md").read_text(encoding="utf-8") == markdown(result)
    assert all((RESULTS / f"{slug}.{kind}").stat().st_size for kind in ("png", "svg"))


VALUES = [0.30, 0.32, 0.31, 0.29, 0.33]
GOOD = StudyResult(
    "tiny",
    [
        Claim.at_least("ours minus theirs", VALUES, 0.1),
        Claim.at_least("twice that", VALUES, 0.6).because("It is half of it.", "errors by arm"),
    ],
    Table(["arm", "error"], [["ours", 0.62], ["theirs", 0.9312]], "errors by arm, 5 seeds"),
    [Figure("bar", "Errors", [{"name": "ours", "x": ["a"], "y": [0.6], "low": [0.5], "high": [0.7]}])],
    seconds=12.0,
    settings={"seeds": [100, 101, 102, 103, 104], "epochs": 30},
    summary="After 30 epochs ours errs by 62%, theirs by 0.93: +0.310 apart.",
    arms=[
        Arm("ours", "lowest loss", "a split", "30 epochs", {"lr": [1, 2]}, 2, {"lr = 1": 5}),
        Arm("theirs", "lowest loss", "a split", "30 epochs", {"lr": [1, 2]}, 2, {"lr = 2": 5}),
    ],
    limits=["One data set."],
    machine={"cpu": "x", "cores": 2, "threads": 1, "torch": "2"},
)


def test_a_result_that_keeps_all_rules_has_no_fault():
    assert evidence_faults(GOOD) == []


def arms(**changes):
    return [GOOD.arms[0], replace(GOOD.arms[1], **changes)]


BARE = {"name": "theirs", "x": ["a"], "y": [1]}
BREACHES = {
    "no seeds recorded": ({"settings": {}}, "seeds aren't recorded"),
    "four seeds": ({"settings": {"seeds": [1, 2, 3, 4], "epochs": 30}}, "4 seeds"),
    "no arms": ({"arms": []}, "arms"),
    "a grid of another size": ({"arms": arms(tried=5)}, "different settings"),
    "another budget": ({"arms": arms(budget="90 epochs")}, "different budgets"),
    "another rule": ({"arms": arms(rule="last epoch")}, "different rules"),
    "an arm without budget": ({"arms": arms(budget="", why="x")}, "may cost"),
    "selected on nobody knows what": ({"arms": arms(data="")}, "on which data"),
    "no claim": ({"claims": []}, "nothing is claimed"),
    "decided by a mean alone": ({"claims": [Claim("c", 1.0, 0.5, ">=", True, 5)]}, "without its interval"),
    "a bar that nothing reaches": ({"claims": [Claim.at_most("c", VALUES, float("inf"))]}, "can't fail"),
    "a timing that wasn't had": (
        {"claims": [Claim.at_least("c", float("nan"), 1.5, timing=True, basis="median")]},
        "has no number",
    ),
    "a claim on three seeds": ({"claims": [Claim.at_least("c", VALUES[:3], 0.0)]}, "stands on 3 seeds"),
    "one number": ({"claims": [Claim.at_least("c", 1.0, 0.0)]}, "why that is enough"),
    "no reason": ({"claims": [Claim.at_least("c", VALUES, 0.6)]}, "without a reason"),
    "no experiment": ({"claims": [Claim.at_least("c", VALUES, 0.6).because("So.", "elsewhere")]}, "elsewhere"),
    "the same words twice": ({"claims": [GOOD.claims[0]] * 2}, "same words"),
    "a claim whose numbers say otherwise": (
        {"claims": [replace(GOOD.claims[1], holds=True)]},
        "its numbers say otherwise",
    ),
    "a claim without the measured in its interval": (
        {"claims": [replace(GOOD.claims[0], measured=9.0)]},
        "without what was measured",
    ),
    "a seed twice": ({"settings": {"seeds": [1, 2, 3, 4, 4], "epochs": 30}}, "comes twice"),
    "no summary": ({"summary": " "}, "no summary"),
    "no row": ({"table": Table(["arm"], [], "errors by arm")}, "is empty"),
    "an empty figure": ({"figures": [Figure("line", "t", [], note="none")]}, "draws nothing"),
    "no limits": ({"limits": [" "]}, "doesn't show"),
    "no machine": ({"machine": {}}, "machine"),
    "no seconds": ({"seconds": 0.0}, "seconds"),
    "no figure": ({"figures": []}, "draws nothing"),
    "bare bars": ({"figures": [Figure("bar", "t", [BARE])]}, "without intervals"),
    "bare bars beside others": (
        {"figures": [Figure("bar", "t", [*GOOD.figures[0].series, BARE])]},
        "without intervals",
    ),
    "a number from nowhere": ({"summary": "Ours errs by 0.617."}, "0.617"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_each_breach_is_told(breach):
    change, words = BREACHES[breach]
    faults = evidence_faults(replace(GOOD, **change))
    assert any(words in fault for fault in faults), faults


def test_an_arm_that_says_why_may_differ():
    assert evidence_faults(replace(GOOD, arms=arms(tried=1, budget="90 epochs", why="nothing to tune"))) == []


def test_arms_of_other_groups_may_differ():
    other = [replace(arm, group="b", budget="9 epochs") for arm in GOOD.arms]
    assert evidence_faults(replace(GOOD, arms=[*GOOD.arms, *other])) == []


def test_a_figure_that_says_why_may_have_no_intervals():
    bare = Figure("line", "t", [{"name": "a", "x": [1], "y": [1]}], note="one run")
    assert evidence_faults(replace(GOOD, figures=[bare])) == []


@pytest.mark.parametrize(
    "summary",
    [
        "0.93",
        "0.9312",
        "93 %",
        "93.1%",
        "9.3e-01",
        "-0.93",
        "W2 and ResNet-20 on CIFAR-10",
        "v1.2.3 of float64",
        "5 seeds, 30 epochs, seed 104",
        "no number",
    ],
)
def test_numbers_that_stand_on_the_page(summary):
    assert unsupported_numbers(replace(GOOD, summary=summary)) == []


@pytest.mark.parametrize(
    ("summary", "missing"),
    [
        ("0.94", ["0.94"]),
        ("0.9313", ["0.9313"]),
        ("94 %", ["94 %"]),
        ("9.4e-01", ["9.4e-01"]),
        ("1,234 of 0.62", ["1,234"]),
        ("7.7e99999 and 1e-9", ["7.7e99999", "1e-9"]),
        ("nan, -inf and information", ["nan", "-inf"]),
        ("[+0.62, -0.71]", ["-0.71"]),
    ],
)
def test_numbers_that_stand_nowhere(summary, missing):
    assert unsupported_numbers(replace(GOOD, summary=summary)) == missing


def test_a_reason_has_no_number_that_stands_nowhere_but_in_it():
    ours, theirs = GOOD.claims
    wrong = replace(GOOD, claims=[ours, replace(theirs, reason="It is half of 0.71.")])
    assert evidence_faults(wrong) == ["0.71, in the reason of claim 'twice that', stands in no claim or table"]
