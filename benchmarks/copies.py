"""Which changed copies `find_duplicates` finds: the table of docs/rooms/dataquality.md."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from deepwright.data import load
from deepwright.dataquality import find_duplicates

COPIES = 300
SETS = {"mnist": 5000, "cifar10": 8000}


def jpeg(pictures: Tensor, quality: int) -> Tensor:
    """Pictures after JPEG."""
    found = []
    for picture in (pictures * 255).round().byte().permute(0, 2, 3, 1).squeeze(-1).numpy():
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        found.append(np.array(Image.open(file)))
    back = torch.from_numpy(np.stack(found)).float() / 255
    return back[:, None] if back.ndim == 3 else back.permute(0, 3, 1, 2)


CHANGES = {
    "JPEG at quality 50": lambda x: jpeg(x, 50),
    "JPEG at quality 30": lambda x: jpeg(x, 30),
    "one pixel along both axes": lambda x: torch.roll(x, (1, 1), (2, 3)),
    "two pixels along one axis": lambda x: torch.roll(x, 2, 3),
    "two pixels along both axes": lambda x: torch.roll(x, (2, 2), (2, 3)),
    "0.8 x + 0.1": lambda x: 0.8 * x + 0.1,
    "half as large and back": lambda x: F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear"),
}


def main() -> None:
    """Print the share of copies that is found with its original, for each set and change."""
    for name, n in SETS.items():
        pictures = load(name, limit=1000, train_limit=n).train.inputs()[:n]
        print(f"{name}: {len(pictures)} pictures, {len(find_duplicates(pictures).pairs)} pairs without a copy")
        for change, changed in CHANGES.items():
            group = find_duplicates(torch.cat([pictures, changed(pictures[:COPIES])])).group
            share = float((group[len(pictures) :] == group[:COPIES]).double().mean())
            print(f"  {change}: {share:.0%}")


if __name__ == "__main__":
    main()
