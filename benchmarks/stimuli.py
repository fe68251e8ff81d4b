"""Stimuli a second: batches of distance fields against one picture at a time with Pillow, as the published code draws.

    python benchmarks/stimuli.py

Pillow draws Müller-Lyer figures of the same geometry with hard edges and blurs them; nothing is written to disk. CPU
seconds of this process, one thread.
"""

from __future__ import annotations

import math
import time

import torch
from PIL import Image, ImageDraw, ImageFilter

from deepwright.interpret import list_experiments, make_stimuli

N, SIZE = 512, 224


def pillow(count: int) -> float:
    """CPU seconds for as many Müller-Lyer figures, each drawn and blurred.

    Args:
        count: of pictures.
    """
    rng = torch.Generator().manual_seed(0)
    begin = time.process_time()
    for _ in range(count):
        length, fin, angle, x, y = torch.rand(5, generator=rng).tolist()
        length, fin, angle = SIZE * (0.25 + 0.42 * length), SIZE * (0.07 + 0.064 * fin), math.radians(10 + 34 * angle)
        x, y = SIZE * (0.4 + 0.2 * x), SIZE * (0.2 + 0.6 * y)
        image = Image.new("RGB", (SIZE, SIZE))
        pen = ImageDraw.Draw(image)
        pen.line((x - length / 2, y, x + length / 2, y), fill=(255, 255, 255), width=1)
        for end in (-1, 1):
            for turn in (-1, 1):
                at = x + end * length / 2
                to = (at + end * fin * math.cos(angle), y + turn * fin * math.sin(angle))
                pen.line((at, y, *to), fill=(255, 255, 255), width=1)
        image.filter(ImageFilter.GaussianBlur(0.00334 * SIZE))
    return time.process_time() - begin


def main() -> None:
    """Print pictures a CPU second."""
    torch.set_num_threads(1)
    pillow(16)
    print(f"Pillow, Müller-Lyer one at a time: {N / pillow(N):.0f} a second")
    for experiment in list_experiments():
        make_stimuli(experiment.name, 8, size=SIZE)
        count = N // len(experiment.conditions)
        begin = time.process_time()
        drawn = make_stimuli(experiment.name, count, size=SIZE)
        print(f"{experiment.name}: {len(drawn) / (time.process_time() - begin):.0f} a second")


if __name__ == "__main__":
    main()
