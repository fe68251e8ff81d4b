"""What the fragility study says of rivals: the same words whoever is best, and tables that add up."""

import pytest

from deepwright.studies._frame import Runs
from deepwright.studies.fragility.arms import RIVALS
from deepwright.studies.fragility.claims import claims_on_rivals
from deepwright.studies.fragility.showing import beaten, best_rival, regimes_table, rivals_table, wins

WORLD = "5 % positives"
MEASURES = ("validation", "ce_matched", "accuracy", "nfi_matched", "confident_matched")
JITTER = (0.0, 0.01, -0.01, 0.02, -0.02)


def arms_of(best, **index):
    """Five seeds of every loss in one world, the best with the least validation loss."""
    specs = tuple({"seed": seed} for seed in range(5))
    return {
        (WORLD, name): Runs(
            specs,
            tuple(
                dict.fromkeys(MEASURES, 0.5)
                | {"validation": 0.1 if name == best else 0.2, "nfi_matched": index.get(name, 1.0) * (1 + e * i / 4)}
                for i, e in enumerate(JITTER)
            ),
        )
        for name in ("fragility", *RIVALS)
    }


def test_claims_have_the_same_words_whichever_rival_is_best():
    """Else a check on other seeds misses the claim and counts two differences."""
    found = []
    for best in ("erm", "chi2-dro"):
        arms = arms_of(best, fragility=0.9)
        assert best_rival(arms, WORLD) == best
        found.append(claims_on_rivals(arms, rivals_table(arms, [WORLD]), [WORLD], 5))
    assert [c.text for c in found[0]] == [c.text for c in found[1]]
    assert [c[0].basis for c in found] == ["seeds; the best rival is erm", "seeds; the best rival is chi2-dro"]


def test_who_is_beaten_is_counted_after_holm():
    arms = arms_of("erm", fragility=0.8, cvar=0.8)
    table = rivals_table(arms, [WORLD])
    assert beaten(table, WORLD) == [name for name in RIVALS if name != "cvar"]
    assert [row[1] for row in table.rows] == ["fragility", *RIVALS]


@pytest.mark.parametrize(("ours", "won"), [(0.8, 1), (1.0, 0), (1.2, 0)])
def test_a_regime_is_won_against_its_own_rival(ours, won):
    arms = arms_of("focal", fragility=ours)
    table = regimes_table(arms, {WORLD: best_rival(arms, WORLD)}, "A caption")
    assert wins(table) == won
    assert table.rows[0][:2] == [WORLD, "focal"]
    assert table.rows[0][table.columns.index("lowered by")] == pytest.approx(1 - ours)
