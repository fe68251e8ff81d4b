"""What exits are given: frames like those of the calibration, and flags that may leave a frame undefined."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.inference import require_float_images

FAR = 10.0  # times the largest input of the calibration: another scale (0..255 for 0..1), not a bright frame


def require_frames(x: Tensor, like: Tensor, largest: float = 0.0) -> None:
    """Refuse inputs that a head would answer without having been asked in its own terms.

    A head gives a score to anything: NaN never leaves and is then "nothing found", pixels in 0..255 nearly all leave.

    Args:
        x: a batch.
        like: an input batch of the network.
        largest: magnitude of the inputs that thresholds were chosen on; 0 where that isn't known.

    Raises:
        InputError: no tensor, another shape of a sample, integer pixels, NaN or infinity, or another scale.
    """
    if not isinstance(x, Tensor):
        raise InputError("x", given=type(x).__name__, expected="a batch of inputs as one tensor")
    if x.shape[1:] != like.shape[1:] or x.ndim != like.ndim:
        expected = f"(N, {', '.join(map(str, like.shape[1:]))}), as the example that the exits were attached with"
        raise InputError("x", given=f"shape {tuple(x.shape)}", expected=expected)
    if like.is_floating_point():
        require_float_images(x)
    if largest > 0 and magnitude(x) > FAR * largest:
        raise InputError(
            "x",
            given=f"values up to {magnitude(x):.3g}",
            expected=f"the scale of the inputs that the thresholds belong to, which reach {largest:.3g}",
            hint="scale as there (x / 255 for 8-bit images), or calibrate again on such inputs",
        )


def magnitude(x: Tensor) -> float:
    """The largest absolute value of a batch; 0 of an empty one and of whole numbers, which are names (of words).

    Args:
        x: of any shape.
    """
    return float(x.abs().max()) if x.numel() and x.is_floating_point() else 0.0


def read_flags(name: str, flags: Tensor, n: int) -> tuple[Bool[Tensor, " n"], Bool[Tensor, " n"]]:
    """(whether each sample is flagged, whether that is defined), on the CPU.

    Args:
        name: how the user knows them.
        flags: (N,) bool, or whole numbers 1, 0 and -1: undefined, as frames that hold only boxes that don't count.
        n: samples.

    Raises:
        InputError: another shape, or other values.
    """
    if not isinstance(flags, Tensor) or flags.shape != (n,):
        given = f"shape {tuple(flags.shape)}" if isinstance(flags, Tensor) else type(flags).__name__
        raise InputError(name, given=given, expected=f"({n},), one flag a sample")
    values = flags.detach().cpu()
    if not bool(torch.isin(values.double(), torch.tensor([-1.0, 0.0, 1.0], dtype=torch.double)).all()):
        strange = next(v for v in values.tolist() if v not in (-1, 0, 1))
        expected = "True and False, or 1, 0 and -1 (undefined)"
        raise InputError(name, given=f"values such as {strange:g}", expected=expected)
    return values == 1, values != -1


def require_scores(scores: Tensor, name: str = "scores") -> None:
    """Refuse readiness that isn't a number.

    Args:
        scores: of any shape.
        name: how the user knows them.

    Raises:
        InputError: NaN (some samples are named).
    """
    bad = scores.isnan()
    if bool(bad.any()):
        rows = bad.reshape(len(scores), -1).any(1).nonzero().flatten()[:5].tolist()
        raise InputError(name, given=f"NaN in samples {rows}", expected="numbers", hint="look at inputs and weights")


def require_thresholds(thresholds: Sequence[float], cuts: int) -> None:
    """Refuse other numbers of thresholds than cuts, and NaN, under which nobody leaves.

    Args:
        thresholds: of readiness.
        cuts: how many there are.

    Raises:
        InputError: see above.
    """
    if len(thresholds) != cuts or any(t != t for t in thresholds):
        raise InputError("thresholds", given=list(thresholds), expected=f"{cuts} numbers, one a cut")
