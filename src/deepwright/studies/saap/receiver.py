"""Behind a receiver: the transmission of resolution cells, and what errors of cancellation leave of it."""

from __future__ import annotations

from typing import Any

from deepwright.adversarial.patches import PSF
from deepwright.adversarial.patches.energy import filled, projected
from deepwright.adversarial.patches.rendering import Cells
from deepwright.core.randomness import Streams
from deepwright.data.named.ships import TAPS
from deepwright.studies.saap.attacks import OURS, attack
from deepwright.studies.saap.detectors import CENTRE, detector, measured, scenes, size_of

EXACT = "no error"
ERRORS: dict[str, dict[str, float]] = {
    EXACT: {},
    "phase error 0.1": {"phase": 0.1},
    "phase error 0.3": {"phase": 0.3},
    "phase error 1": {"phase": 1.0},
    "half of the patterns a cell off": {"misplaced": 0.5},
}
EVEN, NOISE, CELLS, BRIGHT = "evenly", "random noise", "random cells", "brightest cells"
CONTROLS = (EVEN, NOISE, CELLS, BRIGHT)
SHARE = 0.2


def receiver_trial(seed: int, quick: bool) -> dict[str, Any]:
    """Ours through the receiver beside controls on the same cells, with each error.

    Args:
        seed: of the detector, its scenes and the errors.
        quick: smaller.
    """
    network, test = detector(CENTRE, seed, quick), scenes(seed, "test", quick, coherent=True)
    assert test.field is not None
    exact = PSF(taps=TAPS)
    how = attack(SHARE, size_of(quick).steps, seed, physical=exact)
    ours = how(network, test.images, test.truth, field=test.field).transmission
    assert ours is not None
    cells = Cells.at(test.field, [t.boxes for t in test.truth], exact, 1, (0.0, 1.0))
    budget = SHARE * cells.full.double().sum(1)
    drawn = Streams(seed, len(test), "cells at random").uniform(cells.regions.size)
    noise = cells.regions.values(drawn.view(len(test), 1, *test.images.shape[2:]).to(cells.cap))
    taken = {
        EVEN: SHARE * cells.full,
        NOISE: projected(noise * 40 / 255, cells.cap, budget),
        CELLS: filled(noise, cells.cap, budget),
        BRIGHT: filled(cells.cap, cells.cap, budget),
    }
    patterns = {OURS: ours, **{name: cells.transmission(each) for name, each in taken.items()}}
    clean = exact.amplitude(test.field).clamp(0, 1)
    found: dict[str, Any] = {"clean": measured(network, clean, test.truth)}
    for error, options in ERRORS.items():
        receiver = PSF(taps=TAPS, **options)  # type: ignore[arg-type]
        found[error] = {
            name: measured(network, receiver.realised(test.field, pattern, seed).clamp(0, 1), test.truth, clean)
            for name, pattern in patterns.items()
        }
    return found
