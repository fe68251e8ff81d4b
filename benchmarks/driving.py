"""RoadSim's frames a second on one core: drawn alone, and with the bundled pilot at the wheel.

python benchmarks/driving.py
"""

from __future__ import annotations

import time

import torch

from deepwright.corruptions.driving import Road, RoadSim, bundled_pilot

BLOCK, STEPS, REPEATS = 16, 40, 5


def frames_per_second(size: tuple[int, int], rgb: bool, driven: bool) -> float:
    """Of CPU time: the machine may be busy with other things.

    Args:
        size: (height, width) of pictures.
        rgb: in colour.
        driven: by the bundled pilot; else straight on.
    """
    sim = RoadSim(BLOCK, size, rgb)
    roads = [Road.random(seed, max_angle=35) for seed in range(BLOCK)]
    pilot, steady = bundled_pilot(), torch.zeros(BLOCK, 2)
    best = float("inf")
    for _ in range(REPEATS):
        pictures = sim.reset(roads, range(BLOCK))
        start = time.process_time()
        with torch.no_grad():
            for _ in range(STEPS):
                pictures, _ = sim.step(pilot(pictures) if driven else steady)
        best = min(best, time.process_time() - start)
    return BLOCK * STEPS / best


def main() -> None:
    """Print one line a case."""
    torch.set_num_threads(1)
    for size, rgb, driven in (((40, 80), False, False), ((40, 80), False, True), ((40, 80), True, False)):
        what = f"{size[0]} x {size[1]} {'colour' if rgb else 'grey'}{', with the pilot' if driven else ''}"
        print(f"{what}: {frames_per_second(size, rgb, driven):,.0f} frames/s")


if __name__ == "__main__":
    main()
