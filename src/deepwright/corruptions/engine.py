"""What every perturbation shares: severities, per-sample streams, types in = types out, and one description each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams

Level = Any
Function = Callable[[Tensor, Level, "Context"], Tensor]


@dataclass(frozen=True)
class Context:
    """What a perturbation function may use besides the pixels.

    Attributes:
        streams: one random stream a sample.
        unit: pixels per pixel of a 240-line image (H / 240; 1 when sizes are meant literally).
        severity: 1..5.
        literal: reproduce the reference code where ours differs (phase scrambling).
    """

    streams: Streams
    unit: float
    severity: int
    literal: bool = False


@dataclass(frozen=True)
class Perturbation:
    """One way in which images go bad.

    Call it with images (N, C, H, W) or (C, H, W), float in [0, 1] or uint8; it gives the same type back and never
    touches its input. Severity 0 is the identity, exactly; 1..5 are the field's levels; (N,) gives each image its own.
    The same (seed, sample id, name, t) gives the same bits whatever the batch.

    Attributes:
        name: as listed.
        category: as listed.
        function: (images, level, context) -> images, not yet clipped.
        levels: the parameter of each severity 1..5.
        label_preserving: False where a steering angle (or any position) must be transformed along.
        moves_pixels: whether things change place (a blur only smears them), so that a label map must move along.
        monotone: whether the mean change grows with severity.
        color: works on RGB; one channel is handled as a grey picture, other counts are refused.
        differentiable: gradients pass through.
        has_literal: whether a reference code does it otherwise, so that there is something for `literal=True` to do.
    """

    name: str
    category: str
    function: Function
    levels: tuple[Level, ...]
    label_preserving: bool = True
    moves_pixels: bool = False
    monotone: bool = True
    color: bool = False
    differentiable: bool = True
    has_literal: bool = False

    def __call__(
        self,
        images: Tensor,
        severity: int | Tensor,
        seed: int = 0,
        t: int | None = None,
        *,
        ids: Tensor | None = None,
        reference_height: int | None = 240,
        literal: bool = False,
        backend: str = "auto",
    ) -> Tensor:
        """Perturb a batch.

        Args:
            images: see the class.
            severity: 0..5, or (N,) integers.
            seed: of the streams.
            t: time step, part of the streams: at another one numbers are drawn anew, so that what draws none stays the
                same.
            ids: (N,) identity of each image (0..N-1 by default).
            reference_height: pixel sizes refer to this height and are rescaled; None takes them literally.
            literal: see `Context`; for the perturbations that have it.
            backend: "auto" takes OpenCV's 8-bit kernels for uint8 images on the CPU where it is installed and has one
                (within 2/255 of ours in the mean); "torch" never does.

        Raises:
            InputError: severity outside 0..5, NaN, floats outside [0, 1], images under 8 pixels, a channel count that a
                colour perturbation can't take, an option that this perturbation doesn't have.
        """
        self._check_options(reference_height, literal, backend)
        if not isinstance(images, Tensor):
            raise InputError("images", given=type(images).__name__, expected="a tensor (N, C, H, W) or (C, H, W)")
        single = images.ndim == 3
        batch = images[None] if single else images
        self._check(batch)
        levels = severities_of(severity, len(batch))
        present = levels.unique().tolist()
        unit = 1.0 if reference_height is None else batch.shape[2] / reference_height
        in_opencv = backend == "auto" and not literal and self._in_opencv(batch)
        if len(present) == 1 and present[0] > 0 and in_opencv:
            from deepwright.corruptions import opencv

            strength = opencv.Strength(self.levels[present[0] - 1], present[0], unit)
            out = opencv.run(self.name, batch, strength)
            return out[0] if single else out
        x = batch.float() / 255 if batch.dtype == torch.uint8 else batch.float()
        ids = identities(ids, len(batch))
        if len(present) == 1:
            out = self._one(x, present[0], seed, ids, t, unit, literal)
        else:
            out = x.clone()
            for level in present:
                rows = (levels == level).nonzero().flatten()
                out[rows] = self._one(x[rows], level, seed, ids[rows], t, unit, literal)
        if batch.dtype == torch.uint8:
            out = (out * 255).round().to(torch.uint8)
        out = out.to(batch.dtype)
        return out[0] if single else out

    def _one(
        self, x: Tensor, severity: int, seed: int, ids: Tensor, t: int | None, unit: float, literal: bool
    ) -> Float[Tensor, "n c h w"]:
        if severity == 0:
            return x.clone()
        context = Context(Streams(seed, ids, self.name, t, x.device), unit, severity, literal)
        level = self.levels[severity - 1]
        if self.color and x.shape[1] == 1:
            return self.function(x.expand(-1, 3, -1, -1), level, context).clamp(0, 1).mean(1, keepdim=True)
        return self.function(x, level, context).clamp(0, 1)

    def _check_options(self, reference_height: int | None, literal: bool, backend: str) -> None:
        if backend not in ("auto", "torch"):
            raise InputError("backend", given=repr(backend), expected="'auto' or 'torch'")
        if literal and not self.has_literal:
            raise InputError(
                f"{self.name}: literal",
                given="True",
                expected="False",
                hint="its reference does what it does; only phase_scrambling has another literal form",
            )
        lines = isinstance(reference_height, int | float) and not isinstance(reference_height, bool)
        if reference_height is not None and not (lines and 1 <= reference_height < float("inf")):
            raise InputError("reference_height", given=repr(reference_height), expected="a number of lines, or None")

    def _in_opencv(self, batch: Tensor) -> bool:
        if batch.dtype != torch.uint8 or batch.device.type != "cpu" or batch.shape[1] not in (1, 3):
            return False
        from deepwright.corruptions import opencv

        return self.name in opencv.NAMES and opencv.available()

    def _check(self, batch: Tensor) -> None:
        if batch.ndim != 4 or not len(batch) or min(batch.shape[2:]) < 8:
            raise InputError(
                "images",
                given=f"shape {tuple(batch.shape)}",
                expected="(N, C, H, W) of at least 8 x 8 pixels, N of 1 or more",
            )
        if self.color and batch.shape[1] not in (1, 3):
            raise InputError(f"{self.name}", given=f"{batch.shape[1]} channels", expected="3 (or 1, taken as grey)")
        if batch.dtype == torch.uint8:
            return
        if not batch.is_floating_point():
            raise InputError("images", given=str(batch.dtype), expected="uint8, or floats in [0, 1]")
        low, high = (float(v) for v in torch.aminmax(batch.detach())) if batch.numel() else (0.0, 0.0)
        if not (low >= -1e-6 and high <= 1 + 1e-6):  # NaN fails both
            raise InputError(
                "images",
                given=f"range {low:.4g}..{high:.4g}",
                expected="[0, 1]",
                hint="divide 8-bit images by 255; look for NaN",
            )


def described(samples: Any) -> str:
    """What was given in place of samples, for the message that refuses it.

    Args:
        samples: anything.
    """
    if not isinstance(samples, Tensor):
        return type(samples).__name__
    broken = samples.is_floating_point() and not bool(torch.isfinite(samples).all())
    return f"{samples.dtype} of shape {tuple(samples.shape)}" + (" with NaN or infinity" if broken else "")


def identities(ids: Tensor | None, n: int) -> Tensor:
    """(N,) identity of each sample, for its random stream.

    Args:
        ids: as given; None for 0..N-1.
        n: number of samples.

    Raises:
        InputError: anything but n whole numbers.
    """
    found = torch.arange(n) if ids is None else torch.as_tensor(ids)
    if found.shape != (n,) or found.is_floating_point() or found.is_complex():
        given = f"{found.dtype} of shape {tuple(found.shape)}"
        raise InputError("ids", given=given, expected=f"whole numbers ({n},), one an image")
    return found


def severities_of(severity: Any, n: int) -> Tensor:
    """(N,) whole severities on the CPU.

    Args:
        severity: one number, or one a sample.
        n: number of samples.

    Raises:
        InputError: what is between two severities, outside 0..5, or no number; as many as neither one nor n.
    """
    try:
        found = None if isinstance(severity, str | bool | None) else torch.as_tensor(severity).cpu()
    except (TypeError, ValueError, RuntimeError):
        found = None
    good = found is not None and found.dtype != torch.bool and not found.is_complex() and found.ndim <= 1
    if good:
        assert found is not None
        good = found.numel() in {1, n} and bool(((found >= 0) & (found <= 5) & (found == found.round())).all())
    if not good or found is None:
        given = severity if isinstance(severity, Tensor) else repr(severity)
        hint = "no level lies between two severities" if isinstance(severity, float) else None
        raise InputError("severity", given=given, expected="0..5, one whole number or one an image", hint=hint)
    return found.long().reshape(-1).expand(n)


def to_numpy_batch(image: np.ndarray) -> Tensor:
    """An (H, W, C) or (H, W) uint8 array as a batch of one."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise InputError("array", given=f"{image.dtype} of shape {image.shape}", expected="uint8 (H, W, C) or (H, W)")
    array = image[..., None] if image.ndim == 2 else image
    return torch.from_numpy(array.copy()).permute(2, 0, 1)[None]


def luminance(x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1 h w"]:
    """.299 R + .587 G + .114 B (the mean for other channel counts)."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    weights = torch.tensor([0.299, 0.587, 0.114], device=x.device, dtype=x.dtype)
    return (x * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)
