"""Training of UniFluids: batches of one equation each, an average of the weights, and a trial of what to predict."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from deepwright.core.devices import Compute
from deepwright.core.errors import InputError
from deepwright.core.fit import FitResult, adamw, fit_drawn, one_cycle
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_positive
from deepwright.physics.pde_data import PDEBatch
from deepwright.physics.unifluids.forecasts import relative_error
from deepwright.physics.unifluids.model import UniFluids

SENSED = 0.5  # share of the batches whose context is known at sensors only, where sensors are asked for


@dataclass(frozen=True)
class Drawing:
    """How a batch is drawn: of one equation, so that there are no masks, as a function of seed and step alone.

    Attributes:
        batch_size: trajectories.
        temperature: an equation of N trajectories is drawn with a chance of N^temperature: 1 by size, 0 all alike.
        sensors: the share of places at which the context of half of the batches is known lies between these; None for
            none.
        seed: of everything.
    """

    batch_size: int
    temperature: float
    sensors: tuple[float, float] | None
    seed: int

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError("batch_size", given=self.batch_size, expected="1 or more")
        if self.sensors is not None and not 0 < self.sensors[0] <= self.sensors[1] <= 1:
            raise InputError("sensors", given=self.sensors, expected="two rising shares in (0, 1]")

    def __call__(self, sets: Sequence[PDEBatch], numbers: Tensor) -> tuple[PDEBatch, torch.Generator]:
        """A batch where the numbers are, and the generator for the rest of the step.

        Args:
            sets: training data, one an equation.
            numbers: of the step, as in `core.fit.fit_drawn`.
        """
        rng = generator(self.seed, "unifluids", int(numbers[0]))
        chance = torch.tensor([float(len(s)) ** self.temperature for s in sets])
        data = sets[_common(int(torch.multinomial(chance, 1, generator=rng)), numbers.device)]
        picked = torch.randint(len(data), (min(self.batch_size, len(data)),), generator=rng)
        part = data.rows(picked).to(numbers.device)  # so that no unit has to come back to where the data are
        if self.sensors is not None and float(torch.rand((), generator=rng)) < SENSED:
            low, high = self.sensors
            part = part.with_sensors(low + (high - low) * float(torch.rand((), generator=rng)), rng)
        return part, rng


class FlowObjective(nn.Module):
    """(numbers) -> the loss of a batch, with an average of the weights beside the model: both are in a checkpoint.

    Args:
        model: that is trained.
        sets: training data.
        drawing: of the batches.
        decay: of the average.
    """

    def __init__(self, model: UniFluids, sets: Sequence[PDEBatch], drawing: Drawing, decay: float) -> None:
        super().__init__()
        self.model, self.sets, self.drawing, self.decay = model, list(sets), drawing, decay
        self.average = copy.deepcopy(model).requires_grad_(False)

    def forward(self, numbers: Integer[Tensor, " two"]) -> Float[Tensor, ""]:
        """One step of the average, and the loss of a batch.

        Args:
            numbers: of the step.
        """
        self.update()
        return self.model.loss(*self.drawing(self.sets, numbers))

    @torch.no_grad()
    def update(self) -> None:
        """One step of the average."""
        for slow, fast in zip(self.average.parameters(), self.model.parameters()):
            slow.lerp_(fast, 1 - self.decay)


def train_unifluids(
    model: UniFluids,
    sets: Sequence[PDEBatch],
    *,
    steps: int = 4000,
    batch_size: int = 32,
    lr: float = 3e-3,
    temperature: float = 0.5,
    decay: float = 0.995,
    seed: int = 0,
    fresh_units: bool = True,
    sensors: tuple[float, float] | None = None,
    checkpoint: Path | str | None = None,
    every: int = 200,
    compute: Compute = Compute(),  # noqa: B008 - frozen
) -> tuple[UniFluids, FitResult]:
    """Train on several equations at once; gives the averaged model.

    Every batch is of one equation; the choice and all noise follow from the seed and the step, so a resumed training
    sees the same.

    Args:
        model: trained in place, where it lives (see `compute`).
        sets: training data, wherever they are.
        steps: of AdamW on one cycle.
        batch_size: trajectories in a step.
        lr: the cycle's peak.
        temperature: 1 draws equations by size, 0 all alike.
        decay: of the averaged weights.
        seed: of everything.
        fresh_units: learn the units of the data (off: for fine-tuning).
        sensors: in half of the batches the context is known only at random places, a share of them between these.
        checkpoint: a file to resume from: see `core.fit.fit`.
        every: steps between two checkpoints.
        compute: device, number of processes, strategy and precision.

    Returns:
        The averaged model, and what the fit did.

    Raises:
        InputError: no data, steps or shares; a checkpoint of another training.
    """
    drawing = Drawing(batch_size, temperature, sensors, seed)
    require_positive(lr=lr)
    if not sets or steps < 1:
        given = f"{len(sets)} data sets, {steps} steps"
        raise InputError("train_unifluids", given=given, expected="at least one of each")
    if fresh_units:
        model.fit_units(sets)
    if compute.strategy == "ddp":  # an equation leaves other equations' embeddings without a gradient
        compute = replace(compute, strategy="ddp_find_unused_parameters_true")
    both = FlowObjective(model, sets, drawing, decay)
    result = fit_drawn(
        both,
        steps,
        optimizer=adamw(lr, 0.0),
        scheduler=one_cycle(lr),
        clip_norm=1.0,
        seed=seed,
        checkpoint=checkpoint,
        every=every,
        compute=compute,
        description="flow matching",
    )
    both.update()
    return both.average.eval(), result


def _common(choice: int, device: torch.device) -> int:
    """The first process's choice, for all: batches of unlike shapes would make the others wait."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return choice
    number = torch.tensor(choice, device=device)
    torch.distributed.broadcast(number, 0)
    return int(number)


def choose_prediction(
    make: Callable[[str], UniFluids],
    sets: Sequence[PDEBatch],
    validation: Sequence[PDEBatch],
    *,
    steps: int = 200,
    batch_size: int = 32,
    lr: float = 3e-3,
    decay: float = 0.995,
    seed: int = 0,
    sensors: tuple[float, float] | None = None,
) -> tuple[str, dict[str, float]]:
    """Which of x and v to predict, by a short trial of each: neither is better everywhere, whatever its paper says.

    Args:
        make: "x" or "v" -> a fresh model.
        sets: training data (a part is enough).
        validation: other trajectories.
        steps: of each trial.
        batch_size: see `train_unifluids`.
        lr: see `train_unifluids`.
        decay: see `train_unifluids`.
        seed: see `train_unifluids`.
        sensors: see `train_unifluids`.

    Returns:
        The better one, and {prediction: mean relative error of the one-step forecast on the validation data}.

    Raises:
        InputError: no validation data, or an error that isn't finite.
    """
    if not validation:
        raise InputError("validation", given="nothing", expected="at least one data set")
    found = {}
    for kind in ("x", "v"):
        model, _ = train_unifluids(
            make(kind), sets, steps=steps, batch_size=batch_size, lr=lr, decay=decay, seed=seed, sensors=sensors
        )
        found[kind] = sum(relative_error(model.predict(data), data) for data in validation) / len(validation)
    if not all(math.isfinite(v) for v in found.values()):
        raise InputError("validation error", given=found, expected="finite numbers", hint="a lower lr, or more steps")
    return min(found, key=lambda k: found[k]), found
