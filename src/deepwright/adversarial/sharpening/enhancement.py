"""What all transforms of a publisher share: x + strength * detail(x), its budget, clipping, rounding and targets."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepwright.adversarial.sharpening.fidelity import on_grid, require_levels
from deepwright.adversarial.sharpening.pictures import (
    decoded,
    encoded,
    looked_at,
    luma,
    require_form,
    require_pictures,
    without_strangers,
)
from deepwright.adversarial.sharpening.strengths import Aimed, Strengths, aimed, found_for, require_tellable
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive

_SPACES = ("rgb", "luma")
_BYTES = 255
_GRADE = 0.02  # of the strength
_GOLDEN, _SILVER = 0.7548776662466927, 0.5698402909980532  # spread points of a plane evenly


class Enhancement(nn.Module):
    """A picture with more (or less) of something: x + strength * detail(x), which a subclass says what is.

    Pictures come and go as (N, C, H, W) or (C, H, W), floats in [0, 1] or uint8; half precision is worked on in
    float32. Gradients pass through it, through rounding as if it weren't there.

    Strengths that are chosen for a target differ by a hundredth from pixel to pixel where the result is rounded.

    Args:
        strength: 0 or more, or what it is chosen for in each picture: "psnr:30", "ssim:0.95".
        space: "rgb" changes each channel by its own detail, "luma" all three by that of their brightness.
        max_change: no pixel changes by more.
        clip: keep to [0, 1].
        quantize: round to so many levels above zero (255 for 8 bits); uint8 pictures are rounded in any case.
        alpha: the last channel is transparency, which passes as it is.
        linear: pictures hold linear light: the transform works on what sRGB makes of it, and results are linear again.

    Raises:
        InputError: a strength, space, change or number of levels that there isn't; options that contradict each other.
    """

    knows: tuple[nn.Module, ...] = ()
    """Networks that were asked how the picture should change."""

    def __init__(
        self,
        strength: float | str = 0.5,
        *,
        space: str = "rgb",
        max_change: float | None = None,
        clip: bool = True,
        quantize: int | None = None,
        alpha: bool = False,
        linear: bool = False,
    ) -> None:
        super().__init__()
        if space not in _SPACES:
            raise InputError("space", given=repr(space), expected="'rgb' or 'luma'")
        for name, value in (("clip", clip), ("alpha", alpha), ("linear", linear)):
            if not isinstance(value, bool):
                raise InputError(name, given=repr(value), expected="True or False")
        if max_change is not None:
            require_positive(max_change=max_change)
        if quantize is not None:
            require_levels(quantize, max_change)
            if not clip:
                raise InputError("quantize", given="beside clip=False", expected="clip=True: levels end at 0 and 1")
        if linear and max_change is not None:
            raise InputError("max_change", given="beside linear=True", expected="one of them: sRGB has no one change")
        self.target = aimed(strength, quantize)
        self.space, self.max_change, self.clip, self.quantize = space, max_change, clip, quantize
        self.alpha, self.linear = alpha, linear

    def extra_repr(self) -> str:
        """Its strength, as modules show it."""
        return str(self.target)

    def detail(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """What a strength multiplies, differentiable.

        Args:
            x: pictures.
        """
        raise NotImplementedError

    def undone(self, x: Float[Tensor, "n c h w"], strength: Float[Tensor, " n"]) -> Tensor | None:
        """What a published picture was, as an attacker would find out who knows the transform; None if nobody can.

        Args:
            x: published pictures.
            strength: of each.
        """
        return None

    def forward(self, x: Shaped[Tensor, "*batch c h w"]) -> Shaped[Tensor, "*batch c h w"]:
        """Published pictures, in the form and type of x.

        A picture in a batch whose target no strength reaches comes back unchanged, with a warning. At a fixed strength
        nothing waits for an accelerator, nor in a program: numbers outside [0, 1] aren't refused there, but their
        picture comes back as NaN.

        Args:
            x: pictures.

        Raises:
            InputError: what isn't a picture; one picture whose target no strength reaches.
        """
        if self.target.kind == "fixed":
            looked = looked_at(x) if isinstance(x, Tensor) else True
            work, rest = self._taken(x, looked)
            out = self._given(self._moved_by(work, float(self.target.value)), work, rest, x)
            return out if looked or x.dtype == torch.uint8 else without_strangers(out, x)
        work, rest = self._taken(x)
        found = self._found(self.target, work, x)
        if not bool(found.reached.all()):
            missed = (~found.reached).nonzero().flatten().tolist()
            if x.ndim == 3:
                hint = "a picture of equal pixels, or of pixels at the ends of the range, can't be moved that far"
                raise InputError("strength", given=f"{self.target}, which no strength reaches", hint=hint)
            said = f"{self.target} isn't reached at any strength in pictures {missed[:10]}: they stay as they are"
            warnings.warn(said, stacklevel=2)
        return self.at(x, found.strength)

    def at(self, x: Shaped[Tensor, "*batch c h w"], strength: Float[Tensor, " n"]) -> Shaped[Tensor, "*batch c h w"]:
        """Published pictures at strengths of each.

        Args:
            x: pictures.
            strength: (N,) 0 or more; where it is 0 the picture stays as it is.
        """
        work, rest = self._taken(x)
        strength = strength.to(work).view(-1, 1, 1, 1)
        moved = torch.where(strength > 0, work + strength * self._graded(work, self._levels(x)), work)
        out = self._given(moved, work, rest, x)
        still = (strength == 0).view(-1, *[1] * (x.ndim - 1)) if x.ndim == 4 else (strength == 0).view(1, 1, 1)
        return torch.where(still, x, out)

    def strengths(self, x: Shaped[Tensor, "*batch c h w"], error: Float[Tensor, " n"] | None = None) -> Strengths:
        """What `forward` would take for each picture, and whether its target is reached so.

        Args:
            x: pictures.
            error: mean squared errors to reach in place of the target of its own.

        Raises:
            InputError: what isn't a picture, or another number of errors.
        """
        if error is not None and error.shape != (len(x) if x.ndim == 4 else 1,):
            raise InputError("error", given=f"shape {tuple(error.shape)}", expected="(N,), one a picture")
        work, _ = self._taken(x)
        target = self.target if error is None else Aimed("error", error)
        return self._found(target, work, x)

    def _found(self, target: Aimed, work: Tensor, x: Tensor) -> Strengths:
        levels = self._levels(x)
        if target.kind == "psnr":
            require_tellable(float(target.value), levels)
        along = work if target.kind == "fixed" else self._graded(work, levels)

        def finish(pictures: Tensor, detail: Tensor, strength: Tensor) -> Tensor:
            return self._finished(pictures + strength.view(-1, 1, 1, 1) * detail, pictures, levels)

        return found_for(target, work, along, finish)

    def _taken(self, x: Tensor, looked: bool = True) -> tuple[Tensor, Tensor | None]:
        """Floats (N, C, H, W) to work on, and transparency."""
        (require_pictures if looked else require_form)(x)
        if x.dtype == torch.uint8 and self.quantize not in (None, _BYTES):
            raise InputError("quantize", given=f"{self.quantize} for uint8", expected="255, or None")
        batch = x if x.ndim == 4 else x[None]
        rest = None
        if self.alpha:
            if batch.shape[1] not in (2, 4):
                raise InputError("alpha", given=f"{batch.shape[1]} channels", expected="2 (LA) or 4 (RGBA)")
            batch, rest = batch[:, :-1], batch[:, -1:]
        if x.dtype == torch.uint8:
            work = batch.to(torch.get_default_dtype()) / _BYTES
        else:
            work = batch.float() if x.dtype in (torch.float16, torch.bfloat16) else batch
        if self.space == "luma":
            luma(work[:, :, :1, :1])  # refuse before the work
        return (encoded(work) if self.linear else work), rest

    def _moved_by(self, work: Tensor, strength: float) -> Tensor:
        return work + strength * self._along(work) if strength else work

    def _along(self, work: Tensor) -> Tensor:
        return self.detail(luma(work)) if self.space == "luma" else self.detail(work)

    def _graded(self, work: Tensor, levels: int | None) -> Tensor:
        """What a picture's own strength multiplies; where it is rounded, a little more or less from pixel to pixel.

        On 8-bit levels many pixels have the very same detail: they would all reach the next level at the same strength,
        and the error would jump over its target.
        """
        along = self._along(work)
        if levels is None or self.linear:
            return along
        rows, columns = (torch.arange(n, device=work.device, dtype=torch.float64) for n in work.shape[-2:])
        spread = (rows[:, None] * _GOLDEN + columns[None] * _SILVER).frac() - 0.5
        return along * (1 + _GRADE * spread).to(work)

    def _levels(self, x: Tensor) -> int | None:
        return _BYTES if x.dtype == torch.uint8 else self.quantize

    def _finished(self, moved: Tensor, work: Tensor, levels: int | None) -> Tensor:
        """Within the budget, the box and on the levels."""
        if self.max_change is not None:
            moved = work + (moved - work).clamp(-self.max_change, self.max_change)
        if self.clip:
            moved = moved.clamp(0, 1)
        if levels is None or self.linear:
            return moved
        return _rounded(moved, work, levels, self.max_change)

    def _given(self, moved: Tensor, work: Tensor, rest: Tensor | None, x: Tensor) -> Tensor:
        """In the form that the user's pictures have."""
        levels = self._levels(x)
        out: Any = self._finished(moved, work, levels)
        if self.linear:
            out = decoded(out)
            out = out if levels is None else _rounded(out, out, levels, None)
        out = (out * _BYTES).round().to(torch.uint8) if x.dtype == torch.uint8 else out.to(x.dtype)
        if rest is not None:
            out = torch.cat([out, rest], 1)
        return out if x.ndim == 4 else out[0]


def _rounded(moved: Tensor, work: Tensor, levels: int, max_change: float | None) -> Tensor:
    """On levels, with the gradient of the identity."""
    rounded = on_grid(moved.detach(), work.detach(), levels, max_change).clamp(0, 1)
    return rounded if not moved.requires_grad else moved + (rounded - moved).detach()
