"""The one training loop: Lightning Fabric underneath, exact resume, best weights, early stop.

Losses, steps, callbacks, optimisers and schedules are arguments; nobody else writes a loop. The order of the data
and every augmentation are functions of (seed, epoch, step) alone, and the generator's state is kept in the
checkpoint, so a killed fit continues to the same bits as one that was never interrupted.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from deepwright.core.errors import InputError
from deepwright.core.files import load_state, save_state
from deepwright.core.interrupt import graceful
from deepwright.core.progress import bar
from deepwright.core.randomness import generator, local_rng

TrainData = tuple[Tensor, Tensor] | Dataset
StepFunction = Callable[[nn.Module, Tensor, Tensor], Tensor]


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
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    monitor: str | None = None,
    mode: str = "max",
    patience: int | None = None,
    callbacks: Sequence[Callable[[nn.Module, dict[str, float]], object]] = (),
    checkpoint: Path | str | None = None,
    every: int = 200,
    seed: int = 0,
    drop_last: bool = False,
    clip_norm: float | None = None,
    accelerator: str = "cpu",
    devices: int = 1,
    strategy: str = "auto",
    precision: Any = "32-true",
    workers: int = 0,
    description: str = "fit",
) -> FitResult:
    """Train `model` in place.

    Args:
        model: the network; it ends in the mode it came in, on the device it came from.
        train: (inputs, targets) tensors of equal length, or a map-style `Dataset` of such pairs.
        epochs: passes over the data.
        batch_size: samples per device and step.
        loss: (predictions, targets) -> scalar; ignored when `step` is given.
        step: (model, x, y) -> scalar to lower, for methods with a step of their own.
        optimizer: parameters -> optimiser; AdamW(1e-3) by default.
        scheduler: (optimiser, total steps) -> schedule, stepped after every batch.
        augment: (batch, generator) -> batch; the generator depends on (seed, epoch, step) only.
        validate: model -> values, after every epoch, in eval mode and without gradients.
        monitor: the value of `validate` that decides about best weights and early stop; the best weights are
            put back at the end.
        mode: "max" or "min" of `monitor`.
        patience: epochs without a better value before the fit stops.
        callbacks: called with (model, row of the history) after every epoch.
        checkpoint: a file to resume from and to save to every `every` steps, at Ctrl-C and at the end.
        every: steps between two checkpoints.
        seed: order, augmentation and dropout.
        drop_last: leave out a last, smaller batch.
        clip_norm: largest gradient norm.
        accelerator, devices, strategy, precision: as in Lightning Fabric.
        workers: loader processes for a `Dataset`.
        description: shown beside the bar.

    Returns:
        The history, the best epoch and value, and where it resumed.

    Raises:
        InputError: no data, a checkpoint of another fit, a loss that is not finite.
        KeyboardInterrupt: after Ctrl-C, when the state is on disk.
    """
    from lightning_fabric import Fabric

    size = len(train[0]) if isinstance(train, tuple) else len(train)  # type: ignore[arg-type]
    if size == 0:
        raise InputError("training data", given="0 samples", expected="at least one")
    if isinstance(train, tuple) and len(train[0]) != len(train[1]):
        raise InputError("training data", given=f"{len(train[0])} inputs and {len(train[1])} targets")
    if mode not in ("max", "min"):
        raise InputError("mode", given=repr(mode), expected="'max' or 'min'")
    fabric = Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=precision)
    fabric.launch()
    was_training = model.training
    origin = next((p.device for p in model.parameters()), torch.device("cpu"))
    plain_optimizer = (optimizer or adamw())([p for p in model.parameters() if p.requires_grad])
    wrapped, fabric_optimizer = fabric.setup(model, plain_optimizer)
    order = _Order(size, batch_size, fabric.world_size, fabric.global_rank, seed, drop_last)
    total = epochs * order.steps
    schedule = scheduler(plain_optimizer, total) if scheduler else None
    step = step or (lambda net, x, y: loss(net(x), y))
    key = {"seed": seed, "epochs": epochs, "batch_size": batch_size, "size": size}
    state = _State(model, plain_optimizer, schedule, key)
    result = FitResult()
    with local_rng(seed):
        if checkpoint is not None and Path(checkpoint).exists():
            state.load(Path(checkpoint), fabric.device)
            result.resumed_at = state.step
        with graceful() as stop, bar(description, total) as running:
            running.advance(state.step)
            for epoch in range(state.step // order.steps, epochs):
                if state.finished:
                    break
                model.train()
                begin = time.perf_counter()
                for index, (x, y) in _batches(train, order, epoch, state.step % order.steps, workers, fabric.device):
                    if augment is not None:
                        x = augment(x, generator(seed, "augment", epoch, index, fabric.global_rank, device=x.device))
                    value = step(wrapped, x, y)
                    if not torch.isfinite(value):
                        raise InputError(
                            "the training loss",
                            given=f"{float(value)} at step {state.step}",
                            expected="a finite number",
                            hint="lower the learning rate, or look for NaN in the data",
                        )
                    fabric.backward(value)
                    if clip_norm is not None:
                        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
                    fabric_optimizer.step()
                    fabric_optimizer.zero_grad(set_to_none=True)
                    if schedule is not None:
                        schedule.step()
                    state.step += 1
                    state.loss_sum += float(value.detach())
                    last = state.step % order.steps == 0
                    due = checkpoint is not None and not last and (state.step % every == 0 or bool(stop))
                    if due and fabric.is_global_zero:
                        state.save(Path(str(checkpoint)))
                    if stop and not last:
                        raise KeyboardInterrupt
                    running.advance(1, f"epoch {epoch + 1}/{epochs} loss {float(value.detach()):.3f}")
                row = {
                    "epoch": float(epoch),
                    "loss": state.loss_sum / order.steps,
                    "seconds": time.perf_counter() - begin,
                }
                state.loss_sum = 0.0
                if validate is not None:
                    model.eval()
                    with torch.no_grad():
                        row |= validate(model)
                state.history.append(row)
                state.consider(row, monitor, mode, patience)
                for callback in callbacks:
                    callback(model, row)
                if checkpoint is not None and fabric.is_global_zero:
                    state.save(Path(checkpoint))
                if stop:
                    raise KeyboardInterrupt
    if state.best is not None:
        model.load_state_dict(state.best)
    model.to(origin).train(was_training)
    result.history, result.steps = state.history, state.step
    result.best_epoch, result.best_value = state.best_epoch, state.best_value
    return result


def fit_drawn(objective: nn.Module, steps: int, *, devices: int = 1, **options: Any) -> FitResult:
    """Train a module that draws its own batches.

    Args:
        objective: (numbers) -> loss, where `numbers` are integers that no other step and no other process gets: seed the draw by
            the first of them, and a resumed training sees the same batches.
        steps: of the optimiser; devices: processes, each with numbers of its own; options: of `fit`.
    """
    numbers = torch.arange(steps * 2 * devices)
    return fit(
        objective, (numbers, numbers), epochs=1, batch_size=2, step=lambda net, rows, _: net(rows), devices=devices, **options
    )  # fmt: skip


@dataclass
class _Order:
    """Which samples come in which step, as a function of (seed, epoch)."""

    size: int
    batch_size: int
    world: int
    rank: int
    seed: int
    drop_last: bool

    @property
    def steps(self) -> int:
        whole = self.batch_size * self.world
        return max(1, self.size // whole) if self.drop_last else -(-self.size // whole)

    def batches(self, epoch: int) -> list[Tensor]:
        permutation = torch.randperm(self.size, generator=generator(self.seed, "order", epoch))
        share = -(-self.size // self.world)
        padded = torch.cat([permutation, permutation[: share * self.world - self.size]])
        mine = padded[self.rank :: self.world]
        return list(mine.split(self.batch_size))[: self.steps]


def _batches(
    train: TrainData, order: _Order, epoch: int, skip: int, workers: int, device: torch.device
) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
    chosen = order.batches(epoch)[skip:]
    if isinstance(train, tuple):
        for offset, rows in enumerate(chosen):
            yield skip + offset, (train[0][rows].to(device), train[1][rows].to(device))
        return
    loader = DataLoader(train, batch_sampler=[rows.tolist() for rows in chosen], num_workers=workers)
    for offset, (x, y) in enumerate(loader):
        yield skip + offset, (x.to(device), y.to(device))


class _State:
    """Everything that a resumed fit needs."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Any, key: dict[str, int]) -> None:
        self.model, self.optimizer, self.schedule, self.key = model, optimizer, schedule, key
        self.step = 0
        self.loss_sum = 0.0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] | None = None
        self.best_value: float | None = None
        self.best_epoch: int | None = None
        self.finished = False

    def consider(self, row: dict[str, float], monitor: str | None, mode: str, patience: int | None) -> None:
        """Keep the best weights; finish when `patience` epochs brought nothing better."""
        if monitor is None:
            return
        if monitor not in row:
            raise InputError("monitor", given=repr(monitor), expected=f"one of {', '.join(row)}")
        value = row[monitor] if mode == "max" else -row[monitor]
        best = self.best_value if self.best_value is None or mode == "max" else -self.best_value
        if best is None or value > best:
            self.best = copy.deepcopy(self.model.state_dict())
            self.best_value, self.best_epoch = row[monitor], len(self.history) - 1
        elif patience is not None and self.best_epoch is not None:
            self.finished = len(self.history) - 1 - self.best_epoch >= patience

    def save(self, path: Path) -> None:
        state = {
            "key": self.key,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else _plain(self.schedule.state_dict()),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "step": self.step,
            "loss_sum": self.loss_sum,
            "history": self.history,
            "best": self.best,
            "best_value": self.best_value,
            "best_epoch": self.best_epoch,
            "finished": self.finished,
        }
        save_state(path, state)

    def load(self, path: Path, device: torch.device) -> None:
        state = load_state(path, map_location=device)
        if state.get("key") != self.key:
            raise InputError(
                f"checkpoint {path} belongs to another fit",
                given=state.get("key"),
                expected=self.key,
                hint="delete it, or pass another checkpoint=",
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"].cpu())
        if state["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda_rng"]])
        for name in ("step", "loss_sum", "history", "best", "best_value", "best_epoch", "finished"):
            setattr(self, name, state[name])


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """A schedule's state without the bound methods that some schedules keep in it."""
    return {
        k: v for k, v in state.items() if isinstance(v, int | float | str | bool | list | dict | tuple | type(None))
    }
