"""`fit` on data, and `fit_drawn` on what an objective draws itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.devices import Compute, device_of
from deepwright.core.errors import InputError
from deepwright.core.fit.factories import adamw
from deepwright.core.fit.loop import Loop
from deepwright.core.fit.order import Order
from deepwright.core.fit.recipe import Recipe, Selection, StepFunction, TrainData
from deepwright.core.fit.run import FitResult, Run
from deepwright.core.interrupt import graceful
from deepwright.core.progress import bar
from deepwright.core.randomness import local_rng
from deepwright.core.requirements import require_callable, require_network, require_positive, require_whole
from deepwright.core.resume import Resume


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
    selection: Selection = Selection(),  # noqa: B008 - frozen
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
        train: (inputs, targets) tensors of equal length, or a map-style `Dataset` of such pairs. Batches are moved
            to where the model trains, floating ones in its dtype. What a `Dataset` draws as it is read (with torch,
            NumPy or `random`) depends on `seed`, epoch and step only.
        epochs: passes over the data.
        batch_size: samples per device and step.
        loss: (predictions, targets) -> scalar; ignored when `step` is given.
        step: (model, x, y) -> scalar to lower, for methods with a step of their own; one that has `at(step, steps)` is
            asked at every step for what it is then.
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
        InputError: no data, or others than tensors; options out of range, or names where functions are asked for;
            nothing to train; targets of another shape than the outputs; what is monitored is no number; a checkpoint of
            another fit, or that another process is writing; a loss that is not finite (the message has the step; on an
            accelerator up to 49 more steps were taken since).
        KeyboardInterrupt: after Ctrl-C, when the state is on disk.
        Terminated: after SIGTERM, when the state is on disk.
    """
    size = _checked_size(train)
    _check_options(model, epochs, batch_size, every, clip_norm)
    _check_parts(loss, step, optimizer, scheduler, augment)
    require_whole(-(2**63), seed=seed)
    require_whole(0, workers=workers)
    recipe = Recipe(
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
    with (
        Resume(checkpoint, parts, kind="fit", writer=fabric.is_global_zero) as kept,
        local_rng(seed),
        torch.enable_grad(),
    ):
        run = Run(model, train, recipe, fabric, Order(size, batch_size, fabric, seed, drop_last))
        try:
            run.resume(kept)
            with graceful() as stop, bar(description, epochs * run.order.steps) as running:
                running.advance(run.state.step)
                Loop(run, kept, every, workers, callbacks, stop, running).go()
            run.restore_best()
        finally:
            run.leave(origin, was_training)
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
        objective: (numbers) -> loss, where `numbers` are integers that no other step and no other process gets: seed
            the draw by the first of them, and a resumed training sees the same batches.
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
    if isinstance(train, tuple):
        if len(train) != 2 or not all(isinstance(part, Tensor) for part in train):
            given, hint = ", ".join(type(part).__name__ for part in train), "torch.as_tensor(...) of each"
            raise InputError("training data", given=given, expected="two tensors: inputs, targets", hint=hint)
        if len(train[0]) != len(train[1]):
            raise InputError("training data", given=f"{len(train[0])} inputs and {len(train[1])} targets")
    return size


def _check_parts(loss: Any, step: Any, optimizer: Any, scheduler: Any, augment: Any) -> None:
    """Refuse names and finished objects where functions that make or compute them are asked for."""
    require_callable("loss", loss, "(predictions, targets) -> one number", "torch.nn.functional.mse_loss, or another")
    for what, value, expected, hint in (
        ("step", step, "(model, x, y) -> one number", None),
        (
            "optimizer",
            optimizer,
            "parameters -> optimiser",
            "core.fit.adamw(lr=1e-3), or lambda p: torch.optim.Adam(p)",
        ),
        ("scheduler", scheduler, "(optimiser, steps) -> schedule", "core.fit.one_cycle(peak=1e-2)"),
        ("augment", augment, "(batch, generator) -> batch", None),
    ):
        if value is not None:
            require_callable(what, value, expected, hint)


def _check_options(model: nn.Module, epochs: int, batch_size: int, every: int, clip_norm: float | None) -> None:
    require_network(model)
    require_whole(0, epochs=epochs)
    require_whole(1, batch_size=batch_size, every=every)
    if clip_norm is not None:
        require_positive(infinite=True, clip_norm=clip_norm)
    if not any(p.requires_grad for p in model.parameters()):
        hint = "model.requires_grad_(True), or leave parts of it trainable"
        raise InputError("model", given="no parameter that asks for gradients", expected="one or more", hint=hint)


def _fabric(compute: Compute, model: nn.Module) -> Any:
    """Fabric on the devices that are asked for, or on the one where the model lives."""
    from lightning_fabric import Fabric

    fabric = Fabric(**compute.fabric(model))
    fabric.launch()
    return fabric
