"""Sizes that modules keep as plain numbers, brought to the new widths.

`in_channels` and the like are set from the new tensors. What a module gives to its reshapes and splits is found where
the network fails, or from the graph where it doesn't; the proof decides whether that was right.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.fx import Node

from deepwright.compress.coupling.nodes import module_of
from deepwright.compress.surgery.fixed_sizes import fixed_sizes
from deepwright.compress.surgery.plans import Plan
from deepwright.compress.whole_heads import follow_widths
from deepwright.core.inference import evaluating

_PICKS = 3  # candidates for one number
Attributes = Mapping[type[nn.Module], Callable[[nn.Module], None]]
Repair = tuple[str, str, int, int]
"""(module, attribute, old, new)"""


def repair_failures(plan: Plan, small: nn.Module, tries: int = 200) -> list[Repair]:
    """Run the network; where it fails on a size that is now wrong, correct it at one of the modules of that call.

    The failing frames tell the modules, innermost first; the graph tells which of their sizes the plan changes. A
    correction that leads nowhere is taken back.

    Args:
        plan: what stays.
        small: the cut network, repaired in place.
        tries: forward passes at most.
    """
    names = {id(m): n for n, m in small.named_modules()}
    modules = dict(small.named_modules())
    fixed: list[tuple[Node, int, int]] = []
    left = [tries]

    def attempt() -> list[Repair] | None:
        left[0] -= 1
        try:
            with evaluating(small), torch.no_grad():
                small(*plan.graph.example, **plan.graph.kwargs)
            return []
        except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as error:
            frames = [names.get(id(f.f_locals.get("self"))) for f, _ in traceback.walk_tb(error.__traceback__)]
        if not fixed:
            fixed.extend(fixed_sizes(plan))
        failing = dict.fromkeys(n for n in reversed(frames) if n is not None)
        for name, pick in itertools.product(failing, range(_PICKS)):
            done = repair_sizes(plan, small, [f for f in fixed if module_of(f[0]) == name], pick)
            if done and left[0] > 0:
                rest = attempt()
                if rest is not None:
                    return done + rest
            for module, attribute, before, _ in done:
                setattr(modules[module], attribute, before)
        return None

    return attempt() or []  # where nothing helps, the proof says what is wrong


def repair_sizes(
    plan: Plan, small: nn.Module, fixed: list[tuple[Node, int, int]], pick: int | None = None
) -> list[Repair]:
    """Sizes that a module keeps as plain numbers and gives to its reshapes and splits follow the plan.

    Only attributes of the module whose code made the call, with the very number that the call was given, are set. A
    number that would have to become two different ones (a layer as wide as its input, where one of the two follows by
    itself) is left, or becomes the one that is picked. The proof decides whether it was right.

    Args:
        plan: what stays.
        small: the cut network, repaired in place.
        fixed: (node, size in the code, size after surgery); see `fixed_sizes`.
        pick: which of several new sizes a number becomes; None leaves it.
    """
    modules = dict(small.named_modules())
    wanted: dict[tuple[str, int], set[int]] = {}
    for node, before, after in fixed:
        wanted.setdefault((module_of(node), before), set()).add(after)
    repaired = []
    for (name, before), sizes in wanted.items():
        module = modules.get(name)
        if module is None or (len(sizes) > 1 and pick is None) or (pick or 0) >= len(sizes):
            continue
        new = sorted(sizes)[pick or 0]
        for attribute, value in list(vars(module).items()):
            if type(value) is int and value == before and not attribute.startswith("_"):
                setattr(module, attribute, new)
                repaired.append((name, attribute, before, new))
    return repaired


def weight_shape(module: nn.Module) -> tuple[int, ...] | None:
    """Shape of a module's own weight, if it has one."""
    weight = module._parameters.get("weight")
    return None if weight is None else tuple(weight.shape)


def set_sizes(module: nn.Module, before: tuple[int, ...] | None, attributes: Attributes) -> None:
    """Size attributes from the new tensors.

    Args:
        module: whose tensors were cut.
        before: shape of its weight before.
        attributes: module type -> function that sets its own.
    """
    own = next((f for kind, f in attributes.items() if isinstance(module, kind)), None)
    if own is not None:
        own(module)
        return
    weight = module._parameters.get("weight")
    if isinstance(module, nn.modules.conv._ConvNd) and weight is not None and before is not None:
        if module.transposed:
            module.in_channels, module.out_channels = weight.shape[0], weight.shape[1] * module.groups
        else:
            if module.groups > 1:
                module.groups = weight.shape[0] // (before[0] // module.groups)
            module.in_channels, module.out_channels = weight.shape[1] * module.groups, weight.shape[0]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = module.weight.shape
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        mean = weight if weight is not None else module._buffers.get("running_mean")
        if mean is not None:
            module.num_features = len(mean)
    elif isinstance(module, nn.LayerNorm | nn.RMSNorm) and weight is not None:
        module.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.GroupNorm) and weight is not None:
        module.num_channels = len(weight)
    elif isinstance(module, nn.RNNBase):
        module.hidden_size = module.get_parameter("weight_hh_l0").shape[1]
        module.input_size = module.get_parameter("weight_ih_l0").shape[1]
    elif isinstance(module, nn.RNNCellBase):
        module.hidden_size = module.get_parameter("weight_hh").shape[1]
        module.input_size = module.get_parameter("weight_ih").shape[1]
    elif isinstance(module, nn.MultiheadAttention):
        follow_widths(module)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(module.weight)
