"""What jets save of a Poisson residual with its parameter gradient, against nested gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepwright.core.results import Table
from deepwright.physics.derivatives import jet
from deepwright.physics.networks import field
from deepwright.studies._clock import median_ms


def engines(repeats: int) -> list[dict[str, Any]]:
    """CPU milliseconds of a Poisson residual with its parameter gradient, 4 x 64 tanh, float64, one thread.

    Args:
        repeats: of which each has the median.
    """
    return [_engine(d, n, repeats) for d, n in ((2, 4096), (3, 4096), (10, 2048))]


def _engine(d: int, n: int, repeats: int) -> dict[str, Any]:
    u = field(d, 1, (64,) * 4)
    x = torch.rand(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def jets() -> Tensor:
        out = jet(u, x, None, "laplacian", engine="jet")
        assert out.S is not None
        return out.S[0][:, 0]

    def nested() -> Tensor:
        own = x.clone().requires_grad_(True)
        (g,) = torch.autograd.grad(u(own).sum(), own, create_graph=True)
        second = (torch.autograd.grad(g[:, i].sum(), own, create_graph=True)[0][:, i] for i in range(d))
        return sum(second)  # type: ignore[return-value]

    def stepped(way: Callable[[], Tensor]) -> Callable[[], None]:
        def step() -> None:
            u.zero_grad()
            (way() + 1).square().mean().backward()

        return step

    times = median_ms({"jets": stepped(jets), "nested": stepped(nested)}, repeats)
    share = times["jets"] / times["nested"]
    return {"d": d, "points": n, **times, "ratio": 1 / share, "share": share}


def engines_table(speed: list[dict[str, Any]]) -> Table:
    """One row a dimension.

    Args:
        speed: of `engines`.
    """
    return Table(
        ["axes", "points", "jets, ms", "nested gradients, ms", "ratio", "share"],
        [[s[k] for k in ("d", "points", "jets", "nested", "ratio", "share")] for s in speed],
        "Poisson residual and its parameter gradient, 4 x 64 tanh, float64, one thread, CPU time, median",
    )
