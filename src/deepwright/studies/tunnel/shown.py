"""Tables, figures and the sentence on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from deepwright.core.results import Figure, Table
from deepwright.studies._frame import Runs, mean
from deepwright.studies.tunnel.training import LINE, PLANE

LINE_TABLE = "The parabola on [-1, 1]"
PLANE_TABLE = "A disc inside a ring"
RANDOM_TABLE = "Random networks against a fine grid"
_ONE = "Of each arm the one network with the least error, hence no intervals."
WRONG = 0.05625  # mean-square error of the best monotone fit of x^2


@dataclass(frozen=True)
class Found:
    """Everything.

    Attributes:
        line: by arm.
        plane: by arm.
        random: all, by number of dimensions.
    """

    line: dict[str, Runs]
    plane: dict[str, Runs]
    random: dict[int, Runs]

    def all_random(self) -> list[dict[str, Any]]:
        """Rows of every random network."""
        return [row for runs in self.random.values() for row in runs]


def counted(rows: Any, verdict: str) -> int:
    """How many have a verdict.

    Args:
        rows: of trials.
        verdict: of the three.
    """
    return sum(row["verdict"] == verdict for row in rows)


def tables(found: Found) -> list[Table]:
    """Of the three parts.

    Args:
        found: everything.
    """
    columns = [
        "skip, residual",
        "ABSENT",
        "PRESENT",
        "UNDECIDED",
        "monotone",
        "least error",
        "mean error",
        "largest error",
    ]
    rows: list[list[Any]] = []
    for arm in LINE:
        runs = found.line[arm]
        errors = runs.values("error")
        verdicts = [counted(runs, v) for v in ("ABSENT", "PRESENT", "UNDECIDED")]
        rows.append([arm, *verdicts, sum(runs.values("monotone")), min(errors), mean(errors), max(errors)])
    line = Table(
        columns, rows, f"{LINE_TABLE}: networks by verdict, and mean-square error (monotone maps: {WRONG} at best)"
    )
    columns = [
        *("network", "ABSENT", "PRESENT", "UNDECIDED", "least accuracy", "best accuracy"),
        *("tunnels from right points", "share of the ring read wrongly", "critical points"),
    ]
    rows = []
    for arm in PLANE:
        runs = found.plane[arm]
        accuracy = runs.values("accuracy")
        verdicts = [counted(runs, v) for v in ("ABSENT", "PRESENT", "UNDECIDED")]
        more = [mean(runs.values(name)) for name in ("tunnels", "wrong", "points")]
        rows.append([arm, *verdicts, min(accuracy), max(accuracy), *more])
    plane = Table(
        columns, rows, f"{PLANE_TABLE}: networks by verdict, accuracy on 600 points, and what leads out of the disc"
    )
    return [line, plane, _random(found)]


def _random(found: Found) -> Table:
    columns = [
        *("dimensions", "networks", "ABSENT", "PRESENT", "UNDECIDED", "ABSENT where the grid has one"),
        *("PRESENT where the grid has none", "threshold wrong"),
    ]
    rows: list[list[Any]] = []
    for n, runs in found.random.items():
        verdicts = [counted(runs, v) for v in ("ABSENT", "PRESENT", "UNDECIDED")]
        wrong = [sum(map(wrong_absent, runs)), sum(map(wrong_present, runs)), sum(map(threshold_wrong, runs))]
        rows.append([n, len(runs), *verdicts, *wrong])
    return Table(columns, rows, f"{RANDOM_TABLE}, and the rule that a gradient below 1e-4 is a critical point")


def wrong_absent(row: dict[str, Any]) -> bool:
    """Whether the grid has a critical point where the proof says that there is none.

    Args:
        row: of a random network.
    """
    return row["verdict"] == "ABSENT" and row["grid"] > 0


def wrong_present(row: dict[str, Any]) -> bool:
    """Whether a verified point lies where the grid has none.

    Args:
        row: of a random network.
    """
    return row["verdict"] == "PRESENT" and row["unseen"] > 0


def threshold_wrong(row: dict[str, Any]) -> bool:
    """Whether the threshold contradicts a decided verdict.

    Args:
        row: of a random network.
    """
    return row["verdict"] != "UNDECIDED" and row["threshold"] != (row["verdict"] == "PRESENT")


def figures(found: Found) -> list[Figure]:
    """Maps of disc and ring, and fits of the parabola.

    Args:
        found: everything.
    """
    pictures = []
    for arm, runs in found.plane.items():
        row = runs[0]
        caption = f"{arm}: {row['verdict']}"
        pictures.append({"png": row["picture"], "caption": caption, "note": f"accuracy {row['accuracy']:.3f}"})
    note = (
        "Orange is read as the disc, blue as the ring; black: ways along the gradient, which keep their label to the "
        "edge; white squares: verified critical points. First seed."
    )
    x = torch.linspace(-1, 1, 2001)[::40].tolist()
    series = [
        {"name": arm, "x": x, "y": min(runs, key=_error)["values"], "smooth": True} for arm, runs in found.line.items()
    ]
    series.append({"name": "x squared", "x": x, "y": [v * v for v in x], "dashed": True, "smooth": True})
    return [
        Figure("images", "A disc inside a ring: what the shape of a network forbids", pictures, note=note),
        Figure("line", "The best fits of the parabola", series, "x", "value", note=_ONE),
    ]


def _error(row: dict[str, Any]) -> float:
    return float(row["error"])


def summary(found: Found) -> str:
    """The sentence on top.

    Args:
        found: everything.
    """
    absent = [row for runs in found.plane.values() for row in runs if row["verdict"] == "ABSENT"]
    best = max((row["accuracy"] for row in absent), default=float("nan"))
    random = "; ".join(
        f"of {len(runs)} with n = {n} inputs {counted(runs, 'ABSENT')} are proved to have no critical point, "
        f"{counted(runs, 'PRESENT')} have a verified one and {counted(runs, 'UNDECIDED')} are left undecided"
        for n, runs in found.random.items()
    )
    return (
        f"Random networks: {random}. On a disc inside a ring {len(absent)} trained networks are proved unable to "
        f"enclose the disc; the best of them has an accuracy of {best:.4g}."
    )
