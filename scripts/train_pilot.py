"""Train the bundled pilot: imitation of pure pursuit under steering noise, then one round of DAgger.

    python scripts/train_pilot.py [FILE]

It drives RoadSim in grey pictures of 40 x 80 on roads with turns of up to 35 degrees, and writes
`src/deepwright/corruptions/driving/weights/pilot.safetensors` (or FILE). About 30 CPU seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deepwright.corruptions.driving import PurePursuit, Road, RoadSim, collect, evaluate, imitate, tiny_pilot
from deepwright.corruptions.driving.scenarios import Scenario
from deepwright.nets import write_weights

FILE = Path(__file__).parents[1] / "src/deepwright/corruptions/driving/weights/pilot.safetensors"
SEED, ANGLE = 1000, 35.0  # roads of the campaigns have seeds below


def main() -> None:
    """Collect, imitate, let the pilot drive while the expert says what is right, imitate all; test on fresh roads."""
    sim = RoadSim(16)
    expert = PurePursuit(sim)
    roads = [Road.random(SEED + i, max_angle=ANGLE) for i in range(32)]
    pilot = tiny_pilot(seed=SEED)
    seen = collect(sim, expert, roads[:16], noise=0.15, seed=SEED)
    imitate(pilot, seen, epochs=6, seed=SEED)
    seen += collect(sim, expert, roads[16:], dagger=pilot.eval(), seed=SEED + 1)
    result = imitate(pilot.train(), seen, epochs=8, seed=SEED + 1)
    pilot.eval()
    print(f"{len(seen)} pictures, last loss {result.history[-1]['loss']:.2g}")
    fresh = [Scenario(Road.random(SEED + 100 + i, max_angle=ANGLE), seed=i) for i in range(16)]
    outcomes = evaluate(sim, pilot, fresh)
    passed, worst = sum(o.passed for o in outcomes), max(o.max_xte for o in outcomes)
    print(f"fresh roads: {passed} of {len(fresh)} passed, largest |xte| {worst:.2f} m")
    print(write_weights(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE, pilot))


if __name__ == "__main__":
    main()
