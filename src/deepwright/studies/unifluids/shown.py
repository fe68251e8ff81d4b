"""Tables and figures of the operator study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.physics.pictures import field_images
from deepwright.studies._frame import Runs, curve, mean
from deepwright.studies.unifluids.trials import BLOCKS, KINDS, LINE, MIXED, NFE, OURS, RECIPES, SHARES, STEPPERS

Arms = dict[str, Runs]
EVERY = "all dimensions"


def errors(equation: str, key: str = "1") -> Callable[[Any], float]:
    """Reads a trial's error on one equation.

    Args:
        equation: its name.
        key: "1" for one step of the sampler, "10" for ten, "persistence" and the like.
    """
    return lambda row: row["errors"][equation][key]


def error(arms: Arms, what: str, equation: str, key: str = "1") -> float:
    """An arm's mean error on one equation.

    Args:
        arms: the runs by kind.
        what: the arm.
        equation: its name.
        key: see `errors`.
    """
    return arms[what].mean(errors(equation, key))


def curve_of(arms: Arms, equation: str, key: str = "errors") -> list[float]:
    """Our mean error by number of steps of the sampler.

    Args:
        arms: the runs by kind.
        equation: its name.
        key: "errors" for Euler's steps, "heun" for Heun's.
    """
    return [mean([row["curve"][i][key][equation] for row in arms[OURS]]) for i in range(len(NFE))]


def tables(arms: Arms, steps: int, n: int) -> list[Table]:
    """All of them, the comparison of trainings first.

    Args:
        arms: the runs by kind.
        steps: of a joint training.
        n: seeds.
    """
    return [_trainings(arms, steps, n), _kinds(arms), _steps(arms), _dimensions(arms), _few(arms), _new(arms)]


def _trainings(arms: Arms, steps: int, n: int) -> Table:
    rows: list[list[Any]] = []
    for name in (*RECIPES, BLOCKS, *STEPPERS, *(f"only {k}" for k in LINE), EVERY):
        if name not in arms:
            continue
        known = arms[name][0]["errors"]
        one = [error(arms, name, k) if k in known else None for k in LINE]
        ten = [error(arms, name, k, "10") if k in known and "10" in known[k] else None for k in LINE]
        rows.append([name, *one, *ten, arms[name].mean(_seconds)])
    for simple in ("persistence", "extrapolation"):
        rows.append([simple, *(error(arms, OURS, k, simple) for k in LINE), None, None, None, None])
    return Table(
        ["training", *LINE, *(f"{k}, 10 steps" for k in LINE), "CPU seconds"],
        rows,
        "relative L2 error over 12 forecast frames of 60 test trajectories, one step of the sampler (in blocks of four "
        "frames; FNO and U-Net: frame by frame, one network an equation); width 64, 3 layers, "
        f"{steps} steps of 32 (single equations a third each), mean of {n} seeds",
    )


def _kinds(arms: Arms) -> Table:
    rows: list[list[Any]] = []
    for name in (OURS, MIXED):
        for kind in KINDS if name in arms else ():
            found = [row["kinds"][kind] for row in arms[name]]
            rows.append([name, kind, *(mean([row[k] for row in found]) for k in LINE)])
    return Table(
        ["training", "initial fields", *LINE],
        rows,
        "relative L2 error in one step by kind of initial field: plain waves, folded to |u|, or cut by a window; "
        "trained on plain ones, and on fields as PDEBench draws them (a tenth of either kind)",
    )


def _seconds(row: Any) -> float:
    return sum(row["seconds"].values()) if isinstance(row["seconds"], dict) else row["seconds"]


def _steps(arms: Arms) -> Table:
    ensemble = [mean([row["ensemble"][i] for row in arms[OURS]]) for i in range(2)]
    curves = [curve_of(arms, k, key) for key in ("errors", "heun") for k in LINE]
    seconds = [point["seconds"] for point in arms[OURS][0]["curve"]]
    return Table(
        ["steps", *LINE, *(f"{k}, Heun" for k in LINE), "CPU seconds"],
        [[n, *(c[i] for c in curves), seconds[i]] for i, n in enumerate(NFE)],
        f"steps of the sampler; an ensemble of 8 errs by {ensemble[0]:.3g} on Burgers in the mean, spread over error "
        f"{ensemble[1]:.2f}",
    )


def _dimensions(arms: Arms) -> Table:
    columns = {
        "1": "one step",
        "persistence": "persistence",
        "extrapolation": "extrapolation",
        "nrmse": "nRMSE",
        "low": "low modes",
        "middle": "middle",
        "high": "high",
        "mass": "mass",
        "spectrum": "log spectrum",
    }
    return Table(
        ["equation", *columns.values()],
        [[k, *(error(arms, EVERY, k, c) for c in columns)] for k in arms[EVERY][0]["errors"]],
        "one model for equations of one, two and three dimensions",
    )


def _sensed(arms: Arms, equation: str, key: str) -> list[float]:
    """Mean over seeds at each share of the places."""
    rows = arms["flow matching, sensors"]
    return [mean([row["sensors"][i][equation][key] for row in rows]) for i in range(len(SHARES))]


def _few(arms: Arms) -> Table:
    columns = [_sensed(arms, k, key) for key in ("error", "interpolated", "ratio") for k in LINE]
    names = [f"{k}{what}" for what in ("", ", interpolated first", ", spread over error") for k in LINE]
    return Table(
        ["share of places", *names],
        [[share, *(column[i] for column in columns)] for i, share in enumerate(SHARES)],
        "context frames known at random places only, by one model for all shares; ensembles of 8 in ten steps",
    )


def _new(arms: Arms) -> Table:
    held = arms["held out"]
    return Table(
        ["reaction-diffusion, never trained on", "error"],
        [[k, held.mean(k)] for k in held[0]],
        "zero-shot without name and parameters; 50 trajectories for the others",
    )


def figures(arms: Arms) -> list[Figure]:
    """All of them.

    Args:
        arms: the runs by kind.
    """
    label = "relative L2 error"
    by_steps = [curve(k, NFE, curve_of(arms, k)) for k in LINE]
    compared = [name for name in (*RECIPES, BLOCKS, *STEPPERS) if name in arms]
    by_recipe = [curve(name, LINE, [error(arms, name, k) for k in LINE]) for name in compared]
    ways = {"error": "", "interpolated": ", interpolated first"}
    sensors = [
        curve(f"{k}{more}", SHARES, _sensed(arms, k, key), dashed=key == "interpolated")
        for k in LINE
        for key, more in ways.items()
    ]
    more_steps, whole_frames = "More steps buy samples, not accuracy", "Sensors instead of whole frames"
    return [
        Figure("line", more_steps, by_steps, "steps of the sampler", label, log_x=True, log_y=True),
        Figure("bar", "One-step error by recipe", by_recipe, "equation", label, log_y=True),
        Figure("line", whole_frames, sensors, "share of places", label, log_x=True, log_y=True),
        Figure("images", "Burgers, frame against place; vorticity at the last frame", _images(arms)),
    ]


def _images(arms: Arms) -> list[dict[str, Any]]:
    frames = zip(("truth", "one step", "ten steps"), arms[OURS][0]["picture"])
    flow = zip(("vorticity, truth", "vorticity, one model for all"), arms[EVERY][0]["picture"])
    return [
        *field_images({name: f.numpy().T for name, f in frames}, extent=(0, 1, 0, 0.75), axes=("x", "t")),
        *field_images({name: f.numpy() for name, f in flow}),
    ]
