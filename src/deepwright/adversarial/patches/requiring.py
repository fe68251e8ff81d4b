"""What attenuation patches can be made on: amplitudes in their range, detectors that show all their candidates."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.inference import require_float_images
from deepwright.core.tasks import CandidateDetection
from deepwright.nets import SSD, CandidateBoxes


def require_task(task: Any) -> CandidateDetection:
    """The task, if it reads candidates.

    Args:
        task: what was given.

    Raises:
        InputError: another.
    """
    if not isinstance(task, CandidateDetection):
        given = "no task" if task is None else getattr(task, "__name__", type(task).__name__)
        hint = "final detections have no gradient to what is almost: nets.CandidateBoxes, nets.YoloCandidates"
        raise InputError("task", given=given, expected="CandidateDetection(classes)", hint=hint)
    return task


def candidates_of(detector: nn.Module) -> nn.Module:
    """The detector as one that gives candidates.

    Args:
        detector: an `SSD`, or one that gives them already.

    Raises:
        InputError: no module.
    """
    if not isinstance(detector, nn.Module):
        raise InputError("detector", given=type(detector).__name__, expected="a torch.nn.Module")
    if detector.training:
        warnings.warn("the detector is in train mode: it is attacked in eval mode and put back", stacklevel=3)
    return CandidateBoxes(detector) if isinstance(detector, SSD) else detector


def require_amplitudes(images: Any, bounds: tuple[float, float], levels: int | None = None) -> None:
    """Refuse what are no amplitudes of images.

    Args:
        images: what was given.
        bounds: their range.
        levels: on which they must be, above the lower end.

    Raises:
        InputError: another shape or type, none, numbers outside the range or off the levels.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or not len(images):
        given = f"shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise InputError("images", given=given, expected="(N, channels, height, width), at least one")
    require_float_images(images, "images")
    low, high = float(images.min()), float(images.max())
    if low < bounds[0] - 1e-6 or high > bounds[1] + 1e-6:
        hint = None
        if high > bounds[1] + 1e-6 and high > 2:
            hint = "divide 8-bit images by 255, or say bounds=(0, 255)"
        elif low < -1:
            hint = "decibels or normalised images? data.to_amplitude(values), and the normalisation into the detector"
        raise InputError("images", given=f"range {low:.4g}..{high:.4g}", expected=f"within {bounds}", hint=hint)
    if bounds[1] > 2 and high <= 1 and high > 0:
        raise InputError("images", given=f"up to {high:.4g} of {bounds}", expected="the range that bounds say")
    if levels is not None:
        grid = (images.double() - bounds[0]) / (bounds[1] - bounds[0]) * levels
        if float((grid - grid.round()).abs().max()) > 1e-3:
            raise InputError("images", given="numbers off the levels", expected=f"multiples of 1/{levels} of the range")


def dark_boxes(images: Tensor, inside: Tensor, valid: Tensor, image: Tensor) -> Tensor:
    """Whether an object is darker than its image is, in the median: boxes and images may not belong together.

    Args:
        images: amplitudes.
        inside: those of the objects, a row each.
        valid: which of these are pixels.
        image: the image of each object.
    """
    middle = torch.where(valid, inside, torch.nan).nanmedian(1).values
    return middle < images.flatten(1).median(1).values[image]


def require_candidates(candidates: Tensor) -> None:
    """Refuse candidates that aren't numbers: what a detector says of pictures as they are.

    Args:
        candidates: (n, boxes, ...).

    Raises:
        InputError: NaN among them; the first image that has it.
    """
    wrong = candidates.isnan().flatten(1).any(1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise InputError("the detector's output", given=f"NaN for image {row} as it is", expected="numbers")
