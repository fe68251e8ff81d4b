"""The one training loop: Lightning Fabric underneath, exact resume, best weights, early stop.

Losses, steps, callbacks, optimisers and schedules are arguments; nobody else writes a loop. The order of the data
and every augmentation are functions of (seed, epoch, step) alone, and the generator's state is kept in the
checkpoint, so a killed fit continues to the same bits as one that was never interrupted. A checkpoint belongs to what it
was made from: with other data, options, code or another start the fit refuses and says what differs.

Training happens where the model lives. Nothing waits for an accelerator at every step: sum and finiteness of the loss are
kept there, and looked at every 50 steps (on the CPU at every one), before each checkpoint and at the end of an epoch.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from deepwright.core.devices import Compute, device_of, dtype_of
from deepwright.core.errors import InputError
from deepwright.core.identity import structure
from deepwright.core.interrupt import StopFlag, graceful
from deepwright.core.progress import Bar, bar
from deepwright.core.randomness import generator, local_rng
from deepwright.core.resume import Resume

TrainData = tuple[Tensor, Tensor] | Dataset
StepFunction = Callable[[nn.Module, Tensor, Tensor], Tensor]
_LOOK = 50  # steps between two looks at the loss on an accelerator


@dataclass(frozen=True)
class Selection:
    """How the best epoch is found.

    Attributes:
        validate: model -> values, called after every epoch, in eval mode and without gradients.
        monitor: the value that decides about best weights and early stop; None only writes the values down. The best
            weights are put back at the end.
        mode: "max" or "min" of `monitor`.
        patience: epochs without a better value before the fit stops; None never stops early.
    """

    validate: Callable[[nn.Module], dict[str, float]] | None = None
    monitor: str | None = None
    mode: str = "max"
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("max", "min"):
            raise InputError("mode", given=repr(self.mode), expected="'max' or 'min'")

    def better(self, value: float, best: float | None) -> bool:
        """Whether a value beats the best one so far.

        Args:
            value: of this epoch.
            best: so far; None before the first.
        """
        return best is None or (value > best if self.mode == "max" else value < best)


@dataclass
class FitResult:
    """What a fit did. `history` has one row per epoch: training loss, seconds, and what `validate` returned."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    best_value: float | None = None
    steps: int = 0
    resumed_at: int | None = None


def adamw(lr: float = 1e-3, weight_decay: float = 1e-4) -> Callable[[Any], torch.optim.Optimizer]:
    """An AdamW factory for `fit(optimizer=...)`."""
    return lambda parameters: torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)


def sgd(lr: float = 0.1, momentum: float = 0.9, weight_decay: float = 5e-4) -> Callable[[Any], torch.optim.Optimizer]:
    """A Nesterov SGD factory for `fit(optimizer=...)`."""
    return lambda parameters: torch.optim.SGD(
        parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=True
    )


def one_cycle(peak: float, warmup: float = 0.25) -> Callable[[torch.optim.Optimizer, int], Any]:
    """A one-cycle schedule over the whole fit, stepped every batch; constant where there are too few steps for one."""

    def schedule(optimizer: torch.optim.Optimizer, steps: int) -> Any:
        if steps < 4:
            return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        rise = max(warmup, 2 / steps)  # a rise of one step would divide by zero
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps, pct_start=rise)

    return schedule


def fit(
    model: nn.Module,
    train: TrainData,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    step: StepFunction | None = None,
    optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    selection: Selection = Selection(),
    callbacks: Sequence[Callable[[nn.Module, dict[str, float]], object]] = (),
    checkpoint: Path | str | None = None,
    every: int = 200,
    seed: int = 0,
    drop_last: bool = False,
    clip_norm: float | None = None,
    compute: Compute = Compute(),  # noqa: B008 - frozen
    workers: int = 0,
    description: str = "fit",
) -> FitResult:
    """Train `model` in place.

    Args:
        model: the network; it ends in the mode it came in, on the device it came from.
        train: (inputs, targets) tensors of equal length, or a map-style `Dataset` of such pairs. Batches are moved to
            where the model trains; float32 ones take its dtype.
        epochs: passes over the data.
        batch_size: samples per device and step.
        loss: (predictions, targets) -> scalar; ignored when `step` is given.
        step: (model, x, y) -> scalar to lower, for methods with a step of their own.
        optimizer: parameters -> optimiser; AdamW(1e-3) by default.
        scheduler: (optimiser, total steps) -> schedule, stepped after every batch.
        augment: (batch, generator) -> batch; the generator depends on (seed, epoch, step) only.
        selection: validation after every epoch, best weights and early stop.
        callbacks: called with (model, row of the history) after every epoch; they only look on.
        checkpoint: a file to resume from and to save to every `every` steps, at Ctrl-C or SIGTERM and at the end. A
            damaged one is set aside with a warning, and the fit starts afresh.
        every: steps between two checkpoints.
        seed: order, augmentation and dropout.
        drop_last: leave out a last, smaller batch.
        clip_norm: largest gradient norm (of the true gradients, also where mixed precision scales them).
        compute: device, number of devices, strategy and precision; where the model lives, and in its dtype, by default.
        workers: loader processes for a `Dataset`.
        description: shown beside the bar.

    Returns:
        The history, the best epoch and value, and where it resumed.

    Raises:
        InputError: no data; a checkpoint of another fit, or that another process is writing; a loss that is not finite
            (the message has the step; on an accelerator up to 49 more steps were taken since).
        KeyboardInterrupt: after Ctrl-C, when the state is on disk.
        Terminated: after SIGTERM, when the state is on disk.
    """
    size = _checked_size(train)
    recipe = _Recipe(
        epochs=epochs,
        batch_size=batch_size,
        loss=loss,
        step=step,
        optimizer=optimizer or adamw(),
        scheduler=scheduler,
        augment=augment,
        selection=selection,
        seed=seed,
        drop_last=drop_last,
        clip_norm=clip_norm,
        devices=compute.devices,
        precision=compute.precision,
    )
    fabric = _fabric(compute, model)
    was_training, origin = model.training, device_of(model)
    parts = {} if checkpoint is None else recipe.identity(model, train)
    with Resume(checkpoint, parts, kind="fit", writer=fabric.is_global_zero) as kept, local_rng(seed):
        run = _Run(model, train, recipe, fabric, _Order(size, batch_size, fabric, seed, drop_last))
        run.resume(kept)
        with graceful() as stop, bar(description, epochs * run.order.steps) as running:
            running.advance(run.state.step)
            _Loop(run, kept, every, workers, callbacks, stop, running).go()
        run.restore_best()
        model.to(origin).train(was_training)
    return run.result()


def fit_drawn(
    objective: nn.Module,
    steps: int,
    *,
    compute: Compute = Compute(),  # noqa: B008 - frozen
    **options: Any,
) -> FitResult:
    """Train a module that draws its own batches.

    Args:
        objective: (numbers) -> loss, where `numbers` are integers that no other step and no other process gets: seed the
            draw by the first of them, and a resumed training sees the same batches.
        steps: of the optimiser.
        compute: as in `fit`; processes get numbers of their own.
        **options: of `fit`.
    """
    numbers = torch.arange(steps * 2 * compute.devices)
    return fit(objective, (numbers, numbers), epochs=1, batch_size=2, step=_call, compute=compute, **options)


def _call(objective: nn.Module, numbers: Tensor, _: Tensor) -> Tensor:
    return objective(numbers)


def _checked_size(train: TrainData) -> int:
    if not isinstance(train, tuple) and not hasattr(train, "__len__"):
        raise InputError("training data", given=type(train).__name__, expected="tensors, or a Dataset with a length")
    size = len(train[0]) if isinstance(train, tuple) else len(train)  # type: ignore[arg-type]
    if size == 0:
        raise InputError("training data", given="0 samples", expected="at least one")
    if isinstance(train, tuple) and len(train[0]) != len(train[1]):
        raise InputError("training data", given=f"{len(train[0])} inputs and {len(train[1])} targets")
    return size


def _fabric(compute: Compute, model: nn.Module) -> Any:
    """Fabric on the devices that are asked for, or on the one where the model lives."""
    from lightning_fabric import Fabric

    fabric = Fabric(**compute.fabric(model))
    fabric.launch()
    return fabric


@dataclass(frozen=True)
class _Recipe:
    """All that decides what a fit learns, apart from model and data."""

    epochs: int
    batch_size: int
    loss: Callable[[Tensor, Tensor], Tensor]
    step: StepFunction | None
    optimizer: Callable[[Any], torch.optim.Optimizer]
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None
    augment: Callable[[Tensor, torch.Generator], Tensor] | None
    selection: Selection
    seed: int
    drop_last: bool
    clip_norm: float | None
    devices: int
    precision: str | None

    def identity(self, model: nn.Module, train: TrainData) -> dict[str, Any]:
        """What a checkpoint is bound to."""
        names = [f.name for f in fields(self) if f.name != "selection"]
        chosen = {f.name: getattr(self.selection, f.name) for f in fields(self.selection)}
        data = dict(zip(("inputs", "targets"), train)) if isinstance(train, tuple) else {"data": train}
        return {
            **{f"training_{name}": value for name, value in data.items()},
            "model": structure(model),
            "initial_weights": [*model.named_parameters(), *model.named_buffers()],
            **{name: getattr(self, name) for name in names},
            **chosen,
        }

    def value(self, network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a batch."""
        return self.loss(network(x), y) if self.step is None else self.step(network, x, y)


class _Order:
    """Which samples come in which step, as a function of (seed, epoch)."""

    def __init__(self, size: int, batch_size: int, fabric: Any, seed: int, drop_last: bool) -> None:
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.world, self.rank = fabric.world_size, fabric.global_rank
        whole = batch_size * self.world
        self.steps = max(1, size // whole) if drop_last else -(-size // whole)

    def batches(self, epoch: int) -> list[Tensor]:
        """The rows of every step of an epoch."""
        permutation = torch.randperm(self.size, generator=generator(self.seed, "order", epoch))
        share = -(-self.size // self.world)
        padded = torch.cat([permutation, permutation[: share * self.world - self.size]])
        mine = padded[self.rank :: self.world]
        return list(mine.split(self.batch_size))[: self.steps]


@dataclass
class _State:
    """Everything that changes in a fit, apart from the model, its optimiser and the generators."""

    step: int = 0
    loss_sum: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    best_value: float | None = None
    best_epoch: int | None = None
    stopped: bool = False


class _Losses:
    """The sum of the losses of an epoch. They stay where they are computed until `look`, which is what waits."""

    def __init__(self, device: torch.device) -> None:
        self.patience = 1 if device.type == "cpu" else _LOOK
        self.total, self.count, self.first = 0.0, 0, 0
        self._waiting: list[Tensor] = []

    def start(self, step: int, total: float = 0.0, count: int = 0) -> None:
        """Begin an epoch, or go on in one.

        Args:
            step: of the fit, that comes next.
            total: the losses of the epoch so far.
            count: how many they are.
        """
        self.total, self.count, self.first = total, count, step

    def add(self, value: Tensor) -> None:
        """Take in a step's loss; now and then look at those that wait."""
        value = value.detach().reshape(())
        self._waiting.append(value.clone() if self.patience > 1 else value)  # a compiled step may reuse its output
        if len(self._waiting) >= self.patience:
            self.look()

    def look(self) -> float:
        """The sum; a loss that isn't finite is an error."""
        values = torch.stack(self._waiting).tolist() if self._waiting else []
        self._waiting.clear()
        for step, value in enumerate(values, self.first):
            if not math.isfinite(value):
                raise InputError(
                    "the training loss",
                    given=f"{value} at step {step}",
                    expected="a finite number",
                    hint="lower the learning rate, or look for NaN in the data",
                )
            self.total += value
        self.first += len(values)
        self.count += len(values)
        return self.total

    @property
    def shown(self) -> str:
        """The mean of those that were looked at, for people."""
        return f"loss {self.total / self.count:.3f}" if self.count else ""


class _Run:
    """A model in training: what is stored of it, and how it takes a step."""

    def __init__(self, model: nn.Module, train: TrainData, recipe: _Recipe, fabric: Any, order: _Order) -> None:
        self.model, self.train, self.recipe, self.fabric, self.order = model, train, recipe, fabric, order
        self.dtype = dtype_of(model)
        self.plain = recipe.optimizer([p for p in model.parameters() if p.requires_grad])
        self.network, self.optimizer = fabric.setup(model, self.plain)
        steps = recipe.epochs * order.steps
        self.schedule = recipe.scheduler(self.plain, steps) if recipe.scheduler else None
        self.losses = _Losses(fabric.device)
        self.state = _State()
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
        self.state = _State(**{f.name: found[f.name] for f in fields(_State)})
        self.losses.start(self.state.step, self.state.loss_sum, self.state.step % self.order.steps)
        self.resumed_at = self.state.step

    def result(self) -> FitResult:
        """What the fit did."""
        state = self.state
        return FitResult(state.history, state.best_epoch, state.best_value, state.step, self.resumed_at)


@dataclass
class _Loop:
    """Epochs and steps, with checkpoints and stops between them."""

    run: _Run
    kept: Resume
    every: int
    workers: int
    callbacks: Sequence[Callable[[nn.Module, dict[str, float]], object]]
    stop: StopFlag
    running: Bar

    def go(self) -> None:
        """All epochs that are left."""
        run = self.run
        for epoch in range(run.state.step // run.order.steps, run.recipe.epochs):
            if run.state.stopped:
                break
            self._epoch(epoch)
        if not self.kept.finished and self.kept.path is not None:
            self.kept.finish(run.stored())

    def _epoch(self, epoch: int) -> None:
        run = self.run
        run.model.train()
        begin = time.perf_counter()
        for index, x, y in run.batches(epoch, self.workers):
            run.step(epoch, index, x, y)
            if run.state.step % run.order.steps:
                self._between(epoch)
            self._show(epoch)
        row = run.end_epoch(epoch, time.perf_counter() - begin)
        for callback in self.callbacks:
            callback(run.model, row)
        self._save()
        if self.stop:
            raise self.stop.error()

    def _between(self, epoch: int) -> None:
        """Between two steps of an epoch: save when it is time, stop when that was asked for."""
        if self.run.state.step % self.every == 0 or self.stop:
            self._save()
        if self.stop:
            raise self.stop.error()

    def _save(self) -> None:
        if self.kept.path is not None:
            self.kept.save(self.run.stored())

    def _show(self, epoch: int) -> None:
        self.running.advance(1, f"epoch {epoch + 1}/{self.run.recipe.epochs} {self.run.losses.shown}")


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """A schedule's state without the bound methods that some schedules keep in it."""
    return {
        k: v for k, v in state.items() if isinstance(v, int | float | str | bool | list | dict | tuple | type(None))
    }
