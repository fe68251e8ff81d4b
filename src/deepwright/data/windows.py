"""Streams of one entity each (a patient, a machine), and windows of them with what is to be forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole, require_within


@dataclass(frozen=True)
class Windows:
    """Windows of one entity in the order of time, each with the target's next values.

    Attributes:
        x: what a forecaster sees.
        y: the target in the steps behind it.
        start: the row of the stream at which each window begins.
        event: whether something happened within it that moves what counts as normal (a meal).
    """

    x: Float[Tensor, "n steps channels"]
    y: Float[Tensor, "n horizon"]
    start: Int64[Tensor, " n"]
    event: Bool[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor | slice) -> Windows:
        """Some of them.

        Args:
            rows: indices, a mask or a slice.
        """
        return Windows(self.x[rows], self.y[rows], self.start[rows], self.event[rows])

    def cut(self, share: float = 0.75) -> tuple[Windows, Windows]:
        """The earlier part and the later one, without the windows between them that have a row of both.

        Args:
            share: of the windows, in the earlier part.

        Raises:
            InputError: a share outside of (0, 1), windows out of order.
        """
        require_within(0, 1, ends="()", share=share)
        if len(self) > 1 and not bool((self.start.diff() > 0).all()):
            raise InputError("windows", given="starts that don't rise", expected="windows in the order of time")
        first = int(share * len(self))
        if first == 0:
            return self.take(slice(0, 0)), self
        begin = self.start[first - 1] + self.x.shape[1] + self.y.shape[1]  # the first row that nothing before has seen
        return self.take(slice(0, first)), self.take(self.start >= begin)


@dataclass(frozen=True)
class Stream:
    """What was measured of an entity, row by row at even steps.

    Attributes:
        values: one row a step.
        channels: names.
        target: the channel that is forecast.
        event: whether something happens at a row, see `Windows`; none by default.
        group: of the entity, where it is known.
        facts: other things that are known of it.
    """

    values: Float[Tensor, "steps channels"]
    channels: tuple[str, ...]
    target: int = 0
    event: Bool[Tensor, " steps"] | None = None
    group: str = ""
    facts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.channels):
            given = f"shape {tuple(self.values.shape)} for {len(self.channels)} channels"
            raise InputError("values", given=given, expected="(steps, channels)")
        if self.event is not None and self.event.shape != self.values.shape[:1]:
            raise InputError("event", given=f"shape {tuple(self.event.shape)}", expected=f"({len(self.values)},)")

    def windows(self, history: int = 12, horizon: int = 6, every: int = 1) -> Windows:
        """Windows of it, as views of the stream.

        Args:
            history: rows that a forecaster sees.
            horizon: rows behind them whose target is forecast.
            every: rows from one window to the next.

        Raises:
            InputError: numbers below 1, a stream that is shorter than a window, values that are missing.
        """
        require_whole(1, history=history, horizon=horizon, every=every)
        long = history + horizon
        if len(self.values) < long:
            raise InputError("stream", given=f"{len(self.values)} rows", expected=f"{long} or more for a window")
        if not bool(torch.isfinite(self.values).all()):
            row, channel = (~torch.isfinite(self.values)).nonzero()[0].tolist()
            given = f"a missing or infinite {self.channels[channel]!r} at row {row}"
            hint = "stream.filled(), and stream.without_empty() before it where a channel was never measured"
            raise InputError("stream", given=given, expected="finite numbers", hint=hint)
        rows = self.values.unfold(0, long, every).transpose(1, 2)
        place = self.values.device
        none = torch.zeros(len(self.values), dtype=torch.bool, device=place)
        event = none if self.event is None else self.event.to(place)
        seen = event.unfold(0, long, every)[:, :history].any(1)
        start = torch.arange(len(rows), device=place) * every
        return Windows(rows[:, :history], rows[:, history:, self.target], start, seen)

    def without_empty(self) -> Stream:
        """The stream without channels that have no value at all; its target is kept."""
        known = torch.isfinite(self.values).any(0)
        known[self.target] = True
        kept = known.nonzero().flatten().tolist()
        channels = tuple(self.channels[i] for i in kept)
        return replace(self, values=self.values[:, kept], channels=channels, target=kept.index(self.target))

    def filled(self) -> Stream:
        """The stream with each missing value as the last one before it; before the first, the first.

        Raises:
            InputError: a channel without a single value.
        """
        known = torch.isfinite(self.values)
        empty = (~known.any(0)).nonzero().flatten().tolist()
        if empty:
            raise InputError(f"channel {self.channels[empty[0]]!r}", given="no value at all", expected="some")
        rows = torch.arange(len(known), device=known.device)
        places = rows[:, None].where(known, -1).cummax(0).values
        first = known.int().argmax(0)
        return replace(self, values=self.values.gather(0, places.where(places >= 0, first)))
