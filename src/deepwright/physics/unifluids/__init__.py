"""UniFluids: one flow-matching transformer for equations of one, two and three dimensions (arXiv 2603.22309).

Begin with `train_unifluids(model, sets)`, then `model.predict`, `model.sample(members=8)` and `model.rollout`. Held
against it are `persistence`, `extrapolation`, and `FNO` and `UNet` trained by `train_next_frame`.

Example:
    >>> from deepwright.physics.pde_data import ChannelRegistry, line_corpus, unified
    >>> registry = ChannelRegistry()
    >>> sets = unified(line_corpus(train=8, test=2), registry)
    >>> model = UniFluids(registry, list(sets), "tiny")
    >>> model, _ = train_unifluids(model, [train for train, _ in sets.values()], steps=3, batch_size=4)
    >>> model.predict(sets["burgers"][1]).shape
    torch.Size([2, 1, 16, 64, 1, 1])
"""

from deepwright.physics.unifluids.baselines import FNO, NextFrame, UNet, extrapolation, persistence
from deepwright.physics.unifluids.flow_matching import (
    LogitNormal,
    Parameterization,
    TimeSampler,
    effective_dimension,
    euler_sample,
    flow_times,
    heun_sample,
)
from deepwright.physics.unifluids.forecasts import (
    evaluate_forecasts,
    forecast_errors,
    interleaved,
    relative_error,
    spread_skill,
)
from deepwright.physics.unifluids.model import UniFluids
from deepwright.physics.unifluids.next_frame import train_next_frame
from deepwright.physics.unifluids.training import choose_prediction, train_unifluids

__all__ = [
    "FNO",
    "LogitNormal",
    "NextFrame",
    "Parameterization",
    "TimeSampler",
    "UNet",
    "UniFluids",
    "choose_prediction",
    "effective_dimension",
    "euler_sample",
    "evaluate_forecasts",
    "extrapolation",
    "flow_times",
    "forecast_errors",
    "heun_sample",
    "interleaved",
    "persistence",
    "relative_error",
    "spread_skill",
    "train_next_frame",
    "train_unifluids",
]
