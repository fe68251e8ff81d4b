"""What the kinetic runs look like: energies over time, and densities in phase space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepwright.core.results import Figure
from deepwright.physics.pictures import field_images
from deepwright.studies._frame import Runs, banded, curve
from deepwright.studies.kinetic.mixtures import HALVED, SIDE, VALLEYS, mixture_density
from deepwright.studies.kinetic.ten import CONTROLS
from deepwright.studies.kinetic.ten import TAU as TEN_TAU

Arms = dict[Any, Runs]


def figures(schemes: Arms, ten: Arms, others: Arms, truth: list[float]) -> list[Figure]:
    """All of them.

    Args:
        schemes: runs on the mixture.
        ten: runs in ten dimensions, by control.
        others: the rest.
        truth: exact free energies in ten dimensions.
    """
    well, plasma = others["double well"], others["plasma"]
    times = [TEN_TAU * i for i in range(len(truth))]
    fixed = schemes["constrained"][0]["times"]
    names = {"constrained": "kinetic JKO", "split": "split", "score": "score matching"}
    errors = [_errors(schemes[arm], name) for arm, name in names.items()]
    gaps = [_over(ten[c], c, times, lambda row: [e - t for e, t in zip(row["energies"], truth)]) for c in CONTROLS]
    grid_name, note = "grid, no collisions", "dashed: solved on a grid once, without seeds"
    return [
        Figure("bar", "Distance from the exact mixture at t = 1", errors, "measure", "distance", log_y=True),
        Figure(
            "line",
            "Free energy of the mixture",
            [_over(schemes[arm], name, fixed, lambda row: row["energies"]) for arm, name in names.items()],
            "time",
            "free energy",
        ),
        Figure("line", "Ten dimensions: free energy over the exact one", gaps, "time", "free energy, ours less exact"),
        Figure(
            "line",
            "Double well",
            [
                _over(well, "kinetic JKO", well[0]["times"], lambda row: row["energies"]),
                curve("grid of 512 x 512", well[0]["times"], well[0]["truth"], dashed=True),
            ],
            "time",
            "free energy",
            note=note,
        ),
        Figure(
            "line",
            "A plasma wave with collisions",
            [
                _over(plasma, "kinetic JKO", plasma[0]["times"], lambda row: row["field energy"]),
                curve("grid", plasma[0]["times"], plasma[0]["grid"], dashed=True),
                curve(grid_name, plasma[0]["times"], plasma[0]["no friction"], dashed=True),
            ],
            "time",
            "field energy",
            log_y=True,
            note=note,
        ),
        Figure("images", "Phase-space density at t = 1, first seed", _densities(schemes)),
    ]


def _over(runs: Runs, name: str, x: list[float], read: Callable[[Any], list[float]]) -> dict[str, Any]:
    """A series over time, in the mean over seeds."""
    return banded(name, x, list(zip(*(read(row) for row in runs))))


def _errors(runs: Runs, name: str) -> dict[str, Any]:
    return banded(
        name, ["sliced W2", "size of the KL divergence"], [runs.values("w2"), [abs(v) for v in runs.values("kl")]]
    )


def _densities(schemes: Arms) -> list[dict[str, Any]]:
    remedy = next(iter(VALLEYS))
    ours = {"kinetic JKO": "constrained", remedy: remedy, HALVED: HALVED}
    fields = {"start": mixture_density(), "exact": schemes["constrained"][0]["picture"]["exact"]}
    fields |= {name: schemes[arm][0]["picture"]["ours"] for name, arm in ours.items()}
    images = {name: f.numpy() for name, f in fields.items()}
    return field_images(images, extent=(-SIDE, SIDE, -SIDE, SIDE), axes=("x", "v"))  # on one colour scale
