"""A first look at a network: what its outputs are, and whether it answers the same question twice alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.adversarial.aim import Aim
from deepwright.core.errors import InputError
from deepwright.core.inference import answering

_FEW, _MORE = 2, 16
_FORM = "one row a sample, as the network was trained on them: a single one is x[None]"


def forward_of(
    model: nn.Module, through: Sequence[Callable[[Tensor], Tensor]], dtype: torch.dtype
) -> Callable[[Tensor], Any]:
    """Pre-processing, then the model on its own dtype.

    Args:
        model: gives raw outputs.
        through: steps on inputs in the user's dtype.
        dtype: the model's.
    """

    def forward(x: Tensor) -> Any:
        for step in through:
            x = step(x)
        return model(x.to(dtype))

    return forward


def probed(
    aim: Aim, forward: Callable[[Tensor], Any], x: Float[Tensor, "n ..."], y: Any, eot: int
) -> tuple[Aim, Any, Callable[[Tensor], Any]]:
    """The aim with its task, what it reads on a few samples, and the network as it must be called.

    A network that writes into its input is given copies, so that it answers for what it was asked.

    Args:
        aim: perhaps without a task.
        forward: from inputs to raw outputs.
        x: the clean inputs.
        y: their targets, which tell one-column outputs of two classes from numbers.
        eot: forward passes that are averaged; with one, a model that answers differently is refused.

    Raises:
        InputError: inputs that the network doesn't take, outputs that the task can't read, or a random model.
    """
    few = x[:_FEW]
    copy = few.clone()
    with torch.no_grad():
        with answering(x, hint=_FORM):
            first = forward(copy)
        if not torch.equal(copy, few):
            forward = _on_copies(forward)
        again = forward(few)
    named = aim.task is not None
    aim = aim.settled(first, len(few), y)
    read = aim.read(first, len(few))
    finite = bool(aim.finite(read).all())
    if finite:  # numbers that aren't are counted in the flags; finite ones must be what the task says
        _require_meaning(aim, forward, x[:_MORE] if named else few, first)
    if eot == 1 and finite and not _same(read, aim.read(again, len(few))):
        raise InputError(
            "the model",
            given="different outputs for the same input",
            expected="a deterministic model",
            hint="switch its randomness off, or pass eot=10",
        )
    return aim, read, forward


def _on_copies(forward: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    return lambda x: forward(x.clone())


def _require_meaning(aim: Aim, forward: Callable[[Tensor], Any], x: Tensor, first: Any) -> None:
    """Refuse values that the task can't mean. Sigmoids are told from logits by more samples than two."""
    with torch.no_grad():
        out = first if len(x) <= _FEW else forward(x)
    if bool(aim.finite(aim.read(out, len(x))).all()):
        aim.read(out, len(x), strict=True)


def _same(a: Any, b: Any) -> bool:
    """Whether outputs are equal: tensors, or detections of each image."""
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    pairs = [(getattr(p, f), getattr(q, f)) for p, q in zip(a, b) for f in ("boxes", "labels", "scores")]
    return len(a) == len(b) and all(torch.equal(p, q) for p, q in pairs)
