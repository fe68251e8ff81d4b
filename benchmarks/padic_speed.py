"""Milliseconds of operators on trees against dense matrices and Fourier transforms of the same channels."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepwright.nets import HierarchicalOperator, RadialOperator, Tree, TreeConvolution, TreeGaussianProcess

BATCH, REPEATS = 16, 9


def run() -> list[dict[str, Any]]:
    """Rows of (what, ours, peer, theirs, ratio, note); every repeat alternates ours and the peer."""
    return [*_operators(), _process()]


def _operators() -> list[dict[str, Any]]:
    rows = []
    for q, depth in ((2, 12), (4, 6)):
        tree = Tree(q, depth)
        x = torch.randn(BATCH, 1, tree.leaves)
        matrix = torch.randn(tree.leaves, tree.leaves) / tree.leaves
        wave = torch.fft.rfft(torch.randn(tree.leaves))
        peers: dict[str, Callable[[], Tensor]] = {
            "a dense matrix": lambda x=x, m=matrix: x @ m,
            "a circular convolution by FFT": lambda x=x, w=wave, n=tree.leaves: torch.fft.irfft(
                torch.fft.rfft(x) * w, n=n
            ),
        }
        ours: dict[str, Callable[[], Tensor]] = {
            "radial": _with(RadialOperator(tree), x),
            "hierarchical": _with(HierarchicalOperator(tree), x),
        }
        if q == 2:
            ours["ring convolution"] = _with(TreeConvolution(tree), x)
        best = _timed({**ours, **peers})
        note = f"CPU ms, {BATCH} x {tree.leaves} leaves (q = {q}), forward, best of {REPEATS}"
        rows += [_row(f"{name}, q = {q}", best[name], peer, best[peer], note) for name in ours for peer in peers]
    tree = Tree(2, 16)
    x = torch.randn(BATCH, 1, tree.leaves)
    best = _timed({"radial": _with(RadialOperator(tree), x), "copy": lambda: x.clone()})
    note = f"CPU ms, {BATCH} x {tree.leaves} leaves, where a dense matrix takes 17 GB; the peer is the floor"
    return [*rows, _row("radial, q = 2, 65,536 leaves", best["radial"], "copying x", best["copy"], note)]


def _process() -> dict[str, Any]:
    """The process on a tree against scikit-learn's on the same covariance."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import PairwiseKernel

    tree = Tree(5, 4)
    rng = torch.Generator().manual_seed(0)
    leaves, y = torch.randint(0, tree.leaves, (1500,), generator=rng), torch.randn(1500, generator=rng).double()
    variances = torch.tensor([0.0, 0.4, 0.3, 0.2, 0.1]).double()
    covariance = variances.cumsum(0)[
        tree.common_prefix(*torch.meshgrid(*[torch.arange(tree.leaves)] * 2, indexing="ij"))
    ]
    full = covariance.numpy()

    def pairs(a: Any, b: Any) -> Any:
        return full[int(a[0]), int(b[0])]

    kernel = PairwiseKernel(metric=pairs)
    kernel.__class__.__call__ = lambda self, a, b=None, eval_gradient=False: full[  # vectorised, so that it isn't slow
        a[:, 0].astype(int)[:, None], (a if b is None else b)[:, 0].astype(int)[None]
    ]
    theirs = GaussianProcessRegressor(kernel, alpha=1.0, optimizer=None)
    table = leaves[:, None].double().numpy()
    asked = torch.arange(tree.leaves)

    def ours() -> Tensor:
        found = TreeGaussianProcess(tree, variances, noise_variance=1.0, mean=0.0).fit(leaves, y)
        return found.predict(asked)[0]

    def peer() -> Tensor:
        return torch.from_numpy(theirs.fit(table, y.numpy()).predict(asked[:, None].double().numpy()))

    assert torch.allclose(ours(), peer(), atol=1e-8)
    best = _timed({"ours": ours, "peer": peer}, repeats=3)
    note = "CPU ms of fit and all predictions, 1,500 rows on 625 leaves, the same covariance and answers"
    return _row("process on a tree", best["ours"], "scikit-learn's dense process", best["peer"], note)


def _with(module: torch.nn.Module, x: Tensor) -> Callable[[], Tensor]:
    def call() -> Tensor:
        with torch.no_grad():
            found: Tensor = module(x)
        return found

    return call


def _timed(calls: dict[str, Callable[[], Tensor]], repeats: int = REPEATS) -> dict[str, float]:
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(repeats + 1):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            if turn:
                best[name] = min(best[name], 1000 * (time.process_time() - begin))
    return best


def _row(what: str, ours: float, peer: str, theirs: float, note: str) -> dict[str, Any]:
    return {"what": what, "ours": ours, "peer": peer, "theirs": theirs, "ratio": theirs / ours, "note": note}


if __name__ == "__main__":
    for row in run():
        print(f"{row['what']}: {row['ours']:.3f}, {row['peer']}: {row['theirs']:.3f}, {row['ratio']:.2f}x")
