"""Epochs and steps of a run, with checkpoints and stops between them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from deepwright.core.fit.run import Run
from deepwright.core.interrupt import StopFlag
from deepwright.core.progress import Bar
from deepwright.core.resume import Resume, architecture, digest


@dataclass
class Loop:
    """Epochs and steps, with checkpoints and stops between them."""

    run: Run
    kept: Resume
    every: int
    workers: int
    callbacks: Sequence[Callable[[nn.Module, dict[str, float]], object]]
    stop: StopFlag
    running: Bar
    looked: bool = False

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
            self._look_beside()

    def _look_beside(self) -> None:
        """Say once what the training changes and a checkpoint doesn't hold."""
        if self.looked:
            return
        self.looked = True
        recipe, known = self.run.recipe, self.kept.identity
        now = {"model": architecture(self.run.model), "loss": digest(recipe.loss), "step": digest(recipe.step)}
        changed = [name for name, value in now.items() if known.get(name) not in (None, "None", value)]
        if changed:
            warnings.warn(
                f"training changes attributes of the {' and the '.join(changed)}, which a checkpoint doesn't hold: a "
                "fit that goes on from it will differ. Register what changes as a buffer of the model.",
                stacklevel=2,
            )

    def _show(self, epoch: int) -> None:
        self.running.advance(1, f"epoch {epoch + 1}/{self.run.recipe.epochs} {self.run.losses.shown}")
