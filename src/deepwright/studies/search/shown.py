"""Tables and figures of the search's study, and how its arms were selected."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from deepwright.core.results import Arm, Figure, Table
from deepwright.studies._frame import Runs, Selection, banded, cells, curve, mean, over_trials, select
from deepwright.studies._retraining import spread
from deepwright.studies.search.room import TINY
from deepwright.studies.search.units import AS_CUT, L2, ONE_SHOT, RANDOM, SEARCHES, TAYLOR, UNIFORM
from deepwright.studies.search.weights import METHODS

Arms = dict[Any, Runs]
WEIGHTS, UNITS, PHOTOS = "Single weights", "After equal training", "Photographs"
ROOM, FORETOLD = "What is left above phase 1", "What accuracy before training says of that after it"
SEARCHED, CUT = "best of the searches", "best of the one-shot cuts"
FAMILIES = {SEARCHED: tuple(SEARCHES), CUT: (L2, TAYLOR, UNIFORM)}
_CHOICE: dict[str, Any] = {"by": "validation", "largest": True, "words": "validation accuracy after the training"}


def share_words(share: float) -> str:
    """The name of a share of the MACs, as arms and tables have it.

    Args:
        share: of the dense network's.
    """
    return f"{share:.0%} of the MACs"


def selected(units: Runs, data: str, budget: str, prefix: str = "") -> Selection:
    """Each arm's learning rate at each share, on validation alike.

    Args:
        units: one trial a seed, as `units` has them.
        data: what it is chosen on, in words.
        budget: of one training, in words.
        prefix: of the groups' names.
    """
    rows = spread(units, "arm", "share", "lr")
    specs = tuple({**s, "share": prefix + share_words(s["share"])} for s in rows.specs)
    return select(Runs(specs, rows.rows), arms=("share", "arm"), over=("lr",), data=data, budget=budget, **_CHOICE)


def best_of_kind(units: Runs, data: str, budget: str) -> Selection:
    """The best of three searches and of three one-shot cuts with their learning rates: nine settings each.

    Args:
        units: one trial a seed, as `units` has them.
        data: what they are chosen on, in words.
        budget: of one training, in words.
    """
    rows = spread(units, "arm", "share", "lr")
    family = {arm: name for name, members in FAMILIES.items() for arm in members}
    places = [i for i, spec in enumerate(rows.specs) if spec["arm"] in family]
    specs = tuple(
        {
            "share": f"{share_words(spec['share'])}, best of three",
            "arm": family[spec["arm"]],
            "cut": spec["arm"],
            "lr": spec["lr"],
            "seed": spec["seed"],
        }
        for spec in (rows.specs[i] for i in places)
    )
    kept = Runs(specs, tuple(rows.rows[i] for i in places))
    return select(kept, arms=("share", "arm"), over=("cut", "lr"), data=data, budget=budget, **_CHOICE)


def weight_arms(budget: int) -> list[Arm]:
    """Nothing was tuned in the searches over single weights.

    Args:
        budget: evaluations of each.
    """
    spent = f"{budget:,} networks judged on the 400 validation digits"
    half = Arm(
        "phase 1",
        "as published",
        budget=f"{budget // 2:,} networks judged on the 400 validation digits",
        group=WEIGHTS,
        why="it is the first half of the two-phase search",
    )
    same = [Arm(m, "as published", budget=spent, group=WEIGHTS) for m in METHODS if m != "phase 1"]
    return [*same, half]


def weight_table(arms: Arms, seeds: int, budget: int) -> Table:
    """Hypervolumes of every search and sweep.

    Args:
        arms: by method.
        seeds: how many.
        budget: evaluations of each.
    """
    rows: list[list[Any]] = []
    for method in METHODS:
        runs = arms[method]
        volumes = [cell for key in ("hypervolume", "held out") for cell in runs.cells(key)]
        picked = (runs.mean(k) for k in ("picked validation error", "picked test error"))
        rows.append([method, *volumes, runs.mean("reduction"), *picked])
    picked_columns = ["weights gone at <= 1 point", "picked: validation error", "picked: test error"]
    return Table(
        ["search", "hypervolume", "low", "high", "on test digits", "low ", "high ", *picked_columns],
        rows,
        f"{WEIGHTS} of an MLP 64-64-48-10 on 1,797 digits, {seeds} seeds: every row may judge {budget:,} networks, "
        "phase 1 half as many; on test digits: the area over the test errors of the points that validation picks",
    )


def room_table(rooms: Arms, exact: Runs) -> Table:
    """What phases 1 and 2 find beside the longest search, or beside the true front.

    Args:
        rooms: by network; each result lists one row a budget.
        exact: of the network whose masks are all tried.
    """
    rows: list[list[Any]] = []
    for network, runs in rooms.items():
        for i in range(len(runs[0])):
            rows.append(_room_row(network, [trial[i] for trial in runs]))
    rows.append(_room_row(TINY, list(exact)))
    columns = ["phase 1", "phase 2 adds", "low", "high", "phase 1 going on adds", "best known", "left above phase 1"]
    return Table(
        ["network", "weights", "generations a phase", *columns, "low ", "high "],
        rows,
        f"{ROOM}: hypervolume on validation, means over {len(exact)} seeds; best known: of the longest search of the "
        "network (150 generations a phase, 60 for the largest), in the last row the true front's",
    )


def _room_row(network: str, trials: list[dict[str, Any]]) -> list[Any]:
    added = over_trials([t["phase 1 + 2"] - t["phase 1"] for t in trials])
    left = over_trials([t["best"] - t["phase 1"] for t in trials])
    longer = None
    if "phase 1, full budget" in trials[0]:
        longer = mean([t["phase 1, full budget"] - t["phase 1"] for t in trials])
    first, best = (mean([t[k] for t in trials]) for k in ("phase 1", "best"))
    head = [network, trials[0]["weights"], trials[0]["generations"], first]
    return [*head, *cells(added), longer, best, *cells(left)]


def unit_table(arms: Arms, kinds: Arms, size: str) -> Table:
    """Accuracies before and after the training, by share and arm.

    Args:
        arms: by (share, arm), each at its chosen learning rate.
        kinds: the same for the best of three.
        size: of networks and data, in words.
    """
    rows: list[list[Any]] = []
    for (share, arm), runs in (arms | kinds).items():
        before = [runs.mean(k) for k in ("macs", "before", "settled")]
        rows.append([share, arm, *before, *runs.cells("test"), *ends_of_gap(runs)])
    columns = ["MACs", "cut", "statistics anew", "after training", "low", "high", "minus dense", "low ", "high "]
    return Table(["asked", "network", *columns], rows, size)


def ends_of_gap(runs: Runs) -> tuple[float | None, ...]:
    """Test accuracy less the dense network's, with its interval.

    Args:
        runs: of one arm.
    """
    gap = over_trials([row["test"] - row["dense"] for row in runs])
    return cells(gap)


def foretold_table(arms: Arms) -> Table:
    """Rank correlation of accuracies before and after training, over the arms of each share and seed.

    Args:
        arms: by (share, arm), each at its chosen learning rate.
    """
    rows: list[list[Any]] = []
    for share in dict.fromkeys(share for share, _ in arms):
        found = (over_trials(_correlations(arms, share, key)) for key in ("before", "settled"))
        rows.append([share, *(cell for interval in found for cell in cells(interval))])
    columns = ["as cut", "low", "high", "statistics anew", "low ", "high "]
    networks = len(SEARCHES) + len(ONE_SHOT)
    return Table(
        ["asked", *columns],
        rows,
        f"{FORETOLD}: rank correlation on test digits over the {networks} networks of each seed, mean over seeds",
    )


def _correlations(arms: Arms, share: str, key: str) -> list[float]:
    """One rank correlation a seed; 0 where all networks are the same."""
    here = [runs for (s, _), runs in arms.items() if s == share]
    found = []
    for i in range(len(here[0])):
        first, last = ([runs[i][k] for runs in here] for k in (key, "test"))
        constant = np.ptp(first) == 0 or np.ptp(last) == 0
        found.append(0.0 if constant else float(spearmanr(first, last).statistic))
    return found


def figures(weights: Arms, kinds: Arms, arms: Arms, shares: tuple[float, ...]) -> list[Figure]:
    """Accuracies after training, hypervolumes, and the fronts of one seed.

    Args:
        weights: by method.
        kinds: by (share, best of three).
        arms: by (share, arm).
        shares: of the MACs.
    """
    trained = [
        banded(name, shares, [kinds[f"{share_words(s)}, best of three", name].values("test") for s in shares])
        for name in FAMILIES
    ]
    trained += [banded(a, shares, [arms[share_words(s), a].values("test") for s in shares]) for a in (RANDOM,)]
    before = [
        banded(name, shares, [arms[share_words(s), name].values("before") for s in shares])
        for name in (AS_CUT, L2, RANDOM)
    ]
    fronts = []
    for method in ("global magnitude", "LAMP", "flat binary", "phase 1", "phase 1 + 2"):
        front = weights[method][0]["front"]
        fronts.append(curve(method, [p[1] for p in front], [p[0] for p in front]))
    volumes = [banded("hypervolume", METHODS, [weights[m].values("hypervolume") for m in METHODS])]
    volumes += [banded("on test digits", METHODS, [weights[m].values("held out") for m in METHODS])]
    return [
        Figure("line", "Coupled units: after the same training", trained, "MACs asked", "test accuracy"),
        Figure("line", "Coupled units: cut, before training", before, "MACs asked", "test accuracy"),
        Figure("bar", "Single weights: hypervolume (higher is better)", volumes, "search", "hypervolume"),
        Figure("scatter", "Single weights: fronts of one seed", fronts, "share of weights kept", "validation error"),
    ]
