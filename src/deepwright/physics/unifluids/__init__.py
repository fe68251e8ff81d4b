"""UniFluids: one flow-matching transformer for equations of one, two and three dimensions (arXiv 2603.22309).

Example:
    >>> from deepwright.physics.unifluids import UniFluids, train
    >>> train(model, corpus, steps=1000)  # doctest: +SKIP
"""

from deepwright.physics.unifluids.baselines import FNO, NextFrame, UNet, extrapolation, persistence, train_next_frame
from deepwright.physics.unifluids.flow_matching import (
    LogitNormal,
    Parameterization,
    TimeSampler,
    effective_dimension,
    euler_sample,
    heun_sample,
)
from deepwright.physics.unifluids.forecasts import evaluate, forecast_errors, interleaved, relative_error, spread_skill
from deepwright.physics.unifluids.model import UniFluids
from deepwright.physics.unifluids.training import choose_prediction, train

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
    "evaluate",
    "extrapolation",
    "forecast_errors",
    "heun_sample",
    "interleaved",
    "persistence",
    "relative_error",
    "spread_skill",
    "train",
    "train_next_frame",
]
