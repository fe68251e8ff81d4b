"""From a network to its embeddings and last layer, and back with another one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.copies import copied
from deepwright.core.devices import device_of, dtype_of
from deepwright.core.errors import InputError
from deepwright.core.features import extract
from deepwright.core.requirements import require_network
from deepwright.shift.problems import linear

if TYPE_CHECKING:
    from deepwright.core.tasks import Task

_CLOSE = 1e-3


@dataclass(frozen=True)
class Features:
    """Embeddings that enter a network's last layer.

    Attributes:
        x: (n, d) embeddings.
        y: (n,) labels, or None where the batches had none.
        head: the last layer, as logits of classes.
    """

    x: Float[Tensor, "n d"]
    y: Int64[Tensor, " n"] | None
    head: nn.Linear


def extract_features(
    model: nn.Module, batches: Iterable[Any], *, store: Path | str | None = None, task: Task | None = None
) -> Features:
    """One forward pass: what enters the last linear layer, and that layer.

    Args:
        model: a network whose outputs are those of a linear layer; it is left as found.
        batches: inputs (N, ...), or pairs with labels.
        store: a folder in which an interrupted extraction goes on, bound to network and data; a finished one is read.
        task: how outputs are read where they aren't (N, classes) logits.

    Raises:
        InputError: something stands between the last linear layer and the outputs (a norm, a temperature, dropout), so
            that a new head wouldn't fit the model.
    """
    found = extract(model, batches, layers=[], store=store, task=task, progress="features")
    between = "a norm, a scale, a softmax or another layer stands between the last linear layer and the outputs"
    if found.features is None or found.weight is None or found.bias is None:
        expected = "outputs that a linear layer gives as they are"
        hint = "give the part of the network up to the last layer's input as features, and (weight, bias) as head"
        raise InputError("model", given=between, expected=expected, hint=hint)
    head = linear(found.weight, found.bias)
    with torch.no_grad():
        again = head(found.features)
    # differences of logits are what decides: a shift of all of them, as of one logit read as two, changes nothing
    a, b = (v - v.mean(1, keepdim=True) for v in (again, found.logits.to(again)))
    gap = float((a - b).abs().max() / b.abs().max().clamp_min(1e-12))
    if not gap <= _CLOSE * (1 if dtype_of(model) == torch.float32 else 20):
        given = f"the last layer on the features differs from the outputs by {gap:.3g} of the largest"
        raise InputError("model", given=given, expected=f"{_CLOSE:g} at most", hint=between)
    return Features(found.features, found.labels, head)


def replace_head(model: nn.Module, head: nn.Linear, *, name: str | None = None) -> nn.Module:
    """A copy of the network with another last layer.

    Args:
        model: a network; it is left as found.
        head: on raw features, as the methods' `head_`.
        name: of the layer that is replaced; by default the last linear layer in the network's own order.

    Raises:
        InputError: no such linear layer, or one of another shape. A single logit takes a head of two classes.
    """
    require_network(model)
    layers = {key: part for key, part in model.named_modules() if isinstance(part, nn.Linear)}
    key = next(reversed(layers), None) if name is None else name
    if key is None or key not in layers:
        expected = f"one of {', '.join(map(repr, list(layers)[-8:]))}" if layers else "a network with an nn.Linear"
        raise InputError("name", given=repr(name), expected=expected)
    old = layers[key]
    weight = head.weight.detach()
    bias = weight.new_zeros(len(weight)) if head.bias is None else head.bias.detach()
    if old.out_features == 1 and len(weight) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    if weight.shape != old.weight.shape:
        given = f"weight {tuple(weight.shape)} for layer {key!r} of {tuple(old.weight.shape)}"
        raise InputError("head", given=given, expected="the same shape", hint="name= chooses another layer")
    changed = copied(model)
    new = linear(weight, bias).to(device_of(model), old.weight.dtype).requires_grad_(old.weight.requires_grad)
    new.train(old.training)
    if key == "":
        return new
    parent, _, child = key.rpartition(".")
    setattr(changed.get_submodule(parent), child, new)
    return changed
