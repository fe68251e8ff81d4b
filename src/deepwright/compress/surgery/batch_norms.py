"""Batch norms see other values after a cut: their running statistics can be taken again without training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from deepwright.compress.arguments import running
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError


def recalibrate(model: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """Replace every batch norm's running mean and variance by those of one pass over data (in place).

    Data that are used here are training data: say so where an error on them would be reported.

    Args:
        model: left in the mode it came in; only running statistics change.
        batches: inputs, at least two samples each.

    Raises:
        InputError: no data, a batch of one, or no batch norm; the statistics are then as before.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not norms:
        raise InputError("model", given="no batch norm with running statistics", expected="one")
    modes = {m: m.training for m in model.modules()}
    momenta = [m.momentum for m in norms]
    before = [{k: v.clone() for k, v in m.named_buffers()} for m in norms]
    seen = 0
    try:
        for m in modes:
            m.training = False
        for m in norms:
            m.reset_running_stats()
            m.momentum = None  # the plain mean over batches
            m.training = True
        with torch.no_grad():
            for x in batches:
                if len(x) < 2:
                    raise InputError("batches", given="a batch of one", expected="two samples or more")
                if not torch.isfinite(x).all():
                    raise InputError("batches", given="NaN or infinity", expected="finite inputs")
                with running("batches", x):
                    model(to_model(x, model))
                seen += 1
        if seen == 0:
            raise InputError("batches", given="none", expected="at least one")
    except BaseException:  # half-taken statistics are worse than the old ones
        for m, buffers in zip(norms, before):
            for name, value in m.named_buffers():
                value.copy_(buffers[name])
        raise
    finally:
        for m, momentum in zip(norms, momenta):
            m.momentum = momentum
        for m, training in modes.items():
            m.training = training
    return model
