"""Denoising a field whose variance falls from level to level: every filter chosen and fitted on the same pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.nets.padic import HierarchicalOperator, RadialOperator, Tree, TreeConvolution, TreeOperator

TREE = Tree(3, 5)
NOISE = 0.35
VARIANCES = torch.tensor([1.0, *(3.0 ** (-1.2 * s) for s in range(1, 6))], dtype=torch.float64)
TEST = 2000
ZERO, RADIAL, WIENER, RIDGE, RIDGE_ONE, ONE_WIDTH, TWO_WIDTHS = (
    "zero",
    "radial operator",
    "Wiener filter, shrunk covariance",
    "ridge towards 0",
    "ridge towards a multiple of 1",
    "smoothing along the index, with a gain",
    "two widths and the mean",
)
RIVALS = (WIENER, RIDGE, RIDGE_ONE, ONE_WIDTH, TWO_WIDTHS)
ARMS = (RADIAL, *RIVALS, ZERO)
STRENGTHS: dict[str, list[Any]] = {
    WIENER: [0.0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95],
    RIDGE: [10.0 ** (k / 2) for k in range(-4, 9)],
    RIDGE_ONE: [10.0 ** (k / 2) for k in range(-4, 11)],
    ONE_WIDTH: [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0],
    TWO_WIDTHS: [(a, b) for a in (0.5, 1.0, 2.0, 4.0) for b in (8.0, 16.0, 32.0, 64.0, 128.0)],
}
Pairs = tuple[Tensor, Tensor]


def draw(count: int, rng: torch.Generator) -> Pairs:
    """Noisy and clean fields, (count, N) each: coefficients of a basis that is orthonormal under the plain sum.

    Args:
        count: of pairs.
        rng: draws.
    """
    deviations = torch.cat([v.sqrt().expand(m) for v, m in zip(VARIANCES, TREE.multiplicities, strict=True)])
    coefficients = torch.randn(count, TREE.leaves, generator=rng, dtype=torch.float64) * deviations
    clean = TREE.inverse_wavelets(coefficients) / math.sqrt(TREE.leaves)
    return clean + NOISE * torch.randn(count, TREE.leaves, generator=rng, dtype=torch.float64), clean


def field_trial(seed: int, pairs: int, shuffled: bool = False, quick: bool = False) -> dict[str, Any]:
    """Mean squared error of every filter on test pairs, and that of the best filter there is.

    Args:
        seed: of all draws.
        pairs: to train on, a fifth of which chooses strengths (at least one); then all are fitted.
        shuffled: leaves are permuted before training: the tree is wrong.
        quick: fewer test pairs.
    """
    rng = generator(seed, "padic field")
    x, f = draw(pairs, rng)
    tx, tf = draw(TEST // 10 if quick else TEST, rng)
    if shuffled:
        order = torch.randperm(TREE.leaves, generator=rng)
        x, f, tx, tf = x[:, order], f[:, order], tx[:, order], tf[:, order]
    held = max(1, pairs // 5)
    errors: dict[str, float] = {ZERO: float(tf.square().mean()), RADIAL: _error(_radial((x, f)), (tx, tf))}
    chosen: dict[str, Any] = {}
    for arm in RIVALS:
        scores = [_error(apply, (x[:held], f[:held])) for apply in FITTED[arm]((x[held:], f[held:]), STRENGTHS[arm])]
        best = min(range(len(scores)), key=scores.__getitem__)
        chosen[arm] = STRENGTHS[arm][best]
        errors[arm] = _error(next(FITTED[arm]((x, f), [chosen[arm]])), (tx, tf))
    return {"error": errors, "chosen": chosen, "optimum": _optimum((tx, tf)) if not shuffled else None}


def _error(apply: Callable[[Tensor], Tensor], pairs: Pairs) -> float:
    return float((apply(pairs[0]) - pairs[1]).square().mean())


def _optimum(pairs: Pairs) -> float:
    gain = RadialOperator.from_spectrum(TREE, VARIANCES / (VARIANCES + NOISE**2))
    with torch.no_grad():
        return _error(lambda x: gain(x[:, None])[:, 0], pairs)


def train_operator(operator: TreeOperator, pairs: Pairs, steps: int = 60) -> Callable[[Tensor], Tensor]:
    """An operator trained on pairs by L-BFGS on the mean squared error.

    Args:
        operator: in float64, changed in place.
        pairs: noisy and clean.
        steps: at most so many iterations.
    """
    x, f = pairs
    optimizer = torch.optim.LBFGS(operator.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (operator(x[:, None])[:, 0] - f).square().mean() * TREE.leaves
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]

    def apply(values: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = operator(values[:, None])[:, 0]
        return found

    return apply


def _radial(pairs: Pairs) -> Callable[[Tensor], Tensor]:
    return train_operator(RadialOperator(TREE, kernel=torch.zeros(6, dtype=torch.float64)), pairs)


def _wiener(pairs: Pairs, strengths: list[float]) -> Iterator[Callable[[Tensor], Tensor]]:
    x, f = pairs
    noise = (x - f).square().mean()
    covariance = f.T @ f / len(f)
    eye = torch.eye(TREE.leaves, dtype=torch.float64)
    for share in strengths:
        shrunk = (1 - share) * covariance + share * covariance.diagonal().mean() * eye
        w = torch.linalg.solve(shrunk + noise * eye, shrunk)
        yield _times(w)


def _ridge(pairs: Pairs, strengths: list[float]) -> Iterator[Callable[[Tensor], Tensor]]:
    yield from _ridge_towards(pairs, strengths, torch.zeros(TREE.leaves, TREE.leaves, dtype=torch.float64))


def _ridge_one(pairs: Pairs, strengths: list[float]) -> Iterator[Callable[[Tensor], Tensor]]:
    x, f = pairs
    gain = (x * f).sum() / x.square().sum()
    yield from _ridge_towards(pairs, strengths, gain * torch.eye(TREE.leaves, dtype=torch.float64))


def _ridge_towards(pairs: Pairs, strengths: list[float], start: Tensor) -> Iterator[Callable[[Tensor], Tensor]]:
    x, f = pairs
    values, vectors = torch.linalg.eigh(x.T @ x)
    rest = vectors.T @ (x.T @ (f - x @ start))
    for strength in strengths:
        w = start + vectors @ (rest / (values.clamp_min(0) + strength)[:, None])
        yield _times(w)


def _times(w: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda v: v @ w


def _smooth(width: float) -> Tensor:
    """A Gaussian along the index, rows of sum 1."""
    i = torch.arange(TREE.leaves, dtype=torch.float64)
    kernel = torch.exp(-0.5 * ((i[:, None] - i[None]) / width).square())
    return kernel / kernel.sum(1, keepdim=True)


def _one_width(pairs: Pairs, strengths: list[float]) -> Iterator[Callable[[Tensor], Tensor]]:
    for width in strengths:
        yield _weighted(pairs, [_smooth(width)])


def _two_widths(pairs: Pairs, strengths: list[tuple[float, float]]) -> Iterator[Callable[[Tensor], Tensor]]:
    mean = torch.full((TREE.leaves, TREE.leaves), 1 / TREE.leaves, dtype=torch.float64)
    for a, b in strengths:
        yield _weighted(pairs, [torch.eye(TREE.leaves, dtype=torch.float64), _smooth(a), _smooth(b), mean])


def _weighted(pairs: Pairs, filters: list[Tensor]) -> Callable[[Tensor], Tensor]:
    """The sum of some filters whose weights are the least squares'."""
    x, f = pairs
    columns = torch.stack([(x @ k.T).flatten() for k in filters], 1)
    weights = torch.linalg.lstsq(columns, f.flatten()[:, None], driver="gelsd").solution[:, 0]
    whole = torch.stack([w * k for w, k in zip(weights, filters, strict=True)]).sum(0)
    return _times(whole.T)


FITTED: dict[str, Callable[[Pairs, list[Any]], Iterator[Callable[[Tensor], Tensor]]]] = {
    WIENER: _wiener,
    RIDGE: _ridge,
    RIDGE_ONE: _ridge_one,
    ONE_WIDTH: _one_width,
    TWO_WIDTHS: _two_widths,
}

OPERATORS = ("radial", "hierarchical, shared", "ring convolution", "hierarchical", "dense, ridge towards 0")


def operator_trial(seed: int, operator: str, pairs: int = 300, quick: bool = False) -> dict[str, Any]:
    """One kind of operator on the same pairs: its weights, and its test error beside the optimum.

    Args:
        seed: of all draws.
        operator: of `OPERATORS`.
        pairs: to train on; trained without a penalty until a fifth of them, held out, gets no better.
        quick: fewer test pairs.
    """
    rng = generator(seed, "padic field")
    train, test = draw(pairs, rng), draw(TEST // 10 if quick else TEST, rng)
    if operator == OPERATORS[-1]:
        found = field_trial(seed, pairs, quick=quick)
        return {"weights": TREE.leaves**2, "over optimum": found["error"][RIDGE] / found["optimum"]}
    made: dict[str, Callable[[], TreeOperator]] = {
        "radial": lambda: RadialOperator(TREE),
        "hierarchical, shared": lambda: HierarchicalOperator(TREE, shared=True),
        "ring convolution": lambda: TreeConvolution(TREE),
        "hierarchical": lambda: HierarchicalOperator(TREE),
    }
    module = made[operator]().double()
    held = pairs // 5
    steps = _best_steps(module, (train[0][held:], train[1][held:]), (train[0][:held], train[1][:held]))
    _zeroed(module)
    apply = train_operator(module, train, steps)
    weights = sum(p.numel() for p in module.parameters())
    return {"weights": weights, "steps": steps, "over optimum": _error(apply, test) / _optimum(test)}


def _best_steps(module: TreeOperator, train: Pairs, held: Pairs) -> int:
    scores = {}
    for steps in (2, 4, 8, 16, 32, 64):
        _zeroed(module)
        scores[steps] = _error(train_operator(module, train, steps), held)
    return min(scores, key=scores.__getitem__)


def _zeroed(module: TreeOperator) -> None:
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
