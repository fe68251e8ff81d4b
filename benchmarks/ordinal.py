"""CPU milliseconds of losses for ordered classes, with their gradients, against MONAI's and plainly written ones."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from deepwright.risk import (
    ClassOrder,
    ContactDistanceLoss,
    ContactNeighborLoss,
    OrderedNeighborLoss,
    QuasiUnimodalLoss,
)

COUNT, CLASSES, SIDE, REPEATS, RADIUS = 8, 4, 256, 7, 10.0
PEERS = {
    "CO2": ("CO2, pair by pair",),
    "QUL": ("QUL, class by class",),
    "CSNP": ("CSNP, pair by pair",),
    "CSDT": ("CSDT, scipy in a loop",),
}


def run() -> list[dict[str, Any]]:
    """Rows of (what, ours, peer, theirs, ratio, note); every repeat alternates ours, the peers and cross-entropy."""
    order = ClassOrder.chain(CLASSES)
    rng = torch.Generator().manual_seed(0)
    z = (3 * F.avg_pool2d(torch.randn(COUNT, CLASSES, SIDE + 8, SIDE + 8, generator=rng), 9, 1)).mul(3)
    z, y = z.requires_grad_(), torch.randint(CLASSES, (COUNT, SIDE, SIDE), generator=rng)
    ours: dict[str, Callable[[], Tensor]] = {
        "CO2": _with(OrderedNeighborLoss(order), z, y),
        "QUL": _with(QuasiUnimodalLoss(), z, y),
        "CSNP": _with(ContactNeighborLoss(order), z, y),
        "CSDT": _with(ContactDistanceLoss(order, RADIUS).eval(), z, y),
    }
    plain: dict[str, Callable[[], Tensor]] = {
        "CO2, pair by pair": lambda: _co2(z.softmax(1), y),
        "QUL, class by class": lambda: _qul(z.softmax(1), y),
        "CSNP, pair by pair": lambda: _csnp(z.softmax(1)),
        "CSDT, scipy in a loop": lambda: _csdt(z.softmax(1)),
    }
    for name, (peer,) in PEERS.items():
        assert torch.allclose(ours[name](), plain[peer](), atol=1e-5), name
    monai = _monai(z, y)
    calls = {"cross-entropy": lambda: F.cross_entropy(z, y), **ours, **plain, **monai}
    best = _timed(calls, z)
    note = f"CPU ms of forward and backward, {COUNT} x {CLASSES} x {SIDE} x {SIDE}, best of {REPEATS} turns"
    rows = [_row(name, best[name], peer, best[peer], note) for name, peers in PEERS.items() for peer in peers]
    rows += [_row(name, best[name], peer, best[peer], note) for name in ours for peer in ("cross-entropy", *monai)]
    larger = [_csdt_seconds(side) for side in (SIDE, 2 * SIDE)]
    return [*rows, _row("CSDT, 512 over 256", larger[0], "the same, four times the positions", larger[1], note)]


def _row(what: str, ours: float, peer: str, theirs: float, note: str) -> dict[str, Any]:
    return {"what": what, "ours": ours, "peer": peer, "theirs": theirs, "ratio": theirs / ours, "note": note}


def _with(loss: Callable[..., Tensor], z: Tensor, y: Tensor) -> Callable[[], Tensor]:
    return lambda: loss(z, y)


def _timed(calls: dict[str, Callable[[], Tensor]], z: Tensor) -> dict[str, float]:
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(REPEATS):
        for name, call in calls.items():
            z.grad = None
            begin = time.process_time()
            call().backward()
            best[name] = min(best[name], (time.process_time() - begin) * 1e3)
    return best


def _csdt_seconds(side: int) -> float:
    z = torch.randn(2, CLASSES, side, side, generator=torch.Generator().manual_seed(0)).mul(4).requires_grad_()
    loss = ContactDistanceLoss(ClassOrder.chain(CLASSES), RADIUS).eval()
    return _timed({"csdt": lambda: loss(z)}, z)["csdt"]


def _co2(p: Tensor, y: Tensor) -> Tensor:
    total = p.new_zeros(())
    for k in range(CLASSES - 1):
        sign = torch.where(y <= k, 1.0, -1.0)
        total = total + torch.relu(0.05 + sign * (p[:, k + 1] - p[:, k])).mean()
    return total / (CLASSES - 1)


def _qul(p: Tensor, y: Tensor) -> Tensor:
    total = p.new_zeros(())
    for label in range(CLASSES):
        here = p.movedim(1, 0)[:, y == label]
        for k in range(CLASSES):
            if k != label:
                step = 1 if k > label else -1
                anchor = label if abs(k - label) == 1 else label + step
                total = total + torch.relu(0.05 + here[k] - here[anchor]).sum()
    return total / y.numel()


def _csnp(p: Tensor) -> Tensor:
    pairs = [(k, j) for k, j in itertools.product(range(CLASSES), repeat=2) if abs(k - j) >= 2]
    total = p.new_zeros(())
    for k, j in pairs:
        down = (p[:, k, :-1] * p[:, j, 1:]).mean()
        right = (p[:, k, :, :-1] * p[:, j, :, 1:]).mean()
        total = total + (abs(k - j) - 1) * (down + right) / 2
    return total / len(pairs)


def _csdt(p: Tensor) -> Tensor:
    on = (p.detach() > 0.5).numpy()
    near = torch.zeros_like(p)
    for n, k in itertools.product(range(COUNT), range(CLASSES)):
        if on[n, k].any():
            far = torch.from_numpy(distance_transform_edt(~on[n, k])).to(p)
            near[n, k] = ((RADIUS - far) / RADIUS).clamp(0, 1)
    values = []
    for k, j in itertools.combinations(range(CLASSES), 2):
        support = near[:, k] + near[:, j] > 0
        if j - k >= 2 and bool(support.any()):
            both = p[:, k] * near[:, j] + p[:, j] * near[:, k]
            values.append((j - k - 1) * both[support].mean())
    return torch.stack(values).mean()


def _monai(z: Tensor, y: Tensor) -> dict[str, Callable[[], Tensor]]:
    try:
        from monai.losses import DiceCELoss, GeneralizedDiceLoss, GeneralizedWassersteinDiceLoss
    except ImportError:
        return {}
    levels = torch.arange(CLASSES).float()
    apart = (levels[:, None] - levels).abs() / (CLASSES - 1)
    labels = y[:, None]
    generalised = GeneralizedDiceLoss(softmax=True, to_onehot_y=True)
    wasserstein = GeneralizedWassersteinDiceLoss(apart.numpy())
    dice = DiceCELoss(softmax=True, to_onehot_y=True)
    return {
        "MONAI GeneralizedDiceLoss": lambda: generalised(z, labels),
        "MONAI GeneralizedWassersteinDiceLoss": lambda: wasserstein(z, labels),
        "MONAI DiceCELoss": lambda: dice(z, labels),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    for row in run():
        print(f"{row['what']:22} {row['ours']:9.2f}  {row['peer']:40} {row['theirs']:9.2f}  x{row['ratio']:.2f}")
