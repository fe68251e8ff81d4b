"""What is claimed, and why what doesn't hold doesn't."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Claim
from deepwright.studies.tunnel.shown import (
    LINE_TABLE,
    PLANE_TABLE,
    RANDOM_TABLE,
    WRONG,
    Found,
    counted,
    threshold_wrong,
    wrong_absent,
    wrong_present,
)
from deepwright.studies.tunnel.training import RESIDUAL, WIDE

_COUNT = "a count over the networks of this page"


def claims_of(found: Found) -> list[Claim]:
    """All of them.

    Args:
        found: everything.
    """
    return [*_line(found), *_plane(found), *_random(found)]


def _line(found: Found) -> list[Claim]:
    rows = [row for runs in found.line.values() for row in runs]
    absent = [row["error"] for row in rows if row["verdict"] == "ABSENT"]
    below = [row for row in rows if row["error"] < 0.05]
    best = min(found.line["residual (1, 1)"].values("error"))
    return [
        _every(
            "parabola: mean-square error of each network that is proved to have no critical point",
            absent,
            WRONG - 1e-3,
            "No network was proved to have none, or the floor isn't one.",
            LINE_TABLE,
        ),
        Claim.at_most(
            "parabola: networks with an error below 0.05 whose verdict isn't PRESENT",
            float(len(below) - counted(below, "PRESENT")),
            0.0,
            basis=_COUNT,
        ).because("A search from 256 places missed the critical point of some.", LINE_TABLE),
        Claim.at_most(
            "parabola: least error of the residual networks (1, 1) over the seeds",
            best,
            0.01,
            basis="the best of the seeds: what the shape allows, not what training finds each time",
        ).because("Training stopped short of what the shape allows in every seed.", LINE_TABLE),
    ]


def _best_residual(residual: list[float]) -> list[Claim]:
    """Nothing where no seed has one."""
    if not residual:
        return []
    return [
        Claim.at_least(
            "disc in ring: best accuracy of a residual network (1, 1) with a verified critical point",
            max(residual),
            0.985,
            basis="the best of the seeds",
        ).because("Training stopped short of what the shape allows.", PLANE_TABLE),
    ]


def _plane(found: Found) -> list[Claim]:
    rows = [row for runs in found.plane.values() for row in runs]
    absent = [row for row in rows if row["verdict"] == "ABSENT" and row["starts"]]
    present = [row["accuracy"] for row in rows if row["verdict"] == "PRESENT"]
    residual = [row["accuracy"] for row in found.plane[RESIDUAL] if row["verdict"] == "PRESENT"]
    wide = sum(row["accuracy"] >= 0.985 and row["verdict"] == "PRESENT" for row in found.plane[WIDE])
    claims = [
        _every(
            "disc in ring: of each network proved to have no critical point, the share of enclosed points read rightly "
            "from which a way with the disc's label reaches the edge",
            [row["tunnels"] for row in absent],
            1.0,
            "A way stopped where the logit is flat to rounding.",
            PLANE_TABLE,
        ),
        _every(
            "disc in ring: share of the ring that each network proved to have no critical point reads wrongly",
            [row["wrong"] for row in absent],
            1e-5,
            "The tunnel passes between the grid's points.",
            PLANE_TABLE,
        ),
        *_best_residual(residual),
        Claim.at_least(
            "disc in ring: seeds in which the perceptron of width 3 has a verified critical point and an accuracy of "
            "0.985 or more",
            float(wide),
            4.0 / 5.0 * len(found.plane[WIDE]),
            basis=_COUNT,
        ).because("More width only allows a critical point; training needn't find it.", PLANE_TABLE),
    ]
    if absent and present:
        claims.append(
            Claim.at_least(
                "disc in ring: best accuracy of a network proved to have no critical point less the least one of a "
                "network with one, so that accuracy doesn't tell them apart",
                max(row["accuracy"] for row in absent) - min(present),
                0.0,
                basis="the two networks that lie nearest to each other",
            ).because(
                "Every network that can enclose the disc is more accurate than every one that can't.", PLANE_TABLE
            )
        )
    return claims


def _random(found: Found) -> list[Claim]:
    rows = found.all_random()
    return [
        Claim.at_most(
            "random networks: ABSENT where a fine grid has a critical point",
            float(sum(map(wrong_absent, rows))),
            0.0,
            basis=_COUNT,
        ).because("The proof or the grid is wrong.", RANDOM_TABLE),
        Claim.at_most(
            "random networks: PRESENT with a verified point beside which a fine grid has none",
            float(sum(map(wrong_present, rows))),
            0.0,
            basis=_COUNT,
        ).because("Two points that cancel lie in one cell of the grid.", RANDOM_TABLE),
        Claim.at_most(
            "random networks: share that is left UNDECIDED", counted(rows, "UNDECIDED") / len(rows), 0.25, basis=_COUNT
        ).because("Deep networks with large weights need more cells than were allowed.", RANDOM_TABLE),
        Claim.at_least(
            "random networks: share of the decided ones of which the threshold on the gradient says the opposite",
            sum(map(threshold_wrong, rows)) / max(1, len(rows) - counted(rows, "UNDECIDED")),
            0.1,
            basis=_COUNT,
        ).because("Few random networks have gradients that small without a critical point.", RANDOM_TABLE),
    ]


def _every(text: str, values: list[float], bar: float, reason: str, shown: str) -> Claim:
    """A claim of every network; of none it says nothing."""
    if not values:
        return Claim.at_least(text, float("nan"), bar, basis="no network has that verdict").because(reason, shown)
    return Claim.at_least(text, values, bar, every=True, basis="networks").because(reason, shown)


def arms_of(rule: str) -> dict[str, Any]:
    """What all arms have in common.

    Args:
        rule: of the selection.
    """
    return {"rule": rule, "data": "points of each seed that are neither trained nor tested on"}
