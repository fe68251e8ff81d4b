"""Real road pictures: where the middle of the road is seen in CamVid's scenes, by a network of the pilots' kind.

CamVid has no steering. Its label maps say where the road is, so that the angle under which the middle of the road is
seen some way ahead stands in for it: an error without driving, under the same perturbations, on photographs.
"""

from __future__ import annotations

import functools
import io
import math
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from deepwright.corruptions.driving import Demonstrations, imitate, tiny_pilot
from deepwright.data.files.archives import Decoding, ImageSource, decode
from deepwright.studies.driving.foretelling import foretold
from deepwright.studies.driving.pilots import HIGH, sizes

_ROAD = 3  # the class of CamVid's label maps
_TOP = 120  # the lower two thirds of 360 lines, which are twice as wide as high, as the pilots' pictures
_BAND = slice(240, 260)  # lines in which the road's middle is looked for
_FOCAL = 480.0  # pixels, of about 53 degrees across
_LEAST = 200  # pixels of road in the band
EPOCHS = 30


def there(root: Path | None) -> Path | None:
    """The file of CamVid's scenes, where it is.

    Args:
        root: of the data.
    """
    path = None if root is None else root / "camvid.zip"
    return path if path is not None and path.is_file() else None


@functools.lru_cache(maxsize=2)
def scenes(root: str, part: str) -> Demonstrations:
    """Grey pictures of 40 x 80 and the angle to the road's middle, to the left where positive.

    Args:
        root: of the data.
        part: "train" or "test".
    """
    path = there(Path(root))
    assert path is not None
    source = ImageSource(path)
    names = [n for n in source.images() if PurePosixPath(n).parent.name == part]
    angles = [_angle(source, name, part) for name in names]
    kept = [name for name, angle in zip(names, angles) if angle is not None]
    pixels, _, _ = decode(source, kept, Decoding(mode="L"))
    pictures = F.interpolate(pixels[:, :, _TOP:].float() / 255, (40, 80), mode="area")
    steering = torch.tensor([angle for angle in angles if angle is not None])
    return Demonstrations(pictures, torch.stack([steering, torch.zeros_like(steering)], 1))


def _angle(source: ImageSource, name: str, part: str) -> float | None:
    """None where the band holds hardly any road."""
    path = PurePosixPath(name)
    label = (path.parent.parent / f"{part}annot" / f"{path.stem}.png").as_posix()
    with Image.open(io.BytesIO(source.read(label))) as opened:
        columns = (np.asarray(opened)[_BAND] == _ROAD).nonzero()[1]
        middle = (opened.width - 1) / 2
    return None if len(columns) < _LEAST else -math.atan((float(columns.mean()) - middle) / _FOCAL)


def photographs_trial(seed: int, root: str, quick: bool) -> dict[str, Any]:
    """Train on the training scenes and their mirror images; errors on the test scenes.

    Args:
        seed: of start, order and perturbations.
        root: of the data.
        quick: small.
    """
    train, test = scenes(root, "train"), scenes(root, "test")
    sign = torch.tensor([-1.0, 1.0])
    both = train + Demonstrations(train.pictures.flip(3), train.actions * sign)
    pilot = tiny_pilot(seed=seed)
    imitate(pilot, both, epochs=2 if quick else EPOCHS, seed=seed)
    rows = foretold(pilot.eval(), test, [(name, HIGH) for name in sizes(quick).perturbations], seed)
    angles = test.actions[:, 0]
    constant = float((angles - train.actions[:, 0].mean()).abs().mean())
    return {"rows": rows, "constant": constant, "pictures": len(test), "trained on": len(both)}
