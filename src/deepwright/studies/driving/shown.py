"""The study's tables, figures, arms, limits and the sentence on top."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Arm, Figure, Table
from deepwright.core.statistics import Interval
from deepwright.studies._frame import banded, barred, cells, columns, mean, over_trials
from deepwright.studies.driving.campaigns import (
    BLIND,
    FINAL,
    FIRST,
    GENETIC,
    MOVING,
    RANDOM,
    REGIONS,
    SHARE,
    STILL,
    WITHOUT,
)
from deepwright.studies.driving.claims import (
    CELLS,
    CONTROLS,
    GUIDED,
    PHOTOGRAPHS,
    RANKS,
    REPAIR,
    ROLES,
    SEARCHES,
    THRESHOLDS,
    WEATHER,
    alike,
)
from deepwright.studies.driving.foretelling import ERROR, PREDICTORS, SEVERITY
from deepwright.studies.driving.measures import (
    FAILING,
    Found,
    cells_of,
    foretold_right,
    found_more,
    mended,
    moved,
    of_cell,
    over,
    pooled,
    ratios_at_thresholds,
    rho,
    spread_at_thresholds,
    threshold,
)
from deepwright.studies.driving.photographs import EPOCHS
from deepwright.studies.driving.pilots import CLEAN, CLOSER, HIGH, LIMIT, Cell
from deepwright.studies.driving.repairs import ARMS, BEFORE, FAILED, HELD_OUT, LIBRARY, USUAL

LIMITS = (
    "A tiny pilot, 40 x 80 grey pictures and RoadSim's flat, empty roads: what a full-size network does in a heavy "
    "simulator or on a street may differ.",
    "Failure rates hang on the distance at which the lane counts as left and on the roads' bends; other limits and "
    "sharper bends give others.",
    "Ranks are over ten perturbations at five severities, which aren't a sample of all weather there is: their "
    "intervals speak of pilots and roads alone.",
    "Of the signals that need no driving only the error, the severity and the change of the picture were claimed about "
    "beforehand; the others are shown beside them.",
    "Thresholds are whole severities of a few roads each; between two levels nothing was driven.",
    "The search's population, ten, is the only one that was tried, and four generations are few for a genetic one.",
    "Learning rates of further training were chosen from two, on errors without driving; nothing was driven to choose.",
    "CamVid has no steering: the angle to the middle of the road stands in for it, and nothing was driven there.",
)
_NOTHING = "as published, nothing selected"
_OF = {"trained on": "it was trained on", "driven, not trained on": "driven, not trained on", "held out": "held out"}


def arms_of(found: Found) -> list[Arm]:
    """What was compared, and how each was selected.

    Args:
        found: all trials.
    """
    first = "16 roads, 4 epochs"
    episodes = f"{found.searches[0]['episodes']} episodes"
    return [
        Arm(WITHOUT, _NOTHING, budget=first, group="imitation"),
        Arm(FIRST, _NOTHING, budget=first, group="imitation"),
        Arm(GENETIC, _NOTHING, budget=episodes, group="searches"),
        Arm(RANDOM, _NOTHING, budget=episodes, group="searches"),
        *(
            Arm(name, _NOTHING, budget="one pass over recorded pictures", group="without driving")
            for name in PREDICTORS
        ),
        *found.repairs.arms,
    ]


def _words(cell: Cell) -> str:
    return "clean" if cell == CLEAN else f"{_plain(cell[0])} {cell[1]}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _often(found: Found) -> int:
    """Perturbed cells in which half of all roads or more failed."""
    return sum(pooled(found.campaigns, c).value >= FAILING for c in cells_of(found.campaigns) if c != CLEAN)


def _names(found: Found) -> list[str]:
    return list(dict.fromkeys(c[0] for c in cells_of(found.campaigns) if c != CLEAN))


def tables_of(found: Found) -> list[Table]:
    """The cells first.

    Args:
        found: all trials.
    """
    tables = [_cells(found), _ranks(found), _thresholds(found), _weather(found), _guided(found), _searches(found)]
    if FAILED in found.repairs.by_arm:
        tables += [_roles(found), _repair(found)]
    tables.append(_controls(found))
    return tables if found.photographs is None else [*tables, _photographs(found)]


def _cells(found: Found) -> Table:
    campaigns = found.campaigns
    rows: list[list[Any]] = []
    for cell in cells_of(campaigns):
        shares = [cells(pooled(campaigns, cell, key)) for key in ("failures", "closer")]
        means = [cells(over_trials(over(campaigns, cell, key))) for key in ("max xte", ERROR)]
        numbers = [x for part in (*shares, *means) for x in part]
        rows.append([_words(cell), *numbers, mean(over(campaigns, cell, "error"))])
    heads = columns(
        f"failure rate at {LIMIT:g} m", f"at {CLOSER:g} m", "mean of max xte (m)", "offline error over clean"
    )
    n = sum(of_cell(trial, CLEAN)["n"] for trial in campaigns)
    return Table(
        ["cell", *heads, "offline error (rad)"],
        rows,
        f"{CELLS}: {len(campaigns)} pilots, {n} roads in all, each cell on the same ones; {_often(found)} of "
        f"{len(cells_of(campaigns)) - 1} perturbed cells fail on half of them or more; Wilson's intervals of failure "
        "rates over roads, Student's of the rest over seeds",
    )


def _ranks(found: Found) -> Table:
    campaigns = found.campaigns
    rows: list[list[Any]] = []
    for name in PREDICTORS:
        parts = [
            over_trials([rho(t, name) for t in campaigns]),
            over_trials([t["ranks"][name]["distances"] for t in campaigns]),
            over_trials(foretold_right(campaigns, name)),
        ]
        gap = mean([rho(t, ERROR) - rho(t, name) for t in campaigns])
        rows.append([name, *(x for part in parts for x in cells(part)), gap])
    heads = columns("rho with failure rates", "rho with distances", "balanced accuracy of a limit")
    return Table(
        ["told without driving", *heads, "error ratio's rho less this one's"],
        rows,
        f"{RANKS}: Spearman's rho over {len(cells_of(campaigns)) - 1} cells, and how well one limit, set on the other "
        f"pilots, parts cells that fail on half of the roads from others; mean of {len(campaigns)} pilots, Student's "
        "intervals; bias and slope are those of steering against the clean picture's",
    )


def _thresholds(found: Found) -> Table:
    campaigns = found.campaigns
    rows: list[list[Any]] = []
    for name in _names(found):
        at = [threshold(t, name) for t in campaigns]
        severities = [s for s in at if s is not None]
        ratios = [r[name] for t in campaigns if name in (r := ratios_at_thresholds(t))]
        words = ", ".join("none" if s is None else str(s) for s in at)
        numbers = [min(severities), max(severities)] if severities else [None, None]
        rows.append([_plain(name), words, *numbers, *(cells(over_trials(ratios)) if ratios else [None] * 3)])
    spread = mean([spread_at_thresholds(t) for t in campaigns])
    return Table(
        ["perturbation", "threshold of each pilot", "least", "most", *columns("error ratio there")],
        rows,
        f"{THRESHOLDS}: the smallest severity under which more than half of a pilot's roads fail, none up to {HIGH} "
        f"where there is none; error ratios differ by a factor of {spread:.2f} between perturbations (largest over "
        f"smallest, mean of {len(campaigns)} pilots)",
    )


def _weather(found: Found) -> Table:
    rows: list[list[Any]] = []
    for kind in found.moving[0]:
        parts = [
            *(over_trials([t[kind][how]["max xte"] for t in found.moving]) for how in (STILL, MOVING)),
            over_trials(moved(found.moving, "max xte", (kind,), STILL, MOVING)),
        ]
        rates = [mean([t[kind][how]["failures"] for t in found.moving]) for how in (STILL, MOVING)]
        rows.append([kind, *(x for part in parts for x in cells(part)), *rates])
    heads = columns("held still: max xte (m)", "moving", "held still less moving")
    return Table(
        ["weather", *heads, "failure rate, held still", "failure rate, moving"],
        rows,
        f"{WEATHER}, severity {HIGH}: overlays of one moment and as films, Gaussian noise drawn once an episode and in "
        f"each frame; mean of {len(found.moving)} pilots, Student's intervals",
    )


def _guided(found: Found) -> Table:
    rows: list[list[Any]] = []
    for name in found.guided[0]:
        for region in REGIONS:
            keys = ("drift", "max xte", "failures")
            parts = [over_trials([t[name][region][key] for t in found.guided]) for key in keys]
            change = mean([t[name][region]["change"] for t in found.guided])
            words = {"top_n": "where it looks", "random_n": "anywhere", "bottom_n": "where it doesn't"}[region]
            rows.append([_plain(name), words, *(x for part in parts for x in cells(part)), change])
    heads = columns("drift of steering (rad)", "mean of max xte (m)", "failure rate")
    return Table(
        ["perturbation", f"{SHARE:.0%} of the pixels", *heads, "change of the picture"],
        rows,
        f"{GUIDED}, severity {HIGH}: as many pixels by the size of the steering's gradient, largest, random and "
        f"smallest; mean of {len(found.guided)} pilots, Student's intervals",
    )


def _searches(found: Found) -> Table:
    rows: list[list[Any]] = []
    by_way = found.searches.by("way")
    for way, runs in by_way.items():
        parts = [runs.interval(key) for key in ("failures", "distinct", "perturbations", "mild")]
        rows.append([way, *(x for part in parts for x in cells(part))])
    gap = [over_trials(found_more(found.searches, key, GENETIC, RANDOM)) for key in ("failures", "distinct")]
    heads = columns("failures", "distinct failures", "perturbations among them", "distinct at severity 1 or 2")
    return Table(
        ["search", *heads],
        rows,
        f"{SEARCHES}: {found.searches[0]['episodes']} episodes each, roads, perturbation and severity; NSGA-II less "
        f"random: {gap[0]:+.2f} failures, {gap[1]:+.2f} distinct ones; mean of {len(by_way[RANDOM])} pilots, Student's "
        "intervals",
    )


def _roles(found: Found) -> Table:
    rows: list[list[Any]] = []
    for arm in ARMS:
        if arm not in found.repairs.by_arm:
            continue
        for role, words in _OF.items():
            falls = mended(found.repairs, arm, role.__eq__)
            ours = mended(found.repairs, FAILED, role.__eq__)
            if falls:
                gap = over_trials([a - b for a, b in zip(ours, falls)])
                rows.append([arm, words, len(falls), *cells(over_trials(falls)), *cells(gap)])
    heads = columns("fall of the failure rate", f"fall under training on {FAILED}, less this")
    return Table(
        ["trained on", "perturbations", "pilots", *heads],
        rows,
        f"{ROLES}: mean fall of the failure rate over the cells of severity {HIGH} in which half of a pilot's roads or "
        "more failed before, on roads that nobody was trained on, by what a cell is to the pilot trained on what it "
        f"failed under; held out from all arms: {', '.join(map(_plain, HELD_OUT))}; Student's intervals over pilots",
    )


def _repair(found: Found) -> Table:
    by_arm = found.repairs.by_arm
    names = [arm for arm in (BEFORE, *ARMS) if arm in by_arm]
    rows: list[list[Any]] = []
    for cell in cells_of(by_arm[BEFORE]):
        trained = sum(cell[0] in spec["worst"] for spec in by_arm[FAILED].specs)
        parts = [over_trials(over(by_arm[arm], cell, "failures")) for arm in names]
        rows.append([_words(cell), trained, *(x for part in parts for x in cells(part))])
    return Table(
        ["cell", f"pilots trained on it ({FAILED})", *columns(*names)],
        rows,
        f"{REPAIR}: failure rates as the pilots were, and after as much training on each kind of pictures, on roads of "
        f"their own; {len(by_arm[BEFORE])} pilots, Student's intervals",
    )


def _controls(found: Found) -> Table:
    rates = {name: [t["controls"][name] for t in found.campaigns] for name in (WITHOUT, FIRST, BLIND)}
    rates[FINAL] = over(found.campaigns, CLEAN, "failures")
    return Table(
        ["control", *columns("failure rate on clean roads")],
        [[name, *cells(over_trials(values))] for name, values in rates.items()],
        f"{CONTROLS}: imitation without and with steering noise, both before DAgger; the final pilot, shown the mean "
        f"picture at each step; the final pilot; {len(found.campaigns)} pilots, Student's intervals",
    )


def _photographs(found: Found) -> Table:
    photographs = found.photographs
    assert photographs is not None
    rows: list[list[Any]] = []
    for cell in cells_of(photographs):
        parts = [over_trials(over(runs, cell, ERROR)) for runs in (photographs, found.campaigns)]
        error = mean(over(photographs, cell, "error"))
        numbers = [x for part in parts for x in cells(part)]
        rows.append([_words(cell), error, *numbers, pooled(found.campaigns, cell).value])
    first, constant = photographs[0], mean([t["constant"] for t in photographs])
    told = over_trials([alike(a, b) for a, b in zip(found.campaigns, photographs)])
    return Table(
        ["cell", "error (rad)", *columns("error over clean", "RoadSim: error over clean"), "RoadSim: failure rate"],
        rows,
        f"{PHOTOGRAPHS}: CamVid, {first['trained on']} pictures (mirrored ones too) to train on for {EPOCHS} epochs, "
        f"{first['pictures']} to test, the angle to the middle of the road; a constant errs by {constant:.3f} rad; rho "
        f"with RoadSim's ratios {told:.2f}; {len(photographs)} seeds",
    )


def figures_of(found: Found) -> list[Figure]:
    """Failure rates by severity and error, weather, repairs.

    Args:
        found: all trials.
    """
    figures = [_rates(found), _scatter(found), _still(found)]
    return [*figures, _mended(found)] if FAILED in found.repairs.by_arm else figures


def _rates(found: Found) -> Figure:
    campaigns, names = found.campaigns, _names(found)
    severities = list(dict.fromkeys(c[1] for c in cells_of(campaigns) if c != CLEAN))
    series = [
        barred(_plain(name), severities, [pooled(campaigns, (name, s)) for s in severities])
        for name in sorted(names, key=lambda n: -_mean_rate(found, n))[:5]
    ]
    return Figure(
        "line",
        "Failure rates of the five worst perturbations",
        series,
        "severity",
        f"failure rate at {LIMIT:g} m",
        y_range=(0.0, 1.0),
        note="bands are Wilson's intervals over the roads of all pilots",
    )


def _mean_rate(found: Found, name: str) -> float:
    return mean([pooled(found.campaigns, c).value for c in cells_of(found.campaigns) if c[0] == name])


def _scatter(found: Found) -> Figure:
    campaigns = found.campaigns
    series = []
    for severity in dict.fromkeys(c[1] for c in cells_of(campaigns) if c != CLEAN):
        some = [c for c in cells_of(campaigns) if c[1] == severity]
        x = [mean(over(campaigns, c, ERROR)) for c in some]
        series.append({"name": f"severity {severity}", "x": x, "y": [pooled(campaigns, c).value for c in some]})
    return Figure(
        "scatter",
        "Errors without driving against failures: a dot is a perturbation",
        series,
        "offline error over the clean error",
        f"failure rate at {LIMIT:g} m",
        log_x=True,
        y_range=(0.0, 1.0),
        note="means over the pilots; the table has the intervals",
    )


def _still(found: Found) -> Figure:
    kinds = list(found.moving[0])
    series = [
        banded(how, kinds, [[t[kind][how]["max xte"] for t in found.moving] for kind in kinds])
        for how in (STILL, MOVING)
    ]
    return Figure("bar", f"Weather held still and moving, severity {HIGH}", series, "", "mean of max |xte| (m)")


def _mended(found: Found) -> Figure:
    by_arm = found.repairs.by_arm
    some = cells_of(by_arm[BEFORE])
    series = [
        banded(arm, [_words(c) for c in some], [over(by_arm[arm], c, "failures") for c in some])
        for arm in (BEFORE, FAILED, USUAL)
        if arm in by_arm
    ]
    return Figure("bar", "Further training, on roads of their own", series, "", f"failure rate at {LIMIT:g} m")


def summary_of(found: Found) -> str:
    """The sentence on top.

    Args:
        found: all trials.
    """
    campaigns = found.campaigns
    perturbed = len(cells_of(campaigns)) - 1
    error, severity = (mean([rho(t, name) for t in campaigns]) for name in (ERROR, SEVERITY))
    right, numbers = (mean(foretold_right(campaigns, name)) for name in (ERROR, SEVERITY))
    gap = [over_trials(found_more(found.searches, key, GENETIC, RANDOM)) for key in ("failures", "distinct")]
    return (
        f"Pilots fail on {pooled(campaigns, CLEAN).value:.2f} of clean roads, and on half of them or more in "
        f"{_often(found)} of {perturbed} perturbed cells. Errors on recorded pictures rank these cells as failures do "
        f"with a rho of {error:.2f} (the severity's number: {severity:.2f}); a limit on them parts failing cells from "
        f"others with a balanced accuracy of {right:.2f} ({numbers:.2f}).{_repair_words(found)} In as many episodes "
        f"NSGA-II finds {gap[0]:+.2f} failures and {gap[1]:+.2f} distinct ones against random search."
    )


def _repair_words(found: Found) -> str:
    """What further training did, with its rivals."""

    def fall(arm: str, role: str) -> Interval | None:
        falls = mended(found.repairs, arm, lambda r: r == role) if arm in found.repairs.by_arm else []
        return over_trials(falls) if falls else None

    sentences = []
    for role, words in (
        ("trained on", "Where it was trained on"),
        ("held out", "Under perturbations that were held out"),
    ):
        parts = {arm: fall(arm, role) for arm in (FAILED, USUAL, LIBRARY)}
        known = {arm: part for arm, part in parts.items() if part is not None}
        if FAILED in known:
            rivals = ", ".join(f"{arm} {part.value:.2f}" for arm, part in known.items() if arm != FAILED)
            sentences.append(
                f" {words}, training on {FAILED} lowers the rate of failing cells by {known[FAILED]:.2f}"
                + (f" ({rivals})." if rivals else ".")
            )
    return "".join(sentences)
