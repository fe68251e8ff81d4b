"""Pictures with the actions of an expert, collected while driving, and networks that imitate them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.fit import FitResult, adamw, fit, one_cycle
from deepwright.core.inference import evaluating
from deepwright.core.progress import bar
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_number, require_positive, require_whole
from deepwright.corruptions.driving.agents import Agent
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.simulators import Simulator, require_actions


@dataclass(frozen=True)
class Demonstrations:
    """What was seen, and what the expert would have done.

    Attributes:
        pictures: in [0, 1], on the CPU.
        actions: (steering in radians, throttle).
    """

    pictures: Float[Tensor, "m c h w"]
    actions: Float[Tensor, "m 2"]

    def __len__(self) -> int:
        return len(self.pictures)

    def __add__(self, other: Demonstrations) -> Demonstrations:
        both = [torch.cat(pair) for pair in ((self.pictures, other.pictures), (self.actions, other.actions))]
        return Demonstrations(*both)


def collect(
    sim: Simulator,
    expert: Agent,
    roads: Sequence[Road | None],
    noise: float = 0.15,
    dagger: Agent | None = None,
    *,
    seed: int = 0,
    max_xte: float = 4.0,
    timeout: float = 62.0,
) -> Demonstrations:
    """Drive roads, and keep each picture with what the expert would do there.

    The expert drives itself, with noise on its steering: only so are places beside the middle seen, and the way back.
    With `dagger` that agent drives, and the expert only says what would have been right (DAgger). An episode is kept
    up to where the road is left or ends.

    Args:
        sim: in which it is driven; the expert's.
        expert: says what is right.
        roads: one an episode; None where the simulator has its own.
        noise: standard deviation of the steering noise, in radians, drawn anew at each step.
        dagger: drives in place of the expert.
        seed: of noise and worlds.
        max_xte: metres from the middle at which the road is left.
        timeout: simulated seconds of an episode.

    Raises:
        InputError: no roads, no step that could be kept, numbers out of their range.

    Source: S. Ross, G. Gordon and D. Bagnell, "A reduction of imitation learning and structured prediction to no-regret
        online learning" (DAgger), arXiv 1011.0686.
    """
    require_number(0, noise=noise)
    require_positive(max_xte=max_xte, timeout=timeout)
    if not roads:
        raise InputError("roads", given="none", expected="at least one")
    pictures, actions = [], []
    n = sim.n
    with bar("collecting", len(roads)) as running:
        for first in range(0, len(roads), n):
            chunk = list(roads[first : first + n])
            padded = chunk + [chunk[-1]] * (n - len(chunk))
            ids = torch.arange(first, first + n)
            found = _episodes(sim, expert, dagger, padded, (seed, ids), noise, round(timeout / sim.dt), max_xte)
            for picture, action, kept in found:
                keep = kept[: len(chunk)]
                pictures.append(picture[: len(chunk)][keep])
                actions.append(action[: len(chunk)][keep])
            running.advance(len(chunk))
    found = Demonstrations(torch.cat(pictures), torch.cat(actions))
    if not len(found):
        raise InputError("demonstrations", given="no step on the road", expected="at least one")
    return found


def _episodes(
    sim: Simulator,
    expert: Agent,
    dagger: Agent | None,
    roads: Sequence[Road | None],
    source: tuple[int, Tensor],
    noise: float,
    steps: int,
    max_xte: float,
) -> Any:
    """(pictures, the expert's actions, which still count) of each step, on the CPU."""
    seed, ids = source
    picture = sim.reset(roads, [seed * 100_003 + int(i) for i in ids])
    alive = torch.ones(sim.n, dtype=torch.bool)
    for step in range(steps):
        right = expert(picture)
        require_actions(right, sim.n)
        yield picture.cpu(), right.detach().float().cpu(), alive.clone()
        action = right.clone()
        if dagger is not None:
            action = acted(dagger, picture)
            require_actions(action, sim.n)
        elif noise:
            drawn = Streams(seed, ids, "steering noise", step, action.device).normal()
            action[:, 0] += noise * drawn.to(action)
        picture, seen = sim.step(action)
        alive &= ((seen.xte.abs() < max_xte) & ~seen.finished & ~seen.stopped).cpu()
        if not alive.any():
            return


def acted(agent: Agent, pictures: Tensor) -> Tensor:
    """What an agent does, without gradients; a network gets pictures where it lives, and its actions come back.

    Args:
        agent: a network or a function.
        pictures: what is seen.
    """
    with torch.no_grad():
        if not isinstance(agent, nn.Module):
            return agent(pictures)
        found = agent(to_model(pictures, agent))
        return found.to(pictures.device) if isinstance(found, Tensor) else found


def imitate(
    network: nn.Module,
    data: Demonstrations,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    lr: float = 2e-3,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    checkpoint: Path | str | None = None,
    seed: int = 0,
) -> FitResult:
    """Train a network on demonstrations (mean squared error), in place; it ends in the mode it came in.

    Args:
        network: pictures -> (n, 2) actions.
        data: of an expert.
        epochs: passes over them.
        batch_size: pictures a step.
        lr: the largest learning rate of one cycle.
        augment: (pictures, generator) -> pictures, as perturbations for a repair.
        checkpoint: to resume from.
        seed: of order and augmentation.

    Raises:
        InputError: steering that never changes, from which nothing is learned.
    """
    require_whole(1, epochs=epochs, batch_size=batch_size)
    require_positive(lr=lr)
    steering = data.actions[:, 0]
    if len(data) < 2 or float(steering.std()) < 1e-6:
        given = f"{len(data)} pictures, steering always {float(steering[0]) if len(data) else 0:.3g}"
        raise InputError(
            "demonstrations", given=given, expected="steering that changes", hint="collect on roads with turns"
        )
    return fit(
        network,
        (data.pictures, data.actions),
        epochs=epochs,
        batch_size=batch_size,
        loss=F.mse_loss,
        optimizer=adamw(lr),
        scheduler=one_cycle(lr),
        augment=augment,
        checkpoint=checkpoint,
        seed=seed,
        description="imitating",
    )


def steering_of(agent: Agent, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """What an agent steers on recorded pictures, in radians; a network in eval mode, and left as found.

    Args:
        agent: a network or a function.
        pictures: in [0, 1].
    """
    with evaluating(agent) if isinstance(agent, nn.Module) else nullcontext():
        return acted(agent, pictures)[:, 0]


def steering_error(agent: Agent, data: Demonstrations, batch_size: int = 256) -> float:
    """Mean |steering - the expert's|, in radians.

    Args:
        agent: a network or a function.
        data: of an expert.
        batch_size: pictures at a time.
    """
    steering = torch.cat([steering_of(agent, pictures) for pictures in data.pictures.split(batch_size)])
    return float((steering - data.actions[:, 0]).abs().mean())
