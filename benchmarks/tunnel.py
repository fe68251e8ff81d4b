"""CPU milliseconds of determinants of blocks against loops of autograd, and of critical points against a grid."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from deepwright.core.randomness import local_rng
from deepwright.interpret import Box, approximation_floor, find_critical_points, scalar_map
from deepwright.interpret.tunnel.singular import jacobian_determinants
from deepwright.nets import NarrowResNet

SIDE, LOOPED = 121, 50


def run() -> list[dict[str, Any]]:
    """Rows of (what, ours, peer, theirs, ratio, note)."""
    with local_rng(0):
        net = NarrowResNet(2, 2, 10).double().eval().requires_grad_(False)
    fn = scalar_map(net, torch.zeros(2, 2))
    assert fn.chain is not None
    ticks = torch.linspace(-1, 1, SIDE, dtype=torch.float64)
    x = torch.cartesian_prod(ticks, ticks)
    note = f"CPU ms, {len(x)} points, 10 blocks of width 2"
    ours = _ms(lambda: jacobian_determinants(fn.chain, x))
    mapped = _ms(lambda: _mapped(net, x))
    looped = _ms(lambda: _looped(net, x[:LOOPED])) * len(x) / LOOPED
    box = Box([-1.0, -1.0], [1.0, 1.0])
    found = _ms(lambda: find_critical_points(fn, box))
    grid = _ms(lambda: _grid(net))
    floor = _ms(lambda: approximation_floor(lambda z: torch.sin(5 * z[:, 0]) * torch.cos(4 * z[:, 1]), box, 1000))
    return [
        _row("determinants, closed form", ours, f"a loop of autograd ({LOOPED} points scaled up)", looped, note),
        _row("determinants, closed form", ours, "torch.func.vmap of jacrev", mapped, note),
        _row("critical points, 256 Newton runs", found, "gradients on a grid of 401 x 401", grid, "CPU ms"),
        _row("floor by union-find, 1e6 points", floor, "three seconds", 3000.0, "CPU ms; the bar is the spec's"),
    ]


def _ms(call: Callable[[], Any]) -> float:
    call()
    begin = time.process_time()
    call()
    return 1e3 * (time.process_time() - begin)


def _mapped(net: NarrowResNet, x: torch.Tensor) -> None:
    x = net.input(x)
    for block in net.blocks:
        torch.linalg.det(torch.func.vmap(torch.func.jacrev(block))(x))
        x = block(x)


def _looped(net: NarrowResNet, x: torch.Tensor) -> None:
    x = net.input(x)
    for block in net.blocks:
        for row in x:
            torch.linalg.det(torch.autograd.functional.jacobian(block, row))
        x = block(x)


def _grid(net: NarrowResNet) -> None:
    ticks = torch.linspace(-1, 1, 401, dtype=torch.float64)
    x = torch.cartesian_prod(ticks, ticks).requires_grad_()
    torch.autograd.grad(net(x).sum(), x)


def _row(what: str, ours: float, peer: str, theirs: float, note: str) -> dict[str, Any]:
    return {"what": what, "ours": ours, "peer": peer, "theirs": theirs, "ratio": theirs / ours, "note": note}
