"""HSFM's fit at the size of Waterbirds, beside the same loop with autograd through the unrolled inner steps.

    python benchmarks/last_layers.py [--epochs N] [--json FILE]

CPU seconds of one thread for 40 epochs of 15 edits of a support of 16 rows a class, each with 15 inner steps, on 2,048
features; hard sets of 64 rows a class of 1,200 validation rows. The peer is written here as one writes it with
`torch.autograd.grad(create_graph=True)`. Both start from the same head; in float64 their heads are compared.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.shift import HSFM, hard_set, hypergradient, make_groups

D, N, T, K, HARD, LR = 2048, 16, 15, 15, 64, 5e-5
SIZES = ((32, 2048, 2, 15), (128, 2048, 2, 15), (2048, 2048, 2, 10))


def rows(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features like those after a rectified layer's mean, their classes, and groups."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    a = torch.where(torch.rand(n, generator=draw) < 0.8, y, 1 - y)
    x = 0.4 * torch.rand(n, D, generator=draw)
    x[:, :40] += 0.1 * y[:, None]
    x[:, 40:80] += 0.3 * a[:, None]
    return x, y, make_groups(y, a, 2)


def with_autograd(support: Tensor, y: Tensor, head: tuple[Tensor, Tensor], val: Any, epochs: int) -> Tensor:
    """The same schedule with a graph over the inner steps; gives the last head's weight."""
    W, b = (part.clone().requires_grad_() for part in head)
    H = support.clone().requires_grad_()
    edits, steps = torch.optim.Adam([H], lr=1.0), torch.optim.Adam([W, b], lr=LR)
    for _ in range(epochs):
        with torch.no_grad():
            hard = hard_set(val[0] @ W.T + b, val[1], HARD)
        Q, labels = val[0][hard], val[1][hard]
        for _ in range(K):
            w, c = W, b
            for _ in range(T):
                gw, gc = torch.autograd.grad(F.cross_entropy(H @ w.T + c, y), [w, c], create_graph=True)
                w, c = w - LR * gw, c - LR * gc
            edits.zero_grad()
            F.cross_entropy(Q @ w.T + c, labels).backward(inputs=[H])
            torch.nn.utils.clip_grad_norm_([H], 10.0)
            edits.step()
        for _ in range(T):
            steps.zero_grad()
            F.cross_entropy(H.detach() @ W.T + b, y).backward()
            steps.step()
    return W.detach()


def whole_fit(epochs: int) -> dict[str, Any]:
    """Seconds of both, and how far their heads are apart."""
    train, val = rows(2000, 0), rows(1200, 1)
    head = torch.randn(2, D, generator=torch.Generator().manual_seed(2)) * 0.01, torch.zeros(2)
    options: dict[str, Any] = {"n_support": N, "inner_steps": T, "inner_lr": LR, "outer_lr": 1.0, "outer_steps": K}
    options |= {"k_hard": HARD, "scale": "raw", "select": "last"}
    warnings.simplefilter("ignore")
    apart = in_double(train, val, head, options)
    begin = time.process_time()
    ours = HSFM(epochs=epochs, **options).fit(*train[:2], *val, head=head)
    seconds = time.process_time() - begin
    begin = time.process_time()
    with_autograd(ours.support_init_, ours.support_y_, head, val, epochs)
    other = time.process_time() - begin
    return {"what": f"whole fit, {epochs} epochs", "seconds": seconds, "autograd": other, "apart": apart}


def in_double(train: Any, val: Any, head: Any, options: dict[str, Any]) -> float:
    """How far both heads are apart after three epochs, over how far they moved."""
    val, head = (val[0].double(), *val[1:]), tuple(part.double() for part in head)
    ours = HSFM(epochs=3, **options).fit(train[0].double(), train[1], *val, head=head)
    theirs = with_autograd(ours.support_init_, ours.support_y_, head, val, 3)
    return float((theirs - ours.head_.weight.detach()).norm() / (theirs - head[0]).norm())


def one_gradient(n: int, d: int, classes: int, steps: int) -> dict[str, Any]:
    """Milliseconds of one hypergradient by both paths and by autograd."""
    draw = torch.Generator().manual_seed(0)
    H, Q, W = (torch.randn(k, d, generator=draw) / d**0.5 for k in (n, 128, classes))
    y, labels, b = torch.arange(n) % classes, torch.arange(128) % classes, torch.zeros(classes)

    def unrolled() -> None:
        h, w, c = H.clone().requires_grad_(), W.clone().requires_grad_(), b.clone().requires_grad_()
        for _ in range(steps):
            gw, gc = torch.autograd.grad(F.cross_entropy(h @ w.T + c, y), [w, c], create_graph=True)
            w, c = w - 0.01 * gw, c - 0.01 * gc
        torch.autograd.grad(F.cross_entropy(Q @ w.T + c, labels), h)

    found = {"what": f"one gradient, n {n}, d {d}, {classes} classes, {steps} steps", "autograd": least(unrolled)}
    for path in ("gram", "direct", "auto"):
        found[path] = least(lambda path=path: hypergradient(H, y, W, b, Q, labels, steps, 0.01, path=path))
    return found


def least(call: Any, repeats: int = 7) -> float:
    """CPU seconds of the fastest of several calls."""
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        found.append(time.process_time() - begin)
    return min(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = [whole_fit(options.epochs), *(one_gradient(*size) for size in SIZES)]
    fit = found[0]
    times = fit["autograd"] / fit["seconds"]
    print(f"{fit['what']}: {fit['seconds']:.2f} s, autograd {fit['autograd']:.2f} s, {times:.1f} times")
    print(f"in float64, 3 epochs: heads apart by {fit['apart']:.2g} of what the head moved")
    for row in found[1:]:
        ways = ", ".join(f"{way} {1e3 * row[way]:.2f} ms" for way in ("gram", "direct", "auto", "autograd"))
        print(f"{row['what']}: {ways}; {row['autograd'] / row['auto']:.1f} times")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
