"""What an attenuation patch did, object by object, and its file."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import write_bytes

# What numpy and zipfile raise of a file that is cut, altered, or of another kind.
_DAMAGED = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass
class PatchResult:
    """Attacked images, and of each image a row an object.

    Attributes:
        images: attacked, where the given ones were and in their dtype.
        boxes: of each image the boxes that were attacked.
        patches: of each image and object, (C, h, w) what was taken away within the object's level box, in whole pixels
            from `corners` on; behind a receiver, what is missing in the image.
        corners: of each image (k, 2): left and top pixel of each patch.
        energy_share: of each image (k,): share of the amplitude that is missing on the pixels (or cells) of an object.
        power_share: likewise, of squared amplitudes.
        detected_before: of each image (k,): whether a claimed detection overlapped the object by the task's overlap.
        detected_after: likewise, on the attacked image.
        hidden: of each image (k,): whether no claimed detection overlaps it by 0.1 any more, and one did before.
        loss_trace: (steps + 1, N) what was raised; an image that left early keeps its last.
        steps: (N,) until each image left.
        seconds: of all.
        transmission: behind a receiver, T of each cell; else None.
        flags: shares of objects or images of which something must be known: "nothing_detected", "no_pixels",
            "no_amplitude", "no_gradient", "not_finite", "dark_boxes".
    """

    images: Float[Tensor, "n c h w"]
    boxes: list[Tensor]
    patches: list[list[Tensor]]
    corners: list[Tensor]
    energy_share: list[Tensor]
    power_share: list[Tensor]
    detected_before: list[Bool[Tensor, " k"]]
    detected_after: list[Bool[Tensor, " k"]]
    hidden: list[Bool[Tensor, " k"]]
    loss_trace: Float[Tensor, "steps n"]
    steps: Tensor
    seconds: float = 0.0
    transmission: Tensor | None = None
    flags: dict[str, float] = field(default_factory=dict)

    @property
    def success_rate(self) -> float:
        """Share of the objects found before that no detection overlaps now; NaN where none was found."""
        before = torch.cat(self.detected_before)
        return float(torch.cat(self.hidden)[before].double().mean()) if bool(before.any()) else float("nan")


def save_patches(path: Path | str, result: PatchResult) -> None:
    """Write patches as an `.npz` of plain arrays.

    Args:
        path: of the file.
        result: whose patches they are.
    """
    import io

    arrays: dict[str, np.ndarray] = {"images": np.array(len(result.patches))}
    for i, (patches, corners) in enumerate(zip(result.patches, result.corners)):
        arrays[f"corners{i}"] = corners.cpu().numpy()
        for k, patch in enumerate(patches):
            arrays[f"patch{i}.{k}"] = patch.cpu().numpy()
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_bytes(Path(path), stream.getvalue())


def load_patches(path: Path | str) -> tuple[list[list[Tensor]], list[Tensor]]:
    """(patches, corners) as `PatchResult` has them.

    Args:
        path: of a file that `save_patches` wrote.

    Raises:
        InputError: another file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            n = int(file["images"])
            corners = [torch.from_numpy(file[f"corners{i}"]) for i in range(n)]
            patches = [[torch.from_numpy(file[f"patch{i}.{k}"]) for k in range(len(c))] for i, c in enumerate(corners)]
    except _DAMAGED as error:
        expected = "an .npz that `save_patches` wrote"
        raise InputError("path", given=f"{path}: {type(error).__name__}", expected=expected) from error
    return patches, corners


def apply_patches(
    images: Float[Tensor, "n c h w"],
    patches: list[list[Tensor]],
    corners: list[Tensor],
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Float[Tensor, "n c h w"]:
    """Images less their patches, within their range.

    Args:
        images: those that the patches were made for.
        patches: of each image, (C, h, w) an object.
        corners: of each image (k, 2): left and top pixel of each patch.
        bounds: of the range.

    Raises:
        InputError: patches of another number of images, or that lie outside of them.
    """
    if len(patches) != len(images) or len(corners) != len(images):
        raise InputError("patches", given=f"of {len(patches)} images", expected=f"of {len(images)}")
    out = images.clone()
    for i, (ones, places) in enumerate(zip(patches, corners)):
        for patch, (x, y) in zip(ones, places.tolist()):
            h, w = patch.shape[1:]
            if min(x, y) < 0 or y + h > images.shape[2] or x + w > images.shape[3]:
                raise InputError("patches", given=f"image {i}, {w} x {h} at ({x}, {y})", expected="within the image")
            out[i, :, y : y + h, x : x + w] -= patch.to(out)
    return out.clamp(*bounds)
