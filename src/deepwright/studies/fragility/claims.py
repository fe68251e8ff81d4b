"""What is claimed of training with FragilityLoss; each claim can fail, and says why where it does."""

from __future__ import annotations

from deepwright.core.results import Claim, Table
from deepwright.studies.fragility.arms import RIVALS
from deepwright.studies.fragility.choosing import Arms
from deepwright.studies.fragility.linear import MODELS
from deepwright.studies.fragility.paired import Gap, against, lowered
from deepwright.studies.fragility.showing import (
    AGAINST_ERM,
    BEST,
    EVERY_LOSS,
    LINEAR_MODELS,
    REGIMES,
    SOFT,
    TARGETS,
    beaten,
    best_rival,
    soft_gap,
    wins,
)

_SPLITS = "splits of one set"
_TARGET = (
    "A target that training can't meet leaves plain cross-entropy, which is what validation mostly picks; one that it "
    "meets flattens the probabilities, and the temperature undoes that."
)
_RIVALS = (
    "A target that no fit meets leaves plain cross-entropy, and with one that is met others that are selected alike "
    "come as low."
)
_FEW = "The test rows are so few that the interval holds gains and losses alike."


def claims_of(arms: Arms, by_nfi: Arms, n: int, regimes: Table, best: Table, linear: Table) -> list[Claim]:
    """All claims.

    Args:
        arms: chosen by validation cross-entropy.
        by_nfi: chosen by validation normalised FI.
        n: seeds.
        regimes: the table of regimes, against ERM.
        best: the same against the rivals that are best on validation.
        linear: the table of linear models.
    """
    found = [*_stand_in(arms, by_nfi, n), *_real(arms, n)]
    if ("30 % noise later", "erm") in arms:
        found.append(
            _least(
                "trained at 12 % noise, deployed at 30 %: matched cross-entropy is lower by at least 1 %",
                lowered(arms, "30 % noise later", "ce_matched"),
                0.01,
                n,
            ).because("The matched probabilities are no better before the drift, nor after it.", REGIMES)
        )
    return [
        *found,
        Claim.at_least(
            f"of {len(regimes.rows)} regimes, those in which the matched normalised FI is lower than ERM's (Holm)",
            float(wins(regimes)),
            1.0,
            basis="all regimes",
        ).because(_TARGET, REGIMES),
        Claim.at_least(
            f"of {len(best.rows)} regimes, those in which the matched normalised FI is lower than that of the rival "
            "that is best on validation (Holm)",
            float(wins(best)),
            1.0,
            basis="all regimes",
        ).because(_TARGET, BEST),
        Claim.at_least(
            f"of {len(linear.rows) // len(MODELS)} tables, those on which an exact linear classifier of least FI has a "
            "lower matched normalised FI than ridge logistic regression (Holm)",
            float(wins(linear)),
            1.0,
            basis="all tables",
        ).because(
            "Least FI by Wasserstein walks the path of ridge regression; by KL it ends at no better matched values.",
            LINEAR_MODELS,
        ),
    ]


def claims_on_rivals(arms: Arms, table: Table, names: list[str], n: int) -> list[Claim]:
    """FragilityLoss against all other losses in single regimes.

    Args:
        arms: chosen by data and method.
        table: of `rivals_table`.
        names: of the regimes.
        n: seeds.
    """
    found = []
    for data in names:
        rival = best_rival(arms, data)
        found += [
            _least(
                f"{data}: normalised FI at matched temperature is lower than that of the rival that is best on "
                "validation",
                lowered(arms, data, "nfi_matched", baseline=rival),
                0.0,
                n,
                f"seeds; the best rival is {rival}",
            ),
            Claim.at_least(
                f"{data}: of {len(RIVALS)} other losses, those whose matched normalised FI is higher (Holm)",
                float(len(beaten(table, data))),
                float(len(RIVALS)),
                basis="all losses",
            ),
        ]
    return [claim.because(_RIVALS, EVERY_LOSS) for claim in found]


def _stand_in(arms: Arms, by_nfi: Arms, n: int) -> list[Claim]:
    data = "stand-in"
    rarer = against(arms, data, "erm", "confident", "fragility", lambda row: 3 * row["confident"])
    return [
        _least(
            "stand-in: FI as trained is lower than ERM's by at least 25 %", lowered(arms, data, "fi"), 0.25, n
        ).because(_TARGET, TARGETS),
        _least(
            "stand-in: normalised FI at matched temperature is lower by at least 4 %",
            lowered(arms, data, "nfi_matched"),
            0.04,
            n,
        ).because(_TARGET, TARGETS),
        _least(
            "stand-in: normalised FI at matched temperature is lower by 4 %, every arm selected by it on validation "
            "data",
            lowered(by_nfi, data, "nfi_matched"),
            0.04,
            n,
        ).because(_TARGET, TARGETS),
        _least(
            "stand-in: confident errors as trained are at least 3 times rarer (ERM's share minus 3 times ours)",
            rarer,
            0.0,
            n,
        ).because(_TARGET, SOFT),
        _least(
            "stand-in: confident errors at matched temperature are rarer by 0.1 points (ERM's share minus ours)",
            against(arms, data, "erm", "confident_matched", "fragility"),
            0.001,
            n,
        ).because(_TARGET, TARGETS),
        _most(
            "stand-in: accuracy is not lower by more than 0.5 points (ERM's minus ours)",
            against(arms, data, "erm", "accuracy", "fragility"),
            0.005,
            n,
        ).because("The regimes' table has the difference with its interval.", REGIMES),
        _least(
            "stand-in, targets from 0.6: an ERM as soft has at most 0.1 points more confident errors (ours minus its)",
            soft_gap(arms, data),
            -0.001,
            n,
        ).because("At equal cross-entropy FragilityLoss has fewer.", SOFT),
        _most(
            "control without noise: normalised FI at matched temperature is lower by at most 2 %",
            lowered(arms, "no noise", "nfi_matched"),
            0.02,
            n,
        ).because("It is lower there too.", REGIMES),
    ]


def _real(arms: Arms, n: int) -> list[Claim]:
    data = "breast cancer"
    found = [
        _least(
            f"{data}: FI as trained is not higher than ERM's (lower by)", lowered(arms, data, "fi"), 0.0, n, _SPLITS
        ),
        _most(
            f"{data}: confident errors as trained are not more frequent (ours minus ERM's)",
            against(arms, data, "fragility", "confident"),
            0.0,
            n,
            _SPLITS,
        ),
        _most(
            f"{data}: accuracy within 2 points of ERM's (ERM's minus ours)",
            against(arms, data, "erm", "accuracy", "fragility"),
            0.02,
            n,
            _SPLITS,
        ),
    ]
    for name in (data, "heart failure"):
        if (name, "erm") in arms:
            found.append(
                _least(
                    f"{name}, by itself: normalised FI at matched temperature is lower by at least 1 %",
                    lowered(arms, name, "nfi_matched"),
                    0.01,
                    n,
                    _SPLITS,
                )
            )
    return [claim.because(_FEW, AGAINST_ERM) for claim in found]


def _least(text: str, gap: Gap, bar: float, n: int, basis: str = "") -> Claim:
    return Claim.at_least(text, gap.interval, bar, n=n, basis=basis)


def _most(text: str, gap: Gap, bar: float, n: int, basis: str = "") -> Claim:
    return Claim.at_most(text, gap.interval, bar, n=n, basis=basis)
