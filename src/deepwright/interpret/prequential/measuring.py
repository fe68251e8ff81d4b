"""Loss against samples, measured: runs times sizes trainings on nested prefixes, each finished stack kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed, generator, local_rng
from deepwright.core.requirements import require_callable, require_finite, require_same_length, require_whole
from deepwright.core.trials import run as run_trials
from deepwright.interpret.prequential.curves import LossCurve, require_sizes
from deepwright.interpret.prequential.learners import FLOOR, Learner, charged
from deepwright.interpret.prequential.reliance import ReliancePlan
from deepwright.interpret.prequential.stacking import FitConfig, Pair
from deepwright.interpret.prequential.stacks import label_log_probs, make_networks, train_stack

CALIBRATED = ", calibrated"
"""Ends the name of a test set on which losses are those of calibrated networks."""
Cell = tuple[int, int]
"""Run and size."""


def loss_curve(
    make_learner: Callable[[int], nn.Module | Learner],
    train: Pair,
    validation: Pair | None,
    tests: Mapping[str, Pair],
    sizes: Sequence[int],
    runs: int | Sequence[int] = 5,
    seed: int = 0,
    *,
    fit: FitConfig = FitConfig(),  # noqa: B008 - frozen
    reliance: Mapping[str, ReliancePlan] | None = None,
    n_jobs: int = 1,
    cache_dir: Path | str | None = None,
) -> LossCurve:
    """Train at every size in every run, and test.

    Each run has one permutation of the training data, and its prefixes. Validation samples count as known beforehand,
    and aren't charged: `online_code_length` charges them. Networks are trained side by side.

    Args:
        make_learner: seed -> network of logits (trained as `fit` says), or any `Learner`.
        train: (inputs, classes).
        validation: (inputs, classes) for stopping and calibration.
        tests: name -> (inputs, classes); the feature's own test set first.
        sizes: rising, none above the training samples.
        runs: how many; or one number a size.
        seed: of permutations, starts and batches.
        fit: how networks are trained.
        reliance: attribute -> plan: also read how far each network relies on it.
        n_jobs: processes.
        cache_dir: a folder for finished stacks: what was trained isn't trained again.

    Raises:
        InputError: sizes that don't rise or go beyond the data, no tests or an empty one, data of different lengths,
            a learner's log-probabilities that aren't one a label or are above 0; and what `train_stack` refuses.
    """
    counts = _checked(make_learner, train, tests, sizes, runs)
    plans = dict(reliance or {})
    given: dict[str, Any] = {"train": train, "validation": validation, "tests": dict(tests), "plans": plans}
    given |= {"make_learner": make_learner, "seed": seed, "fit": fit}
    cells = [(run, int(n)) for n, count in zip(sizes, counts) for run in range(count)]
    networks = isinstance(_first(make_learner, seed), nn.Module)
    groups = _stacks(cells, fit) if networks else [[cell] for cell in cells]
    function = _train_networks if networks else _train_learner
    trials = [given | {"cells": group} for group in groups]
    found = run_trials(function, trials, store=cache_dir, jobs=n_jobs, description="loss curve")
    return _curve(found, groups, sizes, max(counts), list(plans))


def _checked(make_learner: Any, train: Pair, tests: Mapping[str, Pair], sizes: Sequence[int], runs: Any) -> list[int]:
    require_callable("make_learner", make_learner, "a function from a seed to a network or a learner")
    require_same_length(*train, "training inputs and labels")
    if not tests:
        raise InputError("tests", given="none", expected="name -> (inputs, labels), at least one")
    for name, pair in tests.items():
        require_same_length(*pair, f"inputs and labels of test {name!r}")
        if not len(pair[1]):
            raise InputError(f"test {name!r}", given="no samples", expected="at least one")
    require_whole(1, **{f"size {n}": n for n in sizes})
    require_sizes(sizes)
    if sizes[-1] > len(train[1]):
        raise InputError("sizes", given=f"up to {sizes[-1]}", expected=f"{len(train[1])} at most, the training samples")
    counts = [int(runs)] * len(sizes) if isinstance(runs, Integral) else list(runs)
    require_same_length(counts, sizes, "runs and sizes")
    require_whole(1, **{f"runs of size {n}": count for n, count in zip(sizes, counts)})
    return counts


def _first(make_learner: Callable[[int], Any], seed: int) -> Any:
    """One learner, to see what it is."""
    with local_rng(seed):
        made = make_learner(seed)
    if not isinstance(made, nn.Module | Learner):
        expected = "an nn.Module, or an object with fit(x, y, validation) and log_prob(x, y)"
        raise InputError("make_learner", given=f"it gives a {type(made).__name__}", expected=expected)
    return made


def _stacks(cells: Sequence[Cell], fit: FitConfig) -> list[list[Cell]]:
    """Cells that are trained side by side: of one width, of like sizes, `together` at most."""
    groups: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda c: (c[1], c[0])):
        beside = groups and fit.width(groups[-1][0][1]) == fit.width(cell[1]) and len(groups[-1]) < fit.together
        if beside:
            groups[-1].append(cell)
        else:
            groups.append([cell])
    return groups


def _prefixes(cells: Sequence[Cell], n: int, seed: int) -> list[Tensor]:
    orders = {run: torch.randperm(n, generator=generator(seed, "order", run)) for run in {run for run, _ in cells}}
    return [orders[run][:size] for run, size in cells]


def _train_networks(
    make_learner: Callable[[int], nn.Module],
    train: Pair,
    validation: Pair | None,
    tests: dict[str, Pair],
    plans: dict[str, ReliancePlan],
    seed: int,
    fit: FitConfig,
    cells: list[Cell],
) -> dict[str, Any]:
    """One stack, trained and tested."""
    seeds = [derive_seed("cell", *cell, seed=seed) for cell in cells]
    networks = make_networks(make_learner, seeds)
    stack = train_stack(networks, train, _prefixes(cells, len(train[1]), seed), validation, fit, seeds)
    losses, right, clamped = {}, {}, 0
    for name, (x, y) in tests.items():
        z = stack.logits(require_finite(x, f"inputs of test {name!r}"))
        right[name] = (z.argmax(2) == y.to(z.device)).double().mean(1).cpu()
        losses[name], low = _mean_loss(label_log_probs(z, y))
        clamped += low
        if fit.calibrate:
            losses[name + CALIBRATED], _ = _mean_loss(label_log_probs(z, y, stack.heat))
            right[name + CALIBRATED] = right[name]
    read = {name: plan.read(stack.logits(plan.inputs).argmax(2)) for name, plan in plans.items()}
    return _found(losses, right, read, clamped)


def _train_learner(
    make_learner: Callable[[int], Learner],
    train: Pair,
    validation: Pair | None,
    tests: dict[str, Pair],
    plans: dict[str, ReliancePlan],
    seed: int,
    fit: FitConfig,
    cells: list[Cell],
) -> dict[str, Any]:
    """One learner of any kind, fitted and tested."""
    (cell,) = cells
    learner = make_learner(derive_seed("cell", *cell, seed=seed))
    rows = _prefixes(cells, len(train[1]), seed)[0].to(train[1].device)
    learner.fit(train[0][rows], train[1][rows], validation)
    classes = int(max(int(y.max()) for _, y in (train, *tests.values()))) + 1
    losses, right, clamped = {}, {}, 0
    for name, (x, y) in tests.items():
        losses[name], low = _mean_loss(charged(learner, x, y)[None])
        clamped += low
        right[name] = (_likeliest(learner, x, classes) == y).double().mean()[None].cpu()
    read = {name: plan.read(_likeliest(learner, plan.inputs, classes)[None]) for name, plan in plans.items()}
    return _found(losses, right, read, clamped)


def _likeliest(learner: Learner, x: Tensor, classes: int) -> Tensor:
    """Class with the highest probability; the lowest of several."""
    each = [charged(learner, x, torch.full((len(x),), c, device=x.device)) for c in range(classes)]
    return torch.stack(each, 1).argmax(1)


def _mean_loss(p: Tensor) -> tuple[Tensor, int]:
    """(networks,) mean loss in nats, and how many labels were taken for 2^-40; NaN counts as that."""
    p = p.double().nan_to_num(nan=2 * FLOOR)
    return -p.clamp_min(FLOOR).mean(1).cpu(), int((p < FLOOR).sum())


def _found(losses: Any, right: Any, read: Any, clamped: int) -> dict[str, Any]:
    parts = {name: {"drop": drop.cpu(), "p": p.cpu()} for name, (drop, p, _) in read.items()}
    return {"loss": losses, "accuracy": right, "reliance": parts, "clamped": clamped}


def _curve(
    found: Sequence[dict[str, Any]],
    groups: Sequence[list[Cell]],
    sizes: Sequence[int],
    runs: int,
    attributes: list[str],
) -> LossCurve:
    """The trials' results, each in its place."""
    tests = tuple(found[0]["loss"])
    places = {int(n): i for i, n in enumerate(sizes)}
    at = [(run, places[n]) for group in groups for run, n in group]
    rows, columns = (np.array(part) for part in zip(*at))

    def filled(parts: list[Tensor]) -> np.ndarray:
        grid = np.full((runs, len(sizes)), np.nan)
        grid[rows, columns] = torch.cat(parts).numpy()
        return grid

    loss, accuracy = (np.stack([filled([f[k][t] for f in found]) for t in tests]) for k in ("loss", "accuracy"))
    drops, p = ({a: filled([f["reliance"][a][k] for f in found]) for a in attributes} for k in ("drop", "p"))
    clamped = sum(f["clamped"] for f in found)
    return LossCurve(np.asarray(sizes, dtype=np.float64), tests, loss, accuracy, clamped, drops, p)
