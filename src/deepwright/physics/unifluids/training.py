"""Training of UniFluids: batches of one equation each, an average of the weights, and a trial of what to predict."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.fit import FitResult, adamw, fit_drawn, one_cycle
from deepwright.core.randomness import generator
from deepwright.physics.pde_data.batches import PDEBatch
from deepwright.physics.unifluids.forecasts import relative_error
from deepwright.physics.unifluids.model import UniFluids


class Averaged(nn.Module):
    """A model with a running average of its weights beside it, so that both are in a checkpoint; called, it gives a loss.

    Args:
        model: that is trained; decay: of the average.
        draw: (model, numbers) -> loss.
    """

    def __init__(self, model: nn.Module, decay: float, draw: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.decay, self.draw = model, decay, draw
        self.average = copy.deepcopy(model).requires_grad_(False)

    def forward(self, numbers: Tensor) -> Tensor:
        """One step of the average, and the loss of a batch."""
        self.update()
        return self.draw(self.model, numbers)

    @torch.no_grad()
    def update(self) -> None:
        """One step of the average."""
        for slow, fast in zip(self.average.parameters(), self.model.parameters()):
            slow.lerp_(fast, 1 - self.decay)


def train(
    model: UniFluids,
    sets: Sequence[PDEBatch],
    *,
    steps: int = 4000,
    batch: int = 32,
    rate: float = 3e-3,
    temperature: float = 0.5,
    decay: float = 0.995,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    fresh_units: bool = True,
    sensors: tuple[float, float] | None = None,
    **options: Any,
) -> tuple[UniFluids, FitResult]:
    """Train on several equations at once; gives the averaged model.

    Every batch is of one equation (so there are no masks), drawn with a chance of N_i^temperature; the choice and all noise
    follow from the seed and the step, so a resumed training sees the same.

    Args:
        model: trained in place; sets: training data; steps, batch, rate: of AdamW on one cycle.
        temperature: 1 draws by size, 0 all alike; decay: of the averaged weights.
        seed: of everything; checkpoint: to resume from; fresh_units: learn the units of the data (off: for fine-tuning).
        sensors: in half of the batches the context is known only at random places, a share of them between these.
        options: of `core.fit.fit`.
    """
    if sensors is not None and not 0 < sensors[0] <= sensors[1] <= 1:
        raise InputError("sensors", given=sensors, expected="two rising shares in (0, 1]")
    if not sets or steps < 1:
        raise InputError("train", given=f"{len(sets)} data sets, {steps} steps", expected="at least one of each")
    if fresh_units:
        model.fit_units(sets)
    chance = torch.tensor([float(len(s)) ** temperature for s in sets])

    def draw(model: UniFluids, numbers: Tensor) -> Tensor:
        rng = generator(seed, "unifluids", int(numbers[0]))
        data = sets[_common(int(torch.multinomial(chance, 1, generator=rng)), numbers.device)]
        picked = torch.randint(len(data), (min(batch, len(data)),), generator=rng)
        part = data.rows(picked)
        if sensors is not None and float(torch.rand((), generator=rng)) < 0.5:
            share = sensors[0] + (sensors[1] - sensors[0]) * float(torch.rand((), generator=rng))
            part = part.with_sensors(share, rng)
        return model.loss(part, rng)

    compute = options.get("compute")
    if compute is not None and compute.strategy == "ddp":  # an equation leaves other embeddings without a gradient
        options["compute"] = replace(compute, strategy="ddp_find_unused_parameters_true")
    both = Averaged(model, decay, draw)
    result = fit_drawn(
        both, steps, optimizer=adamw(rate, 0.0), scheduler=one_cycle(rate), clip_norm=1.0, seed=seed, checkpoint=checkpoint,
        description="flow matching", **options,
    )  # fmt: skip
    both.update()
    both.average.eval()
    return both.average, result  # type: ignore[return-value]


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
    **options: Any,
) -> tuple[str, dict[str, float]]:
    """Which of x and v to predict, by a short trial of each: neither is better everywhere, whatever its paper says.

    Args:
        make: "x" or "v" -> a fresh model; sets: training data (a part is enough); validation: other trajectories.
        steps: of each trial; options: of `train`.

    Returns:
        (the better one, {prediction: mean relative error of the one-step forecast on the validation data}).
    """
    if not validation:
        raise InputError("validation", given="nothing", expected="at least one data set")
    found = {}
    for kind in ("x", "v"):
        model, _ = train(make(kind), sets, steps=steps, **options)
        found[kind] = sum(relative_error(model.predict(data), data) for data in validation) / len(validation)
    return min(found, key=lambda k: found[k]), found
