"""torch-pruning, where it is installed: one-shot cuts by the size of weights, as its own defaults make them."""

from __future__ import annotations

import copy
import importlib
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deepwright.core.errors import InputError

_STEPS = 64  # ratios that are tried between 0 and 1


def version() -> str:
    """Of the installed torch-pruning; empty where there is none."""
    try:
        return str(importlib.import_module("torch_pruning").__version__)
    except ImportError:
        return ""


def cut(model: nn.Module, example: Tensor, ratio: float) -> nn.Module:
    """A copy with this share of the channels gone, layers competing, the last layer's outputs kept.

    Args:
        model: left as it is.
        example: inputs.
        ratio: share of the channels.
    """
    tp: Any = importlib.import_module("torch_pruning")
    small = copy.deepcopy(model)
    last = [m for m in small.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tp.pruner.MetaPruner(
            small,
            example,
            importance=tp.importance.MagnitudeImportance(p=2),
            global_pruning=True,
            pruning_ratio=ratio,
            max_pruning_ratio=0.95,
            ignored_layers=[last],
        ).step()
    return small


def cut_to(model: nn.Module, example: Tensor, share: float) -> nn.Module:
    """The largest such cut within a share of the MACs.

    Args:
        model: left as it is.
        example: inputs.
        share: of the dense network's MACs.

    Raises:
        InputError: no ratio reaches it.
    """
    goal = share * _macs(model, example)
    low, high = 0, _STEPS
    while low < high:  # the fewest channels gone
        middle = (low + high) // 2
        fits = _macs(cut(model, example, middle / _STEPS), example) <= goal
        low, high = (low, middle) if fits else (middle + 1, high)
    if low == _STEPS:
        raise InputError("a share of the MACs", given=share, expected="one that torch-pruning reaches")
    return cut(model, example, low / _STEPS)


def tried(model: nn.Module, example: Tensor) -> str:
    """Whether a cut of a fifth of the channels runs: "runs", what went wrong, or "not installed".

    Args:
        model: left as it is.
        example: inputs.
    """
    if not version():
        return "not installed"
    try:
        cut(model, example, 0.2)(example)
    except Exception as error:  # whatever a peer raises is its answer
        return f"{type(error).__name__}: {str(error)[:60]}"
    return "runs"


def _macs(model: nn.Module, example: Tensor) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(example)
    return counter.get_total_flops() / 2
