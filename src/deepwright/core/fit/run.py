"""A model in training: its step, its epochs' ends, and all that a checkpoint holds of it."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from deepwright.core.devices import dtype_of
from deepwright.core.errors import InputError
from deepwright.core.fit.losses import Losses
from deepwright.core.fit.order import Order
from deepwright.core.fit.recipe import Recipe, TrainData
from deepwright.core.inference import failed_on
from deepwright.core.randomness import derive_seed, generator, local_seeds
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
        self.own_dtype, self.dtype = dtype_of(model), _dtype_of_batches(model, recipe.precision)
        self.plain = recipe.optimizer([p for p in model.parameters() if p.requires_grad])
        self.network, self.optimizer = fabric.setup(model, self.plain)
        self.steps = recipe.epochs * order.steps
        self.schedule = recipe.scheduler(self.plain, self.steps) if recipe.scheduler else None
        self.losses = Losses(fabric.device)
        self.state = State()
        self.resumed_at: int | None = None
        self.looked_at = False

    def batches(self, epoch: int, workers: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(number in the epoch, inputs, targets) of what is left of an epoch."""
        skip = self.state.step % self.order.steps
        chosen = self.order.batches(epoch)[skip:]
        if isinstance(self.train, tuple):
            inputs, targets = self.train
            pairs: Any = ((inputs[rows], targets[rows]) for rows in chosen)
        else:
            numbered = [[(index, row) for row in rows.tolist()] for index, rows in enumerate(chosen, skip)]
            items = _Seeded(self.train, (self.recipe.seed, "items", epoch, self.fabric.global_rank))
            own = generator(self.recipe.seed, "loader", epoch)  # else each loader draws from the global generator
            pairs = DataLoader(items, batch_sampler=numbered, num_workers=workers, generator=own)
        for index, pair in enumerate(pairs, skip):
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                given = (
                    f"{type(pair).__name__} of {len(pair)}" if isinstance(pair, tuple | list) else type(pair).__name__
                )
                raise InputError("a batch", given=given, expected="inputs and targets")
            x, y = pair
            yield index, self._here(x), self._here(y)

    def _here(self, batch: Tensor) -> Tensor:
        if not isinstance(batch, Tensor):
            given = type(batch).__name__
            raise InputError("a batch", given=given, expected="a tensor", hint="tensors as items: torch.as_tensor(...)")
        return batch.to(self.fabric.device, self.dtype if batch.is_floating_point() else batch.dtype)

    def step(self, epoch: int, index: int, x: Tensor, y: Tensor) -> None:
        """One step of the optimiser."""
        recipe, fabric = self.recipe, self.fabric
        if recipe.augment is not None:
            rng = generator(recipe.seed, "augment", epoch, index, fabric.global_rank, device=x.device)
            x = recipe.augment(x, rng)
        value = self._value(x, y)
        self.losses.add(value)
        fabric.backward(value)
        if recipe.clip_norm is not None:  # unscaled first; gradients that overflowed are the scaler's to skip
            fabric.clip_gradients(self.network, self.optimizer, max_norm=recipe.clip_norm, error_if_nonfinite=False)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.schedule is not None:
            self.schedule.step()
        self.state.step += 1

    def _value(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a batch; that it pairs like with like is looked at in the first step of a session."""
        if self.looked_at:
            return self.recipe.value(self.network, x, y, self.state.step, self.steps)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Using a target size", category=UserWarning)
            try:
                value = self.recipe.value(self.network, x, y, self.state.step, self.steps)
            except UserWarning as warning:
                given = str(warning).partition(". ")[0]
                hint = "targets of the outputs' shape: y[:, None], or .squeeze(1) of the outputs"
                raise InputError("targets", given=given, expected="one shape", hint=hint) from None
            except (IndexError, RuntimeError) as error:
                expected = "a batch (inputs, targets) that network and loss take"
                raise failed_on((x, y), error, "the first batch", expected=expected) from error
        if value.numel() != 1:
            given = f"shape {tuple(value.shape)}"
            raise InputError("the loss", given=given, expected="one number a batch", hint="reduction='mean'")
        self.looked_at = True
        return value

    def end_epoch(self, epoch: int, seconds: float) -> dict[str, float]:
        """Validate; keep the best weights; stop when `patience` epochs brought nothing better."""
        row = {"epoch": float(epoch), "loss": self.losses.look() / self.order.steps, "seconds": seconds}
        self.losses.start(self.state.step)
        selection, state = self.recipe.selection, self.state
        if selection.validate is not None:
            self.model.eval()
            with torch.no_grad():
                found = selection.validate(self.model)
            if not isinstance(found, Mapping):
                raise InputError("validate", given=type(found).__name__, expected="a dict of numbers by name")
            row |= found
        state.history.append(row)
        if selection.monitor is not None:
            self._consider(row, selection.monitor)
        return row

    def _consider(self, row: dict[str, float], monitor: str) -> None:
        selection, state = self.recipe.selection, self.state
        if monitor not in row:
            raise InputError("monitor", given=repr(monitor), expected=f"one of {', '.join(row)}")
        number = len(state.history) - 1
        if not _is_number(row[monitor]):
            given, expected = f"{row[monitor]!r} in epoch {number}", "a number (NaN is neither better nor worse)"
            raise InputError(f"monitored value {monitor!r}", given=given, expected=expected)
        if selection.better(row[monitor], state.best_value):
            state.best = copy.deepcopy(self.model.state_dict())
            state.best_value, state.best_epoch = row[monitor], number
        elif selection.patience is not None and state.best_epoch is not None:
            state.stopped = number - state.best_epoch >= selection.patience

    def leave(self, origin: torch.device, training: bool) -> None:
        """The model on its device, in its dtype and in its mode, however the fit ended."""
        precise = self.recipe.precision is not None and dtype_of(self.model) != self.own_dtype
        self.model.to(origin, self.own_dtype) if precise else self.model.to(origin)
        self.model.train(training)

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


class _Seeded(Dataset):
    """A data set whose draws (of torch, NumPy and `random`) depend on the step only, not on what was read before.

    Args:
        data: (inputs, targets) by row.
        name: of its streams.
    """

    def __init__(self, data: Any, name: tuple[Any, ...]) -> None:
        self.data, self.name = data, name

    def __getitems__(self, numbered: list[tuple[int, int]]) -> Any:
        rows = [row for _, row in numbered]
        with local_seeds(derive_seed(*self.name[1:], numbered[0][0], seed=self.name[0])):
            return self.data.__getitems__(rows) if hasattr(self.data, "__getitems__") else [self.data[i] for i in rows]


def _is_number(value: Any) -> bool:
    try:
        return not math.isnan(float(value))
    except (TypeError, ValueError):
        return False


def _dtype_of_batches(model: nn.Module, precision: str | None) -> torch.dtype:
    """Of floating inputs and targets: the model's own, or what a precision starts from."""
    if precision is None:
        return dtype_of(model)
    return torch.float64 if precision.startswith("64") else torch.float32


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """A schedule's state without the bound methods that some schedules keep in it."""
    return {
        k: v for k, v in state.items() if isinstance(v, int | float | str | bool | list | dict | tuple | type(None))
    }
