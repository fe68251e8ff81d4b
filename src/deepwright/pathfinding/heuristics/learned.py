"""A trained network as a heuristic: bound to what it was trained for, and never believed blindly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.files import write_atomic
from deepwright.core.requirements import require_network, require_number, require_whole
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.networks import QNet, ValueNet
from deepwright.pathfinding.heuristics.outputs import KINDS, action_values, state_values, surprise

_FORMAT = "deepwright heuristic 1"
_NETS: dict[str, type[ValueNet] | type[QNet]] = {"ValueNet": ValueNet, "QNet": QNet}


class LearnedHeuristic:
    """h(s, g) or Q(s, a, g) of a network, or a policy. It promises nothing: no lower bound comes from it.

    Whatever the network says, a state that is a goal has h = 0, and nothing is below `clamp_min`. With a network of
    actions h(s) is the least of those that can be taken, infinity where none can. A policy says -log p(a | s, g) as the
    value of an action, and no h; `beam` adds it up along paths.

    Args:
        module: of "v" (states, goals) -> (B,), of "q_fixed" (states, goals) -> (B, A), of "q_in" (states, goals,
            actions) -> (B,), of "policy" (states, goals) -> (B, A), logits.
        domain: that it was trained for.
        kind: of the four.
        batch_size: states in one pass.
        clamp_min: the least that it says.
        any_goal: whether it was trained for whatever goal; else for the domain's own alone. A network that says of
            itself whether it sees `goals` needn't be asked.

    Attributes:
        admissible: False.
        judges_actions: whether it says Q as well as h, or is a policy.
        along_paths: whether what it says of actions adds up along paths, as a policy's does.
        reach: the longest walk that it was trained on, where a `Trainer` made it.

    Raises:
        InputError: another kind, no network, numbers out of range.
    """

    admissible = False

    def __init__(
        self,
        module: nn.Module,
        domain: Domain,
        kind: str = "v",
        batch_size: int = 10_000,
        clamp_min: float = 0.0,
        any_goal: bool | None = None,
    ) -> None:
        require_network(module, "module")
        require_whole(1, batch_size=batch_size)
        require_number(0.0, clamp_min=clamp_min)
        if kind not in KINDS:
            raise InputError("kind", given=repr(kind), expected=" or ".join(map(repr, KINDS)))
        seen = getattr(module, "goals", None)
        told = seen if isinstance(seen, bool) else domain.goal is None
        self.module, self.domain, self.kind = module, domain, kind
        self.batch_size, self.clamp_min = batch_size, float(clamp_min)
        self.any_goal = told if any_goal is None else any_goal
        self.judges_actions, self.along_paths = kind != "v", kind == "policy"
        self.reach: int | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What it was trained for, as plain data."""
        return identity_of(self.domain, self.any_goal)

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """One number a state, zero at goals.

        Args:
            states: (B, *state_shape).
            goals: (B, ...).

        Raises:
            InputError: states of another shape, another goal than it was trained for, NaN, a network in training mode;
                a policy, which says no h.
        """
        if self.kind == "policy":
            hint = "beam(domain, start, goal, policy)"
            raise InputError("h of states", given="a policy", expected="a network of values", hint=hint)
        if self.kind == "v":
            return self._ask(states, goals)
        q = self.values(states, goals)
        h = q.masked_fill(~self.domain.expand(states).valid, torch.inf).amin(1)
        return h.masked_fill(self.domain.is_goal(states, goals), 0)

    def values(self, states: Tensor, goals: Tensor) -> Float[Tensor, "b a"]:
        """One number a state and action: see `QHeuristic`.

        Args:
            states: (B, *state_shape).
            goals: (B, ...).

        Raises:
            InputError: as of a call, or a network that says h alone.
        """
        if self.kind == "v":
            expected = 'one of actions: "q_fixed", "q_in" or "policy"'
            raise InputError("values", given='a network of kind "v"', expected=expected)
        return self._ask(states, goals)

    @torch.no_grad()
    def _ask(self, states: Tensor, goals: Tensor) -> Tensor:
        self._require(states, goals)
        device = device_of(self.module)
        parts = []
        for s, g in zip(states.split(self.batch_size), goals.split(self.batch_size)):
            parts.append(self._pass(s.to(device), g.to(device)).float())
        shape = (0,) if self.kind == "v" else (0, self.domain.num_actions)
        found = torch.cat(parts).to(states.device) if parts else torch.zeros(shape, device=states.device)
        wrong = found.isnan().flatten(1).any(1) if self.kind != "v" else found.isnan()
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            given = f"NaN for the state {states[row].flatten().tolist()} in row {row}"
            raise InputError("the network's output", given=given, expected="numbers")
        if not len(states):
            return found
        done = self.domain.is_goal(states, goals).view(-1, *[1] * (found.ndim - 1))
        return found.clamp_min(self.clamp_min).masked_fill(done, 0)

    def _pass(self, states: Tensor, goals: Tensor) -> Tensor:
        if self.kind == "v":
            return state_values(self.module, states, goals)
        found = action_values(self.module, self.kind, self.domain.num_actions, states, goals)
        return surprise(found, self.domain.expand(states).valid) if self.kind == "policy" else found

    def _require(self, states: Tensor, goals: Tensor) -> None:
        """What would otherwise give numbers that mean nothing."""
        for name, part in self.module.named_modules():
            if part.training and isinstance(part, nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd):
                raise InputError(
                    "module",
                    given=f"{name or 'it'} ({type(part).__name__}) in training mode, where h depends on the batch",
                    expected="a network in eval mode",
                    hint="module.eval()",
                )
        if states.shape[1:] != self.domain.state_shape or states.dtype != self.domain.state_dtype:
            given = f"{tuple(states.shape)} of {states.dtype}"
            expected = f"(B, *{self.domain.state_shape}) of {self.domain.state_dtype}, as of {self.domain.name}"
            raise InputError("states", given=given, expected=expected)
        if len(goals) != len(states):
            raise InputError("goals", given=f"{len(goals)} for {len(states)} states", expected="one a state")
        own = self.domain.goal
        if not self.any_goal and own is not None and not bool((goals == own.to(goals.device)).all()):
            expected = f"{self.domain.name}'s own, which it was trained for"
            raise InputError("goals", given="another goal", expected=expected)

    def save(self, path: Path | str) -> Path:
        """Weights, and what they are for, as one safetensors file; nothing in it runs.

        Args:
            path: of the file.
        """
        kind = type(self.module).__name__
        made = getattr(self.module, "config", None) if type(self.module) in _NETS.values() else None
        kept = {"kind": self.kind, "clamp_min": self.clamp_min, "identity": self.identity, "net": kind, "config": made}
        kept["reach"] = self.reach
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.module.state_dict().items()}
        data = to_bytes(tensors, {"format": _FORMAT, "heuristic": json.dumps(kept, sort_keys=True)})
        return write_atomic(path, lambda stream: stream.write(data))

    @classmethod
    def load(cls, path: Path | str, domain: Domain, module: nn.Module | None = None, batch_size: int = 10_000) -> Self:
        """A saved one, in eval mode.

        Args:
            path: of the file.
            domain: that it is for.
            module: whose weights these are; not needed where it was a `ValueNet` or a `QNet`.
            batch_size: states in one pass.

        Raises:
            InputError: no such file, another domain, size or goal, a module that the weights don't fit.
        """
        kept, tensors = _read(path)
        expected = identity_of(domain, bool(kept["identity"]["any_goal"]))
        wrong = [
            f"{name} {kept['identity'].get(name)}" for name in expected if kept["identity"].get(name) != expected[name]
        ]
        if wrong:
            named = ", ".join(f"{n} {expected[n]}" for n in expected if kept["identity"].get(n) != expected[n])
            raise InputError(f"{path} was trained for another domain", given=", ".join(wrong), expected=named)
        net = module if module is not None else _made(path, kept, domain)
        try:
            net.load_state_dict(tensors)
        except RuntimeError as error:
            given = str(error).splitlines()[0]
            raise InputError("module", given=given, expected=f"a {kept['net']} whose weights are in {path}") from error
        net.eval()
        any_goal = bool(kept["identity"]["any_goal"])
        found = cls(net, domain, kept["kind"], batch_size, kept["clamp_min"], any_goal)
        found.reach = kept.get("reach")
        return found


def identity_of(domain: Domain, any_goal: bool) -> dict[str, Any]:
    """What a heuristic is bound to, as plain data.

    Args:
        domain: its own.
        any_goal: whether it is for whatever goal.
    """
    own = None if domain.goal is None or any_goal else domain.goal.flatten().tolist()
    moves = None if any_goal and type(domain).fingerprint is Domain.fingerprint else domain.fingerprint()
    return {
        "domain": domain.name,
        "state_shape": list(domain.state_shape),
        "num_values": domain.num_values,
        "num_actions": domain.num_actions,
        "any_goal": any_goal,
        "goal": own,
        "actions": moves,  # by default these are seen from the goal, which here may be another
    }


def _read(path: Path | str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not Path(path).is_file():
        raise InputError("path", given=f"{path}, where no file is", expected="one that `save` wrote")
    try:
        with safe_open(str(path), "pt") as stored:
            told = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise InputError(f"{path}", given=str(error).splitlines()[0], expected="a file that `save` wrote") from error
    if told.get("format") != _FORMAT:
        raise InputError(
            f"{path}", given="weights that don't say what they are for", expected="a file that `save` wrote"
        )
    return json.loads(told["heuristic"]), tensors


def _made(path: Path | str, kept: dict[str, Any], domain: Domain) -> nn.Module:
    if kept["config"] is None or kept["net"] not in _NETS:
        raise InputError("module", given="none", expected=f"the {kept['net']} whose weights are in {path}")
    return _NETS[kept["net"]](domain, **kept["config"])
