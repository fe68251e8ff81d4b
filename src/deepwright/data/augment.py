"""Training-time augmentation on whole batches (for `core.fit(augment=...)`)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole, require_within
from deepwright.data.dataset import to_float


def shift_and_flip(pad: int = 4, flip: bool = True) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Random shifts (reflected border) and horizontal flips, one draw per sample.

    Args:
        pad: largest shift in pixels.
        flip: whether half of the images are mirrored.

    Returns:
        (images, generator of their device) -> float images.
    """

    require_whole(0, pad=pad)

    def augment(x: Tensor, rng: torch.Generator) -> Float[Tensor, "n c h w"]:
        x = to_float(x)
        n, _, h, w = x.shape
        if pad >= min(h, w):
            raise InputError("pad", given=f"{pad} for images of {h} x {w}", expected="less than their sides")
        padded = F.pad(x, (pad,) * 4, mode="reflect")
        offsets = torch.randint(0, 2 * pad + 1, (2, n), generator=rng, device=x.device)
        rows = offsets[0][:, None] + torch.arange(h, device=x.device)
        columns = offsets[1][:, None] + torch.arange(w, device=x.device)
        if flip:
            mirrored = torch.rand(n, generator=rng, device=x.device) < 0.5
            columns = torch.where(mirrored[:, None], columns.flip(1), columns)
        batch = torch.arange(n, device=x.device)[:, None, None]
        return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    return augment


def jitter_digits(
    degrees: float = 12.0, shift: float = 0.07, scale: float = 0.12
) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Random small rotations, shifts and scalings, one affine map per sample.

    Args:
        degrees: largest rotation either way.
        shift: largest shift, as a share of the side.
        scale: largest change of the size, as a share of it.

    Returns:
        (images, generator of their device) -> float images.
    """

    require_within(0, 180, degrees=degrees)
    require_within(0, 1, shift=shift, scale=scale)

    def augment(x: Tensor, rng: torch.Generator) -> Float[Tensor, "n c h w"]:
        x = to_float(x)
        n = len(x)
        u = torch.rand(4, n, generator=rng, device=x.device) * 2 - 1
        angle = u[0] * torch.pi * degrees / 180
        zoom = 1 + u[1] * scale
        theta = torch.stack(
            [
                torch.stack([angle.cos() * zoom, -angle.sin() * zoom, 2 * shift * u[2]], 1),
                torch.stack([angle.sin() * zoom, angle.cos() * zoom, 2 * shift * u[3]], 1),
            ],
            1,
        )
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)

    return augment
