"""What the kinetic runs look like: energies over time, and densities in phase space."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Figure
from deepwright.physics.pictures import field_images
from deepwright.studies._frame import Runs, curve
from deepwright.studies.kinetic.trials import TEN_STEP


def figures(arms: dict[str, Runs]) -> list[Figure]:
    """All of them, of the first seeds.

    Args:
        arms: the runs by kind.
    """
    ten, well, plasma = (arms[what][0] for what in ("ten dimensions", "double well", "plasma"))
    ten_times = [TEN_STEP * i for i in range(len(ten["energies"]))]
    energies, field = ("time", "free energy"), ("time", "field energy")
    return [
        Figure("line", "Free energy of the mixture (first seed)", _mixture(arms), *energies),
        Figure("line", "Ten dimensions", _against(ten, ten_times, "energies", {"exact": "truth"}), *energies),
        Figure(
            "line", "Double well", _against(well, well["times"], "energies", {"grid of 512 x 512": "truth"}), *energies
        ),
        Figure(
            "line",
            "A plasma wave with collisions",
            _against(plasma, plasma["times"], "field energy", {"grid": "grid", "grid, no collisions": "no friction"}),
            *field,
            log_y=True,
        ),
        Figure("images", "Phase-space density", _densities(arms["constrained"][0]["picture"])),
    ]


def _mixture(arms: dict[str, Runs]) -> list[dict[str, Any]]:
    fixed = arms["constrained"][0]["times"]
    rows = {what: arms[what][0] for what in ("constrained", "split", "adaptive", "score")}
    return [curve(what, row.get("times", fixed), row["energies"]) for what, row in rows.items()]


def _against(row: dict[str, Any], times: list[float], ours: str, truths: dict[str, str]) -> list[dict[str, Any]]:
    """Our curve, and dashed what it is held against."""
    return [
        curve("kinetic JKO", times, row[ours], dashed=False),
        *(curve(name, times, row[key], dashed=True) for name, key in truths.items()),
    ]


def _densities(picture: dict[str, Any]) -> list[dict[str, Any]]:
    names = {"start": "start", "kinetic JKO, t = 1": "ours", "exact, t = 1": "exact"}
    densities = {name: picture[key].numpy() for name, key in names.items()}
    return field_images(densities, extent=(-3.5, 3.5, -3.5, 3.5), axes=("x", "v"))  # on one colour scale
