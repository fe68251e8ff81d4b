"""The network that learns, the frozen copy that it learns from, and one step of its optimiser."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed, local_rng
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.heuristics.outputs import action_values, state_values, taken_values
from deepwright.pathfinding.learning.examples import Examples
from deepwright.pathfinding.learning.settings import Training
from deepwright.pathfinding.learning.team import Team


class DivergedError(InputError):
    """The network gave NaN or infinity; it has its weights of the last good check again."""


class Learner:
    """Network, target network, Adam and its schedule.

    Args:
        domain: whose states.
        net: trained in place.
        settings: of training.
        team: with which gradients are summed.

    Attributes:
        target: the frozen copy, in eval mode.
    """

    def __init__(self, domain: Domain, net: nn.Module, settings: Training, team: Team) -> None:
        self.domain, self.net, self.settings, self.team = domain, net, settings, team
        self.target = copy.deepcopy(net).eval().requires_grad_(False)
        self.optimizer = torch.optim.Adam(net.parameters(), lr=settings.lr)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, settings.lr_decay)

    def learn(self, examples: Examples, iteration: int) -> float:
        """One step; its loss, the mean over the examples of all processes.

        Args:
            examples: of this process; one or more in some process.
            iteration: whose number seeds what the network draws.

        Raises:
            DivergedError: the loss is no number; the step isn't taken.
        """
        self.net.train()
        self.optimizer.zero_grad(set_to_none=True)
        (count,) = self.team.sums(float(len(examples)))
        loss = 0.0
        rows = torch.arange(len(examples), device=examples.targets.device)
        with local_rng(derive_seed("dropout", iteration, *self.team.salt, seed=self.settings.seed)):
            for part in rows.tensor_split(self.settings.accumulate):
                if len(part):
                    share = self._errors(examples[part]).sum() / count
                    share.backward()  # type: ignore[no-untyped-call]
                    loss += float(share.detach())
        (loss,) = self.team.sums(loss)
        _finite(torch.tensor([loss]), iteration)
        self.team.sum_gradients(self.net.parameters())
        self.optimizer.step()
        self.scheduler.step()
        return loss

    def _errors(self, examples: Examples) -> Tensor:
        """What each example costs."""
        s = self.settings
        if s.loss == "categorical":
            net: Any = self.net  # with `logits`, as was looked at before
            return distance_entropy(net.logits(examples.states, examples.goals), examples.targets)
        if s.kind == "policy":
            logits = action_values(self.net, s.kind, self.domain.num_actions, examples.states, examples.goals)
            each = nn.functional.cross_entropy(logits, examples.taken, reduction="none")
            return torch.where(examples.targets > 0, each, 0)  # nothing leads on from a goal
        if s.kind == "v":
            said = state_values(self.net, examples.states, examples.goals)
        else:
            actions = self.domain.num_actions
            said = taken_values(self.net, s.kind, examples.states, examples.goals, examples.taken, actions)
        wanted = examples.targets.to(said.dtype)
        measure = nn.functional.mse_loss if s.loss == "mse" else nn.functional.huber_loss
        each = measure(said, wanted, reduction="none")
        return torch.where(said > wanted, each * s.over_weight, each) if s.over_weight != 1 else each

    def copy_to_target(self) -> None:
        """The target network becomes what the network is."""
        self.target.load_state_dict(self.net.state_dict())

    def action_values(self, net: nn.Module, iteration: int) -> Callable[[Tensor, Tensor], Tensor]:
        """(states, goals) -> (B, A), zero or more.

        Args:
            net: of the two.
            iteration: told where a value is no number.
        """

        def values(states: Tensor, goals: Tensor) -> Tensor:
            with torch.no_grad():
                found = action_values(net, self.settings.kind, self.domain.num_actions, states, goals)
            return _finite(found, iteration).float().clamp_min(0)

        return values

    def values(self, net: nn.Module, iteration: int) -> Callable[[Tensor, Tensor], Tensor]:
        """(states, goals) -> (B,), zero or more; of actions the least that can be taken.

        Args:
            net: of the two.
            iteration: told where a value is no number.
        """
        q = self.action_values(net, iteration)

        def least(states: Tensor, goals: Tensor) -> Tensor:
            return q(states, goals).masked_fill(~self.domain.expand(states).valid, torch.inf).amin(1)

        def values(states: Tensor, goals: Tensor) -> Tensor:
            with torch.no_grad():
                found = state_values(net, states, goals)
            return _finite(found, iteration).float().clamp_min(0)

        return values if self.settings.kind == "v" else least

    def state_dict(self) -> dict[str, Any]:
        """Weights of both, optimiser and schedule."""
        return {
            "net": dict(self.net.state_dict()),
            "target": dict(self.target.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it up again.

        Args:
            state: of `state_dict`.
        """
        self.net.load_state_dict(state["net"])
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


def distance_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy to a distance that is shared between the two whole numbers beside it, so that its mean is right.

    Args:
        logits: (B, K) of the distances 0..K - 1.
        targets: (B,); those above K - 1 are K - 1.
    """
    last = logits.shape[1] - 1
    wanted = targets.to(logits.dtype).clamp(0, last)
    low = wanted.floor().clamp_max(last - 1).long()
    up = wanted - low
    log = logits.log_softmax(1)
    below, above = (log.gather(1, place[:, None])[:, 0] for place in (low, low + 1))
    return -((1 - up) * below + up * above)


def _finite(found: Tensor, iteration: int) -> Tensor:
    if not bool(found.isfinite().all()):
        wrong = int((~found.isfinite()).sum())
        raise DivergedError(
            f"the network's output at iteration {iteration}",
            given=f"{wrong} of {found.numel()} numbers are NaN or infinite",
            expected="numbers",
            hint="a smaller lr, or a norm; the network has its weights of the last good check again",
        )
    return found
