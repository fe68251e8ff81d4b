"""A line of progress of a training."""

from __future__ import annotations

from typing import Any


def progress(trainer: Any, gone: float, states: int, max_itrs: int | None, max_seconds: float | None) -> str:
    """What the last check said, how fast it goes, and how long it still takes.

    Args:
        trainer: a `Trainer`, after its first check.
        gone: seconds of this call.
        states: that were trained on in them.
        max_itrs: see `Trainer.fit`.
        max_seconds: see `Trainer.fit`.
    """
    row, rate = trainer.history[-1], max(states / max(gone, 1e-9), 1e-9)
    left = []
    if max_itrs is not None:
        s = trainer.settings
        left.append((max_itrs - trainer.iteration) * s.batch_size * s.processes / rate)
    if max_seconds is not None:
        left.append(max_seconds - trainer.seconds)
    end = f", {max(min(left), 0) / 60:.1f} minutes left" if left else ""
    return (
        f"iteration {trainer.iteration}: loss {row['loss']:.3g}, mean target {row['target']:.2f}, {row['solved']:.0%} "
        f"of walks up to {row['k']:.0f} steps solved, {rate:,.0f} states/s{end}"
    )
