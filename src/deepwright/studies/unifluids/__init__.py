"""A flow-matching operator for several equations against one pass of the same network, an FNO, and other recipes."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Claim, StudyResult
from deepwright.studies import Settings
from deepwright.studies._clock import MEDIAN
from deepwright.studies._frame import Runs, cross, ratios, run_grid, study_result
from deepwright.studies.unifluids.narrow import narrow_trial
from deepwright.studies.unifluids.shown import curve_of, error, errors, figures, tables
from deepwright.studies.unifluids.timing import speeds
from deepwright.studies.unifluids.trials import BLOCKS, DIRECT, JIT, LINE, MIXED, OURS, RECIPES, STEPPERS, trial

Arms = dict[str, Runs]
LIMITS = (
    "Equations of one to three dimensions on small periodic grids, with one network of some hundred thousand weights: "
    "not the paper's size, nor its data.",
    "FNO and U-Net are trained frame by frame, one network an equation; their learning rates are those of the others.",
)


def run(settings: Settings) -> StudyResult:
    """Joint and single training on a line, recipes, numbers of steps, a held-out equation, all dimensions at once."""
    seeds = settings.seeds_or(range(1 if settings.quick else 3))
    steps = 150 if settings.quick else 4000
    names = [DIRECT, OURS, "flow matching, sensors"] if settings.quick else list(RECIPES)
    names += [f"only {k}" for k in (LINE[:1] if settings.quick else LINE)]
    names += [] if settings.quick else [MIXED]
    names += ["held out", "all dimensions", BLOCKS, *STEPPERS]
    runs = run_grid(trial, cross(what=names, steps=steps, seed=seeds), settings, "unifluids")
    grid = cross(kind=("x", "v"), steps=100 if settings.quick else 800, seed=seeds)
    narrow = run_grid(narrow_trial, grid, settings, "unifluids, narrow networks")
    arms, times = runs.by("what"), speeds(3 if settings.quick else 9)
    components, _, values = arms[OURS][0]["dimension"]
    return study_result(
        "unifluids",
        [runs, narrow],
        seeds=seeds,
        claims=[
            *_line_claims(arms),
            *_new_claims(arms),
            *_narrow_claims(narrow.by("kind")),
            *_further_claims(arms),
            *_time_claims(times),
            *_recipe_claims(arms),
        ],
        tables=tables(arms, steps, len(seeds)),
        figures=figures(arms),
        summary=_summary(arms),
        limits=LIMITS,
        settings={
            "steps": steps,
            "milliseconds": times,
            "components for 99 % of patches": components,
            "patch values": values,
        },
    )


def _worst_ratio(over: Runs, under: Runs) -> list[float]:
    """Of each seed, the largest quotient over the equations."""
    return [max(column) for column in zip(*(ratios(over, under, errors(k)) for k in LINE))]


def _line_claims(arms: Arms) -> list[Claim]:
    ours = arms[OURS]
    more_steps = max(curve_of(arms, k)[0] / min(curve_of(arms, k)) for k in LINE)
    single = [k for k in LINE if f"only {k}" in arms]
    joint = max(error(arms, OURS, k) / error(arms, f"only {k}", k) for k in single)
    finer = [[max(v[i] for v in row["finer"].values()) for row in ours] for i in range(2)]
    return [
        *(
            Claim.at_most(f"{k}: relative L2 error in one step", ours.values(errors(k)), limit)
            for k, limit in zip(LINE, (0.15, 0.35, 0.04))
        ),
        Claim.at_most(
            "... over a single-pass regression of the same make, worst equation", _worst_ratio(ours, arms[DIRECT]), 2.0
        ),
        Claim.at_most(
            "one step is the best point forecast: its error over the best number of steps, worst equation",
            more_steps,
            1.05,
        ),
        Claim.at_most("joint over single training with as many steps an equation, worst equation", joint, 1.5),
        Claim.at_most("twice as many points as in training: error over that on 64, worst equation", finer[0], 3.0),
        Claim.at_most("... forecast as two interleaved grids", finer[1], 3.0),
    ]


def _new_claims(arms: Arms) -> list[Claim]:
    held = arms["held out"]
    return [
        Claim.at_most(
            "an equation never seen: zero-shot error over persistence's",
            ratios(held, held, "zero-shot", "persistence"),
            1.0,
        ),
        Claim.at_most(
            "... fine-tuned on 50 trajectories: error over training from scratch on them",
            ratios(held, held, "fine-tuned", "scratch"),
            0.8,
        ),
    ]


def _narrow_claims(narrow: Arms) -> list[Claim]:
    x, v = (narrow[kind].values("error") for kind in ("x", "v"))
    return [
        Claim.at_most("narrow network, four numbers in 512: x-prediction's error at 10 steps", x, 0.12),
        Claim.at_least("... v-prediction's", v, 0.6),
    ]


def _further_claims(arms: Arms) -> list[Claim]:
    def simple(e: dict[str, float]) -> float:
        return e["1"] / min(e["persistence"], e["extrapolation"])

    def filled(row: Any, k: str) -> float:
        return row["sensors"][2][k]["error"] / row["sensors"][2][k]["interpolated"]

    def wider(row: Any, k: str) -> float:
        return row["sensors"][-1][k]["spread"] / row["sensors"][0][k]["spread"]

    sensing = arms["flow matching, sensors"]
    return [
        Claim.at_most(
            "all dimensions at once: error over the better one of persistence and extrapolation, worst equation",
            [max(simple(e) for e in row["errors"].values()) for row in arms["all dimensions"]],
            1.0,
        ),
        Claim.at_most(
            "context at a quarter of the places: error over interpolating between them first, worst equation",
            [max(filled(row, k) for k in LINE) for row in sensing],
            1.0,
        ),
        Claim.at_least(
            "... spread of the ensemble at a sixteenth over that at all places, smallest over equations",
            [min(wider(row, k) for k in LINE) for row in sensing],
            1.5,
        ),
    ]


def _time_claims(times: dict[str, float]) -> list[Claim]:
    forecast = times["flow matching, 1 step"] / times["single pass"]
    return [
        Claim.at_most(
            "milliseconds of a training step (nano, 32 x 16 tokens, one thread)",
            times["training step"],
            60.0,
            timing=True,
            basis=MEDIAN,
        ),
        Claim.at_most("time of a one-step forecast over the single pass", forecast, 1.2, timing=True, basis=MEDIAN),
    ]


def _recipe_claims(arms: Arms) -> list[Claim]:
    if JIT not in arms:
        return []
    over = ratios(arms[JIT], arms[OURS], errors("advection"))
    return [Claim.at_least("advection: the JiT recipe's error in one step over ours", over, 5.0)]


def _summary(arms: Arms) -> str:
    mine, direct = (" / ".join(f"{error(arms, n, k):.3f}" for k in LINE) for n in (OURS, DIRECT))
    return (
        f"One step of the sampler forecasts advection / Burgers / reaction-diffusion with relative errors {mine}; the "
        f"same network as a single-pass regression reaches {direct}: for a deterministic operator generation costs "
        "accuracy, and buys an ensemble. Ten steps are worse than one as a point forecast."
    )
