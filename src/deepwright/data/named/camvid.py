"""CamVid road scenes (SegNet's 11 classes), for the systems on dense prediction.

Source: Brostow, Shotton, Fauqueur, Cipolla, "Segmentation and Recognition Using Structure from Motion Point Clouds",
ECCV 2008; Brostow, Fauqueur, Cipolla, "Semantic Object Classes in Video: A High-Definition Ground Truth Database",
Pattern Recognition Letters 2009. Given out by its authors, who ask to be cited; no licence of theirs is known to us.
"""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.data.dataset import Data, Split
from deepwright.data.files.archives import Decoding, ImageSource, decode
from deepwright.data.files.mask_folders import IGNORED

CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
_VOID = 11  # in the files


def load_camvid(
    root: Path, *, limit: int | None = None, train_limit: int | None = None, size: int | tuple[int, int] | None = None
) -> Data:
    """Frames (N, 3, 360, 480) uint8 and label maps (N, 360, 480) int64; the release's own splits.

    What is void in the release is 255 here, as a segmentation's task has it.

    Args:
        root: the folder that holds `camvid.zip` or `camvid/`.
        limit: at most so many test and validation frames.
        train_limit: at most so many training frames.
        size: (height, width) that frames are resized to, or a height that keeps their proportions; each position of a
            label map takes the label that its centre had.

    Raises:
        InputError: no such file, or a label map that isn't one.
    """
    path = next((p for p in (root / "camvid.zip", root / "camvid") if p.exists()), None)
    if path is None:
        raise InputError("camvid", given=f"nothing in {root}", expected="camvid.zip", hint="--data-root DIR")
    source = ImageSource(path)
    wanted = (size, round(size * 4 / 3)) if isinstance(size, int) else size
    parts = {}
    for part, folder, most in (("train", "train", train_limit), ("validation", "val", limit), ("test", "test", limit)):
        frames = [n for n in source.images() if PurePosixPath(n).parent.name == folder][:most]
        pixels, _, _ = decode(source, frames, Decoding(size=wanted))
        labels = torch.stack([_label_map(source, n, folder) for n in frames])
        parts[part] = Split(pixels, labels if wanted is None else _resized(labels, wanted))
    return Data("camvid", "segmentation", CLASSES, parts["train"], parts["validation"], parts["test"])


def _resized(labels: Tensor, size: tuple[int, int]) -> Tensor:
    rows, columns = (((torch.arange(new) + 0.5) * (old / new)).long() for old, new in zip(labels.shape[1:], size))
    return labels[:, rows[:, None], columns]


def _label_map(source: ImageSource, frame: str, folder: str) -> Tensor:
    path = PurePosixPath(frame)
    name = (path.parent.parent / f"{folder}annot" / f"{path.stem}.png").as_posix()
    try:
        ids = np.asarray(Image.open(io.BytesIO(source.read(name))))
    except (KeyError, OSError) as error:
        raise InputError(
            f"label map {name} of {source.path}", given=str(error), expected="a PNG of class ids"
        ) from error
    if ids.ndim != 2 or ids.max() > _VOID:
        raise InputError(
            f"label map {name} of {source.path}", given=f"shape {ids.shape}, ids to {ids.max()}", expected="ids 0..11"
        )
    return torch.from_numpy(np.where(ids == _VOID, IGNORED, ids).astype(np.int64))
