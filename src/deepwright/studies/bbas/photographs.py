"""The zoo's ResNet-20 on CIFAR-10, held against ImageNet's photographs of other things and four far sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.core.features import extract
from deepwright.core.randomness import generator
from deepwright.data import letters, load_cifar10, load_imagenet_sample, mnist_5k, photo_patches, shuffle_pixels
from deepwright.studies.bbas.detectors import GRIDS, Setting, scores
from deepwright.studies.bbas.measures import areas

FAR = ("far noise", "far patches", "far inverted", "far shuffled", "far digits")
SETS = ("near photographs", *FAR)
FILES = ("cifar10-images.zip", "imagenet-sample.zip")
FITTED, TESTED, FAR_EACH = 2000, 500, 100
# ImageNet's classes that show what one of CIFAR-10's ten does: birds, frogs, dogs and their wild kin, cats, horses,
# deer-like animals, aircraft, ships, cars and trucks.
_KIN = (
    *range(7, 25),
    *range(30, 33),
    *range(80, 101),
    *range(127, 147),
    *range(151, 294),
    *(339, 340, 345, 346, 347, 348, 349, 350, 351, 352, 353),
    *(403, 404, 405, 407, 408, 436, 450, 468, 472, 479, 484, 510, 511, 544, 554, 555, 561, 569, 573, 575, 576, 581),
    *(586, 609, 621, 625, 627, 628, 654, 656, 661, 665, 670, 675, 705, 717, 724, 730, 734, 751, 757, 779, 780, 803),
    *(812, 814, 817, 820, 829, 833, 847, 856, 864, 866, 867, 871, 874, 895, 908, 913, 914),
)


def files_of(root: Path | None) -> list[Path]:
    """The files of the photographs; none where one of them isn't there.

    Args:
        root: of the real data sets.
    """
    found = [] if root is None else [root / name for name in FILES]
    return found if all(path.exists() for path in found) else []


def photographs(root: Path) -> tuple[Tensor, Tensor]:
    """Two halves of ImageNet's sample at 32 x 32 without CIFAR-10's kin: to choose settings on, and to test on.

    Args:
        root: of the real data sets.
    """
    data = load_imagenet_sample(root, size=32, limit=200)
    x = torch.cat([s.inputs() for s in (data.train, data.validation, data.test)])
    y = torch.cat([s.y for s in (data.train, data.validation, data.test)])
    other = ~torch.isin(y, torch.tensor(_KIN))
    x, y = x[other], y[other]
    x = x[y.argsort()]
    order = torch.randperm(len(x), generator=generator(0, "photographs"))
    half = len(x) // 2
    return x[order[:half]], x[order[half:]]


def photographs_trial(seed: int, root: str, chosen: dict[str, Setting] | None = None, small: bool = False) -> Any:
    """Fit the detectors on training images, score test images and foreign ones.

    Args:
        seed: of the images that are fitted on and tested.
        root: of the real data sets.
        chosen: one setting a detector: these are measured on near and far sets. None: every setting is, on validation
            images, half of the near photographs and letters, which are in no test.
        small: a tenth of the images.
    """
    from deepwright.nets import load

    size = 10 if small else 1
    tested = (300 if chosen is None else TESTED) // size
    data = load_cifar10(Path(root), limit=tested, train_limit=FITTED // size, seed=seed)
    model = load("resnet20-cifar10").eval()
    choosing, testing = photographs(Path(root))
    inside = (data.validation if chosen is None else data.test).inputs()
    if chosen is None:
        pages = letters(100, 32, seed).expand(-1, 3, -1, -1).contiguous()
        sets = {"near photographs": choosing, "letters": pages}
    else:
        sets = {"near photographs": testing, **_far(inside, seed, FAR_EACH // size)}
    wanted = GRIDS if chosen is None else {name: [setting] for name, setting in chosen.items()}
    known = extract(model, data.train.batches(250))
    found = {name: (x, extract(model, x.split(250))) for name, x in ({"inside": inside} | sets).items()}
    right = found["inside"][1].logits.argmax(1) == (data.validation if chosen is None else data.test).y
    return {"accuracy": float(right.double().mean()), "areas": areas(scores(wanted, model, known, found))}


def _far(inside: Tensor, seed: int, n: int) -> dict[str, Tensor]:
    picks = inside[torch.randperm(len(inside), generator=generator(seed, "far"))[:n]]
    digits, _ = mnist_5k()
    rows = torch.randperm(len(digits), generator=generator(seed, "digits"))[:n]
    grown = torch.nn.functional.pad(digits[rows].float() / 255, (2, 2, 2, 2))
    return {
        "far noise": torch.rand(n, 3, 32, 32, generator=generator(seed, "noise")),
        "far patches": photo_patches(n, (3, 32, 32), seed),
        "far inverted": 1 - picks,
        "far shuffled": shuffle_pixels(picks, seed),
        "far digits": grown.expand(-1, 3, -1, -1).contiguous(),
    }
