"""How far a forecast of fields is from the truth: the numbers that PDEBench reports, and the whole trajectory's.

For e = prediction - target with axes (batch, time, space ..., channel):

    nRMSE  mean over batch, time, channel of sqrt(mean_x e^2) / sqrt(mean_x target^2)
    RMSE   the same without the denominator
    cRMSE  root mean square over the batch of (sum_x e) / cells, mean over time and channel
    bRMSE  RMSE on the cells of the edge
    fRMSE  root mean |FFT e|^2 of the wave numbers in [0, 4), [4, 12) and from 12 on, divided by the number of cells
    rel_l2 |e| / |target| over a whole trajectory and channel: a different number, so it has another name
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError

BANDS = ((0, 4), (4, 12), (12, None))


@dataclass(frozen=True)
class FieldErrors:
    """See the module.

    Attributes:
        nrmse: nRMSE.
        rmse: RMSE.
        crmse: cRMSE.
        max_error: largest |e|.
        brmse: bRMSE.
        frmse: fRMSE of the low, middle and high wave numbers.
        rel_l2: over whole trajectories.
        skipped: slices whose target is 0 everywhere, which have no relative error.
    """

    nrmse: float
    rmse: float
    crmse: float
    max_error: float
    brmse: float
    frmse: tuple[float, float, float]
    rel_l2: float
    skipped: int


def field_errors(prediction: Float[Tensor, "..."], target: Float[Tensor, "b t *space c"]) -> FieldErrors:
    """All of them; context frames should be dropped before.

    Args:
        prediction: fields.
        target: the truth; the prediction is brought to where it is.

    Raises:
        InputError: shapes that differ or hold no space; values that aren't finite.
    """
    if prediction.shape != target.shape or prediction.ndim < 4:
        given = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        raise InputError("fields", given=given, expected="equal (B, T, X, ..., C)")
    if not (torch.isfinite(prediction).all() and torch.isfinite(target).all()):
        raise InputError("fields", given="NaN or infinity", expected="finite values")
    e, y = (prediction.to(target.device) - target).double(), target.double()
    space = tuple(range(2, e.ndim - 1))
    cells = math.prod(e.shape[d] for d in space)
    rms, size = e.square().mean(space).sqrt(), y.square().mean(space).sqrt()
    good = size > 0
    whole = tuple(range(1, e.ndim - 1))
    sizes = y.square().sum(whole).sqrt()
    relative = e.square().sum(whole).sqrt()[sizes > 0] / sizes[sizes > 0]
    return FieldErrors(
        float((rms[good] / size[good]).mean()) if bool(good.any()) else math.nan,
        float(rms.mean()),
        float((e.sum(space) / cells).square().mean(0).sqrt().mean()),
        float(e.abs().max()),
        float(_edge(e, space).square().mean(2).sqrt().mean()),
        _bands(e, space, cells),
        float(relative.mean()) if len(relative) else math.nan,
        int((~good).sum()),
    )


def _edge(e: Tensor, space: tuple[int, ...]) -> Tensor:
    """(B, T, cells of the edge, C)."""
    mask = torch.zeros([e.shape[d] for d in space], dtype=torch.bool)
    for axis in range(len(space)):
        for end in (0, -1):
            mask.select(axis, end).fill_(True)
    return e[:, :, mask.to(e.device)]


def _bands(e: Tensor, space: tuple[int, ...], cells: int) -> tuple[float, float, float]:
    spectrum = torch.fft.fftn(e, dim=space).abs().square().mean((0, 1, -1))
    grids = torch.meshgrid(*[torch.fft.fftfreq(n, 1 / n, dtype=torch.float64) for n in spectrum.shape], indexing="ij")
    number = torch.stack([g.square() for g in grids]).sum(0).sqrt().to(spectrum.device)
    found = []
    for low, high in BANDS:
        inside = (number >= low) & (number < (math.inf if high is None else high))
        found.append(float(spectrum[inside].mean().sqrt()) / cells if bool(inside.any()) else 0.0)
    return (found[0], found[1], found[2])
