"""A model in training: its step, its epochs' ends, and all that a checkpoint holds of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from deepwright.core.devices import dtype_of
from deepwright.core.errors import InputError
from deepwright.core.fit.losses import Losses
from deepwright.core.fit.order import Order
from deepwright.core.fit.recipe import Recipe, TrainData
from deepwright.core.randomness import generator
from deepwright.core.resume import Resume


@dataclass
class FitResult:
    """What a fit did. `history` has one row per epoch: training loss, seconds, and what `validate` returned."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    best_value: float | None = None
    steps: int = 0
    resumed_at: int | None = None


@dataclass
class State:
    """Everything that changes in a fit, apart from the model, its optimiser and the generators."""

    step: int = 0
    loss_sum: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    best_value: float | None = None
    best_epoch: int | None = None
    stopped: bool = False


class Run:
    """A model in training: what is stored of it, and how it takes a step."""

    def __init__(self, model: nn.Module, train: TrainData, recipe: Recipe, fabric: Any, order: Order) -> None:
        self.model, self.train, self.recipe, self.fabric, self.order = model, train, recipe, fabric, order
        self.dtype = dtype_of(model)
        self.plain = recipe.optimizer([p for p in model.parameters() if p.requires_grad])
        self.network, self.optimizer = fabric.setup(model, self.plain)
        steps = recipe.epochs * order.steps
        self.schedule = recipe.scheduler(self.plain, steps) if recipe.scheduler else None
        self.losses = Losses(fabric.device)
        self.state = State()
        self.resumed_at: int | None = None

    def batches(self, epoch: int, workers: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(number in the epoch, inputs, targets) of what is left of an epoch."""
        skip = self.state.step % self.order.steps
        chosen = self.order.batches(epoch)[skip:]
        if isinstance(self.train, tuple):
            inputs, targets = self.train
            pairs: Any = ((inputs[rows], targets[rows]) for rows in chosen)
        else:
            pairs = DataLoader(self.train, batch_sampler=[rows.tolist() for rows in chosen], num_workers=workers)
        for index, (x, y) in enumerate(pairs, skip):
            yield index, self._here(x), self._here(y)

    def _here(self, batch: Tensor) -> Tensor:
        dtype = self.dtype if batch.dtype == torch.float32 and self.recipe.precision is None else batch.dtype
        return batch.to(self.fabric.device, dtype)

    def step(self, epoch: int, index: int, x: Tensor, y: Tensor) -> None:
        """One step of the optimiser."""
        recipe, fabric = self.recipe, self.fabric
        if recipe.augment is not None:
            rng = generator(recipe.seed, "augment", epoch, index, fabric.global_rank, device=x.device)
            x = recipe.augment(x, rng)
        value = recipe.value(self.network, x, y)
        self.losses.add(value)
        fabric.backward(value)
        if recipe.clip_norm is not None:  # unscaled first; gradients that overflowed are the scaler's to skip
            fabric.clip_gradients(self.network, self.optimizer, max_norm=recipe.clip_norm, error_if_nonfinite=False)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.schedule is not None:
            self.schedule.step()
        self.state.step += 1

    def end_epoch(self, epoch: int, seconds: float) -> dict[str, float]:
        """Validate; keep the best weights; stop when `patience` epochs brought nothing better."""
        row = {"epoch": float(epoch), "loss": self.losses.look() / self.order.steps, "seconds": seconds}
        self.losses.start(self.state.step)
        selection, state = self.recipe.selection, self.state
        if selection.validate is not None:
            self.model.eval()
            with torch.no_grad():
                row |= selection.validate(self.model)
        state.history.append(row)
        if selection.monitor is not None:
            self._consider(row, selection.monitor)
        return row

    def _consider(self, row: dict[str, float], monitor: str) -> None:
        selection, state = self.recipe.selection, self.state
        if monitor not in row:
            raise InputError("monitor", given=repr(monitor), expected=f"one of {', '.join(row)}")
        number = len(state.history) - 1
        if selection.better(row[monitor], state.best_value):
            state.best = copy.deepcopy(self.model.state_dict())
            state.best_value, state.best_epoch = row[monitor], number
        elif selection.patience is not None and state.best_epoch is not None:
            state.stopped = number - state.best_epoch >= selection.patience

    def restore_best(self) -> None:
        """Put the best weights back."""
        if self.state.best is not None:
            self.model.load_state_dict(self.state.best)

    def stored(self) -> dict[str, Any]:
        """Everything that a resumed fit needs."""
        self.state.loss_sum = self.losses.look()
        return {
            "model": self.model.state_dict(),
            "optimizer": self.plain.state_dict(),
            "schedule": None if self.schedule is None else _plain(self.schedule.state_dict()),
            "scaler": self.fabric.strategy.precision.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            **{f.name: getattr(self.state, f.name) for f in fields(self.state)},
        }

    def resume(self, kept: Resume) -> None:
        """Go on from a stored state, where there is one."""
        found = kept.load(map_location=self.fabric.device)
        if found is None:
            return
        self.model.load_state_dict(found["model"])
        self.plain.load_state_dict(found["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(found["schedule"])
        self.fabric.strategy.precision.load_state_dict(found["scaler"])
        torch.set_rng_state(found["rng"].cpu())
        if found["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([s.cpu() for s in found["cuda_rng"]])
        self.state = State(**{f.name: found[f.name] for f in fields(State)})
        self.losses.start(self.state.step, self.state.loss_sum, self.state.step % self.order.steps)
        self.resumed_at = self.state.step

    def result(self) -> FitResult:
        """What the fit did."""
        state = self.state
        return FitResult(state.history, state.best_epoch, state.best_value, state.step, self.resumed_at)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """A schedule's state without the bound methods that some schedules keep in it."""
    return {
        k: v for k, v in state.items() if isinstance(v, int | float | str | bool | list | dict | tuple | type(None))
    }
