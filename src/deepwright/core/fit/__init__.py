"""The one training loop: Lightning Fabric underneath, exact resume, best weights, early stop.

Losses, steps, callbacks, optimisers and schedules are arguments; nobody else writes a loop. The order of the data
and every augmentation are functions of (seed, epoch, step) alone, and the generator's state is kept in the
checkpoint, so a killed fit continues to the same bits as one that was never interrupted. A checkpoint belongs to what
it was made from: with other data, options, code or another start the fit refuses and says what differs.

Training happens where the model lives. Nothing waits for an accelerator at every step: sum and finiteness of the loss
are kept there, and looked at every 50 steps (on the CPU at every one), before each checkpoint and at the end of an
epoch.
"""

from __future__ import annotations

from deepwright.core.fit.factories import adamw, one_cycle, sgd
from deepwright.core.fit.fitting import fit, fit_drawn
from deepwright.core.fit.recipe import Selection, StepFunction, TrainData
from deepwright.core.fit.run import FitResult
from deepwright.core.fit.unwrapping import unwrapped

__all__ = [
    "FitResult",
    "Selection",
    "StepFunction",
    "TrainData",
    "adamw",
    "fit",
    "fit_drawn",
    "one_cycle",
    "sgd",
    "unwrapped",
]
