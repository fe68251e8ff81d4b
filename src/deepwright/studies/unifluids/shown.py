"""Tables and figures of the operator study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.physics.pictures import field_images
from deepwright.studies._frame import Runs, banded, cells, columns, mean, over_trials
from deepwright.studies.unifluids.shocks import PATCHES
from deepwright.studies.unifluids.trials import (
    BLOCKS,
    DIRECT,
    EVERY,
    HELD_OUT,
    JIT,
    KINDS,
    LINE,
    LONGER,
    MIXED,
    NFE,
    OURS,
    SENSORS,
    SHARES,
    STEPPERS,
)

Arms = dict[Any, Runs]
SINGLE = tuple(f"only {k}" for k in LINE)
EVERY_TRAINING = (DIRECT, LONGER, OURS, JIT, SENSORS, MIXED, *STEPPERS, BLOCKS, *SINGLE, EVERY)
TRAININGS = "Relative L2 error over 12 forecast frames"
BY_KIND = "Error by kind of initial field"
BY_PATCH = "Patch sizes against shocks"
BY_STEPS = "Steps of the sampler"
BY_DIMENSION = "One model for equations of one, two and three dimensions"
FEW = "Context at random places only"
NEW = "Reaction-diffusion, never trained on"
BY_WIDTH = "Narrow networks"
BESIDES = "What a step takes, and what a patch holds"
BY_RATE = "Learning rates tried"
FINER = "Twice as many points as in training"


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


def _cells(values: list[float]) -> tuple[float | None, ...]:
    return cells(over_trials(values))


def trainings_table(arms: Arms, seeds: int) -> Table:
    """Every training's error on the three equations.

    Args:
        arms: the runs by kind.
        seeds: how many.
    """
    rows: list[list[Any]] = []
    for name in EVERY_TRAINING:
        if name not in arms:
            continue
        known = arms[name][0]["errors"]
        cells = [c for k in LINE for c in (arms[name].cells(errors(k)) if k in known else [None] * 3)]
        rows.append([name, *cells, arms[name].mean("seconds")])
    for simple in ("persistence", "extrapolation"):
        rows.append([simple, *(c for k in LINE for c in arms[OURS].cells(errors(k, simple))), None])
    return Table(
        ["training", *columns(*LINE), "CPU seconds"],
        rows,
        f"{TRAININGS} of 60 test trajectories of plain waves (PDEBench's fields for the training so called), one step "
        "of the sampler; single pass in blocks of four frames; FNO and U-Net frame by frame, one network an equation; "
        "width 64, 3 layers, 2000 steps of 32 trajectories, single equations a third each, all dimensions a half; "
        f"{seeds} seeds",
    )


def kinds_table(arms: Arms) -> Table:
    """Errors by kind of initial field.

    Args:
        arms: the runs by kind.
    """
    rows: list[list[Any]] = []
    for name in (DIRECT, OURS, MIXED, *STEPPERS):
        for kind in KINDS if name in arms else ():
            found = [row["kinds"][kind] for row in arms[name]]
            rows.append([name, kind, *(c for k in LINE for c in _cells([row[k] for row in found]))])
    return Table(
        ["training", "initial fields", *columns(*LINE)],
        rows,
        f"{BY_KIND}: plain waves, folded to |u|, or cut by a window; all but one trained on plain ones, "
        "that one on fields as PDEBench draws them (a tenth of either kind); one step of the sampler",
    )


def patch_table(shocks: Arms) -> Table:
    """Errors by size of the patches.

    Args:
        shocks: the runs by patch.
    """
    keys = ("all", *KINDS, "at shocks", "elsewhere")
    rows: list[list[Any]] = [
        [f"{p[0]} x {p[1]}", 16 * 64 // (p[0] * p[1])]
        + [c for key in keys for c in shocks[p].cells(key)]
        + [shocks[p].mean("seconds")]
        for p in PATCHES
    ]
    return Table(
        ["frames x places", "tokens", *columns(*keys), "CPU seconds"],
        rows,
        f"{BY_PATCH}: a single pass on Burgers alone, trained and tested on fields as PDEBench draws them, as many "
        "steps for each size; at shocks: the steepest twentieth of each frame; RMS errors over the fields' RMS",
    )


def steps_table(arms: Arms) -> Table:
    """Errors by number of the sampler's steps.

    Args:
        arms: the runs by kind.
    """
    ensemble = [mean([row["ensemble"][i] for row in arms[OURS]]) for i in range(2)]
    rows: list[list[Any]] = []
    for i, n in enumerate(NFE):
        euler = [c for k in LINE for c in _cells([row["curve"][i]["errors"][k] for row in arms[OURS]])]
        heun = [mean([row["curve"][i]["heun"][k] for row in arms[OURS]]) for k in LINE]
        rows.append([n, *euler, *heun, mean([row["curve"][i]["seconds"] for row in arms[OURS]])])
    return Table(
        ["steps", *columns(*LINE), *(f"{k}, Heun" for k in LINE), "CPU seconds"],
        rows,
        f"{BY_STEPS}; an ensemble of 8 in ten steps errs by {ensemble[0]:.3g} on Burgers in the mean, spread over "
        f"error {ensemble[1]:.2f}",
    )


def dimensions_table(arms: Arms) -> Table:
    """One model for all dimensions.

    Args:
        arms: the runs by kind.
    """
    more = {
        "persistence": "persistence",
        "extrapolation": "extrapolation",
        "nrmse": "nRMSE",
        "low": "low modes",
        "middle": "middle",
        "high": "high modes",
        "mass": "mass",
        "spectrum": "log spectrum",
    }
    rows: list[list[Any]] = [
        [k, *arms[EVERY].cells(errors(k)), *(error(arms, EVERY, k, c) for c in more)] for k in arms[EVERY][0]["errors"]
    ]
    return Table(["equation", *columns("one step"), *more.values()], rows, f"{BY_DIMENSION}, 1000 steps")


def _sensed(arms: Arms, equation: str, key: str) -> list[list[float]]:
    """Values over seeds at each share of the places."""
    return [[row["sensors"][i][equation][key] for row in arms[SENSORS]] for i in range(len(SHARES))]


def few_table(arms: Arms) -> Table:
    """Context at some places only.

    Args:
        arms: the runs by kind.
    """
    columns = [[mean(v) for v in _sensed(arms, k, key)] for key in ("error", "interpolated", "ratio") for k in LINE]
    names = [f"{k}{what}" for what in ("", ", interpolated first", ", spread over error") for k in LINE]
    return Table(
        ["share of places", *names],
        [[share, *(column[i] for column in columns)] for i, share in enumerate(SHARES)],
        f"{FEW}, by one model for all shares; ensembles of 8 in ten steps",
    )


def new_table(arms: Arms) -> Table:
    """An equation that was never trained on.

    Args:
        arms: the runs by kind.
    """
    held = arms[HELD_OUT]
    return Table(
        ["way", *columns("error")],
        [[k, *held.cells(k)] for k in held[0]],
        f"{NEW}: zero-shot without name and parameters; 50 trajectories for the others",
    )


def finer_table(arms: Arms) -> Table:
    """Forecasts on another grid than that of training.

    Args:
        arms: the runs by kind.
    """
    rows: list[list[Any]] = [
        [k, *(c for i in range(2) for c in _cells([row["finer"][k][i] for row in arms[OURS]]))] for k in LINE
    ]
    return Table(
        ["equation", *columns("whole", "as two interleaved grids")],
        rows,
        f"{FINER}: error on 128 points over that on 64; a patch of 16 of them covers half the length, which the "
        "network has never seen; two interleaved grids have the old spacing",
    )


def narrow_table(narrow: Arms) -> Table:
    """Narrow networks.

    Args:
        narrow: the runs by kind and steps.
    """
    rows: list[list[Any]] = [[*kind, steps, *runs.cells("error")] for (kind, steps), runs in narrow.items()]
    return Table(
        ["predicted", "loss on", "width", "steps of training", *columns("error at 10 steps")],
        rows,
        f"{BY_WIDTH}: four numbers decide a field of 512 values",
    )


def times_table(times: dict[str, float], ours: Runs) -> Table:
    """What a step and a forecast take, and how many numbers a patch holds.

    Args:
        times: CPU milliseconds by what is done.
        ours: the joint trainings.
    """
    components, _, values = ours[0]["dimension"]
    rows: list[list[Any]] = [[f"{name}: CPU ms", ms] for name, ms in times.items()]
    rows += [["values in a patch", values], ["components that hold 99 % of patches", components]]
    return Table(["measure", "value"], rows, f"{BESIDES}: medians on one thread; patches of the first seed's fields")


def rate_table(tuned: Arms) -> Table:
    """Each method's learning rates.

    Args:
        tuned: the runs by method and rate.
    """
    keys = ("validation", *LINE)
    rows: list[list[Any]] = [[*arm, *(runs.mean(key) for key in keys)] for arm, runs in tuned.items()]
    return Table(
        ["training", "learning rate", "mean error", *LINE],
        rows,
        f"{BY_RATE} by a quarter of the training, on fields that nothing else uses; the lowest mean was chosen",
    )


def figures(arms: Arms, shocks: Arms) -> list[Figure]:
    """All of them.

    Args:
        arms: the runs by kind.
        shocks: the runs by patch.
    """
    label = "relative L2 error"
    compared = (DIRECT, OURS, JIT, *STEPPERS)
    by_recipe = [banded(name, LINE, [arms[name].values(errors(k)) for k in LINE]) for name in compared]
    by_kind = [
        banded(name, KINDS, [[row["kinds"][kind]["burgers"] for row in arms[name]] for kind in KINDS])
        for name in (DIRECT, OURS, MIXED, *STEPPERS)
    ]
    sizes = {f"{p[0]} x {p[1]}": p for p in PATCHES}
    parts = ("at shocks", "elsewhere")
    by_patch = [banded(part, list(sizes), [shocks[p].values(part) for p in sizes.values()]) for part in parts]
    by_steps = [
        banded(k, NFE, [[r["curve"][i]["errors"][k] for r in arms[OURS]] for i in range(len(NFE))]) for k in LINE
    ]
    sensors = [banded(k, SHARES, _sensed(arms, k, "error")) for k in LINE]
    sensors += [
        banded(f"{k}, interpolated first", SHARES, _sensed(arms, k, "interpolated")) | {"dashed": True} for k in LINE
    ]
    more_steps, whole_frames = "More steps of the sampler buy samples, not accuracy", "Sensors instead of whole frames"
    return [
        Figure("bar", "One-step error by training, plain waves", by_recipe, "equation", label, log_y=True),
        Figure("bar", "Burgers by kind of initial field", by_kind, "initial fields", label, log_y=True),
        Figure(
            "bar", "Burgers: error by patch", by_patch, "frames x places of a patch", "RMS error over the field's RMS"
        ),
        Figure("line", more_steps, by_steps, "steps of the sampler", label, log_x=True, log_y=True),
        Figure("line", whole_frames, sensors, "share of places", label, log_x=True, log_y=True),
        Figure("images", "Burgers, frame against place; vorticity at the last frame (first seed)", _images(arms)),
    ]


def _images(arms: Arms) -> list[dict[str, Any]]:
    frames = zip(("truth", "one step", "ten steps"), arms[OURS][0]["picture"])
    flow = zip(("vorticity, truth", "vorticity, one model for all"), arms[EVERY][0]["picture"])
    return [
        *field_images({name: f.numpy().T for name, f in frames}, extent=(0, 1, 0, 0.75), axes=("x", "t")),
        *field_images({name: f.numpy() for name, f in flow}),
    ]
