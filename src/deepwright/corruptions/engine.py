"""What every perturbation shares: severities, per-sample streams, types in = types out, and one description each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_whole
from deepwright.corruptions.levels import Level, between, identities, severities_of

Function = Callable[[Tensor, Level, "Context"], Tensor]


@dataclass(frozen=True)
class Context:
    """What a perturbation function may use besides the pixels.

    Attributes:
        streams: one random stream a sample.
        unit: pixels per pixel of a 240-line image (H / 240; 1 when sizes are meant literally).
        severity: 1..5, or between two of them.
        literal: reproduce the reference code where ours differs (phase scrambling).
        time: the frame, any real number, of what moves in closed form; its streams know none.
    """

    streams: Streams
    unit: float
    severity: float
    literal: bool = False
    time: float = 0.0


def _is_fresh(out: Tensor, x: Tensor) -> bool:
    """Whether a result may be changed in place: it is its own memory, and no gradient needs it as it was."""
    own = out.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()
    return own and out.is_contiguous() and not out.requires_grad


@dataclass(frozen=True)
class Perturbation:
    """One way in which images go bad.

    Call it with images (N, C, H, W) or (C, H, W), float in [0, 1] or uint8; it gives the same type back and never
    touches its input. Severity 0 is the identity, exactly; 1..5 are the field's levels; (N,) gives each image its own.
    Between two levels its parameters lie between theirs, where that means something (`least` says from where on). The
    same (seed, sample id, name, t) gives the same bits whatever the batch.

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
        between: what a severity between two levels means: "level" for parameters in between, "picture" for a mixture of
            the two pictures, "nothing" for counts, kinds and codes, which have none in between.
        identity: the level that changes nothing, from which on severities below 1 have a meaning; None where there is
            none.
        sticks: what it draws sticks to the lens or the scene: in a film it is drawn once (t=None), not for each frame.
        dynamic: it moves in closed form with t, any real number of frames; what moves is drawn without t.
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
    between: str = "level"
    identity: Level | None = None
    sticks: bool = False
    dynamic: bool = False

    @property
    def least(self) -> float | None:
        """The severity above which there is something between two levels: 0, 1, or None where there is nothing."""
        if self.between == "nothing":
            return None
        return 1.0 if self.between == "level" and self.identity is None else 0.0

    def level(self, severity: float) -> Level:
        """The parameters at a severity in (0, 5].

        Args:
            severity: a level's, or between two.
        """
        below = math.floor(severity)
        if severity == below:
            return self.levels[below - 1]
        return between(self.levels[below - 1] if below else self.identity, self.levels[below], severity - below)

    def __call__(
        self,
        images: Tensor,
        severity: float | Tensor,
        seed: int = 0,
        t: float | None = None,
        *,
        ids: Tensor | None = None,
        reference_height: int | None = 240,
        literal: bool = False,
        backend: str = "auto",
    ) -> Tensor:
        """Perturb a batch.

        Args:
            images: see the class.
            severity: 0..5, or (N,) of them; between two levels from `least` on.
            seed: of the streams.
            t: time step, part of the streams: at another one numbers are drawn anew, so that what draws none stays the
                same. Where things move (`dynamic`), the frame: any real number, None for 0.
            ids: (N,) identity of each image (0..N-1 by default).
            reference_height: pixel sizes refer to this height and are rescaled; None takes them literally.
            literal: see `Context`; for the perturbations that have it.
            backend: "auto" takes OpenCV's 8-bit kernels for uint8 images on the CPU where it is installed and has one
                (within 2/255 of ours in the mean); "torch" never does.

        Raises:
            InputError: severity outside 0..5, or between two levels that have nothing between them, NaN, floats outside
                [0, 1], images under 8 pixels, a channel count that a colour perturbation can't take, a seed that is no
                whole number, an option that this perturbation doesn't have.
        """
        require_whole(seed=seed)  # also where nothing is drawn
        self._check_options(reference_height, literal, backend)
        if not isinstance(images, Tensor):
            raise InputError("images", given=type(images).__name__, expected="a tensor (N, C, H, W) or (C, H, W)")
        single = images.ndim == 3
        batch = images[None] if single else images
        self._check(batch)
        t = self._time(t)
        levels = severities_of(severity, len(batch), self.least)
        present = levels.unique().tolist()
        unit = 1.0 if reference_height is None else batch.shape[2] / reference_height
        in_opencv = backend == "auto" and not literal and self._in_opencv(batch)
        if len(present) == 1 and present[0] > 0 and in_opencv and not self._mixes(present[0]):
            from deepwright.corruptions import opencv

            strength = opencv.Strength(self.level(present[0]), present[0], unit)
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

    def unlooked(self, images: Float[Tensor, "n c h w"], severity: float, seed: int, ids: Tensor) -> Tensor:
        """A batch of floats at one severity; no value is looked at, so that a step of a training waits for nothing.

        Args:
            images: floats in [0, 1].
            severity: of 0..5, or between two levels that have something there.
            seed: of the streams.
            ids: (N,) identity of each image, on the CPU.

        Raises:
            InputError: images under 8 pixels, a channel count that a colour perturbation can't take.
        """
        self._check_shape(images)
        out = self._one(images.float(), float(severity), seed, ids, None, images.shape[2] / 240, False)
        return out.to(images.dtype)

    def _one(
        self, x: Tensor, severity: float, seed: int, ids: Tensor, t: float | None, unit: float, literal: bool
    ) -> Float[Tensor, "n c h w"]:
        """One severity of floats, clipped."""
        if severity == 0:
            return x.clone()
        if self._mixes(severity):
            low, high = (
                self._one(x, s, seed, ids, t, unit, literal) for s in (math.floor(severity), math.ceil(severity))
            )
            return torch.lerp(low, high, severity - math.floor(severity))
        streams = Streams(seed, ids, self.name, None if self.dynamic or t is None else int(t), x.device)
        context = Context(streams, unit, severity, literal, t or 0.0)
        level = self.level(severity)
        if self.color and x.shape[1] == 1:
            return self.function(x.expand(-1, 3, -1, -1), level, context).clamp(0, 1).mean(1, keepdim=True)
        out = self.function(x, level, context)
        return out.clamp_(0, 1) if _is_fresh(out, x) else out.clamp(0, 1)

    def _mixes(self, severity: float) -> bool:
        """Whether two pictures are mixed there."""
        return self.between == "picture" and severity != math.floor(severity)

    def _time(self, t: float | None) -> float | None:
        """The time step, looked at."""
        if t is None:
            return None
        number = isinstance(t, int | float | np.number) and not isinstance(t, bool) and math.isfinite(t)
        if not number or not (self.dynamic or t == int(t)):
            expected = "a number of frames" if self.dynamic else "a whole number, or None"
            hint = None if self.dynamic or not number else "its numbers are drawn anew for each frame"
            raise InputError(f"{self.name}: t", given=repr(t), expected=expected, hint=hint)
        return float(t)

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

    def _check_shape(self, batch: Tensor) -> None:
        if batch.ndim != 4 or not len(batch) or min(batch.shape[2:]) < 8:
            raise InputError(
                "images",
                given=f"shape {tuple(batch.shape)}",
                expected="(N, C, H, W) of at least 8 x 8 pixels, N of 1 or more",
            )
        if self.color and batch.shape[1] not in (1, 3):
            raise InputError(f"{self.name}", given=f"{batch.shape[1]} channels", expected="3 (or 1, taken as grey)")

    def _check(self, batch: Tensor) -> None:
        self._check_shape(batch)
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
