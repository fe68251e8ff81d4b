"""What a study's page calls a thing is what was measured, whichever seeds were run."""

import json
from pathlib import Path

import pytest

from deepwright.core.results import Table
from deepwright.studies import linear_grids
from deepwright.studies._frame import Runs
from deepwright.studies.fragility.choosing import PUSHED
from deepwright.studies.fragility.measures import FACTORS
from deepwright.studies.fragility.showing import soft_figure
from deepwright.studies.solve.shown import unsettled
from deepwright.studies.two_phase.shown import others_table

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def errors(value, **more):
    specs = tuple({"seed": s, "steps": 20} for s in range(5))
    return Runs(specs, tuple({"error": value * (1 + 0.01 * s), "seconds": 1.0, **more} for s in range(5)))


def test_a_claim_against_the_best_rival_has_the_same_words_whoever_is_best():
    """Else a check on other seeds, with another best rival, misses the claim and counts two differences."""

    def claims(best):
        arms = {("one band", name): errors(0.1 if name == best else 0.2) for name in linear_grids.RIVALS}
        return linear_grids._rival_claims(arms | {("one band", linear_grids.OURS): errors(0.01)})

    first, last = claims(linear_grids.RIVALS[0]), claims(linear_grids.RIVALS[-1])
    assert [c.text for c in first] == [c.text for c in last]
    assert [c.basis for c in first + last] == [f"seeds; the best rival is {linear_grids.RIVALS[i]}" for i in (0, -1)]


def test_the_figure_of_softness_names_the_arm_that_it_draws():
    row = {"softer ce": [0.5] * len(FACTORS), "softer confident": [0.0] * len(FACTORS)}
    runs = Runs(tuple({"seed": s} for s in range(2)), (row, row))
    names = [series["name"] for series in soft_figure({("w", "erm"): runs, ("w", PUSHED): runs}, "w").series]
    assert names == ["erm", PUSHED]


def test_one_network_has_the_steps_of_the_slabs_together():
    table = others_table({what: errors(0.1, u=0.1, p=0.1) for what in ("slabs", "whole")})
    assert table.column("steps") == [20, 60]


@pytest.mark.parametrize(
    ("row", "told"),
    [((2.0, 1.5, 3.0, 0.01), 0), ((2.0, 1.5, 3.0, 0.14), 1), ((0.5, 0.3, 0.9, 0.14), 1), ((2.0, 0.9, 4.0, 0.4), 0)],
)
def test_a_quotient_that_only_its_own_interval_settles_is_named(row, told):
    columns = ["problem", "optimiser", "quotient", "low", "high", "p (Holm)"]
    found = unsettled(Table(columns, [["Poisson", "BFGS", *row], ["Poisson", "Adam", 9.0, None, None, None]]))
    assert len(found) == told
    assert all("BFGS on Poisson." in line for line in found)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_claim_says_how_many_its_interval_stands_on(path):
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    for claim in json.loads(path.read_text(encoding="utf-8"))["claims"]:
        if claim.get("low") is not None:
            assert f"| {claim['n']} {claim['basis'] or 'seeds'} |" in page, claim["text"]
