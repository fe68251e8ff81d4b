"""What a network's outputs are, looked at before they are used: values of states, or of states and actions."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError

KINDS = ("v", "q_fixed", "q_in", "policy")


def state_values(module: nn.Module, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
    """One number a state.

    Args:
        module: (states, goals) -> (B,).
        states: (B, *state_shape).
        goals: (B, ...).

    Raises:
        InputError: outputs of another shape.
    """
    out: Tensor = module(states, goals)
    return _require(out, (len(states),))


def action_values(module: nn.Module, kind: str, actions: int, states: Tensor, goals: Tensor) -> Float[Tensor, "b a"]:
    """One number a state and action.

    Args:
        module: (states, goals) -> (B, A) where `kind` is "q_fixed" or "policy"; (states, goals, actions) -> (B,) for
            "q_in".
        kind: of the three.
        actions: how many there are.
        states: (B, *state_shape).
        goals: (B, ...).

    Raises:
        InputError: outputs of another shape.
    """
    if kind in ("q_fixed", "policy"):
        out: Tensor = module(states, goals)
        return _require(out, (len(states), actions))
    each = torch.arange(actions, device=states.device).repeat(len(states))
    out = module(states.repeat_interleave(actions, 0), goals.repeat_interleave(actions, 0), each)
    return _require(out, (len(each),)).view(len(states), actions)


def taken_values(
    module: nn.Module, kind: str, states: Tensor, goals: Tensor, taken: Tensor, actions: int
) -> Float[Tensor, " b"]:
    """One number a state, of the action that was taken there.

    Args:
        module: as in `action_values`.
        kind: as there.
        states: (B, *state_shape).
        goals: (B, ...).
        taken: (B,) actions.
        actions: how many there are.
    """
    if kind == "q_in":
        return _require(module(states, goals, taken), (len(states),))
    return action_values(module, kind, actions, states, goals).gather(1, taken[:, None])[:, 0]


def surprise(logits: Float[Tensor, "b a"], valid: Tensor) -> Float[Tensor, "b a"]:
    """-log p(a | s) of a policy among the actions that can be taken, infinite of the others.

    Args:
        logits: (B, A).
        valid: (B, A), which can be taken.
    """
    possible = logits.float().masked_fill(~valid, -torch.inf)
    return -(possible - possible.logsumexp(1, keepdim=True)).masked_fill(~valid, -torch.inf)


def _require(out: Tensor, shape: tuple[int, ...]) -> Tensor:
    if not isinstance(out, Tensor) or out.shape != shape:
        given = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise InputError("the network's output", given=given, expected=f"{shape}")
    return out
