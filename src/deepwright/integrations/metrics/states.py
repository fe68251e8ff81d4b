"""What the metrics keep: sums of one number a sample, or all samples where a number needs them at once."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor
from torchmetrics import Metric

from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval, wilson


class Sums(Metric):
    """Sums over the samples, each a state of a name that only metrics of this kind and these options have.

    A `MetricCollection` takes metrics for one whose states are equal after the first batch, and updates one of them
    from then on: sums of different things may be equal by accident, as 0 and 0.

    Args:
        shape: of each sum.
        options: all on which the sums depend.
    """

    full_state_update = False
    names: tuple[str, ...] = ()

    def __init__(self, shape: tuple[int, ...] = (), *options: object) -> None:
        super().__init__()
        self._suffix = f"{type(self).__name__}_{zlib.crc32(repr(options).encode()):08x}"
        for name in self.names:
            zeros = torch.zeros(shape, dtype=torch.float64)
            self.add_state(f"{name}_{self._suffix}", default=zeros, dist_reduce_fx="sum")

    def _add(self, name: str, value: Tensor | int, place: int | None = None) -> None:
        """Add to a sum, or to one place of it."""
        state = f"{name}_{self._suffix}"
        sums = getattr(self, state).clone()
        more = value.to(sums.device) if isinstance(value, Tensor) else value  # a number asks no device to wait
        sums[... if place is None else place] += more
        setattr(self, state, sums)

    def _sum(self, name: str) -> Tensor:
        return getattr(self, f"{name}_{self._suffix}")


class Mean(Sums):
    """The mean of one number a sample; `update` of a subclass says which."""

    names = ("total", "count")

    def compute(self) -> Tensor:
        """The mean, a float64 scalar."""
        if not int(self._sum("count")):
            raise nothing(self)
        return self._sum("total") / self._sum("count")

    def _see(self, values: Tensor) -> None:
        self._add("total", values.detach().double().sum())
        self._add("count", values.numel())


class Share(Sums):
    """The share of what holds; `update` of a subclass says of what."""

    names = ("held", "count")

    def compute(self) -> Tensor:
        """The share, a float64 scalar."""
        return scalar(self.interval().value, self._sum("count"))

    def interval(self) -> Interval:
        """With Wilson's interval, of what this process has seen."""
        if not int(self._sum("count")):
            raise nothing(self)
        return wilson(int(self._sum("held")), int(self._sum("count")))

    def _see(self, holds: Tensor) -> None:
        self._add("held", holds.sum())
        self._add("count", holds.numel())


def flags(values: Tensor, name: str) -> Tensor:
    """Booleans (N,).

    Args:
        values: what was given.
        name: how the user knows it.
    """
    if not isinstance(values, Tensor) or values.dtype != torch.bool or values.ndim != 1:
        given = f"{values.dtype} of {values.ndim} axes" if isinstance(values, Tensor) else type(values).__name__
        raise InputError(name, given=given, expected="booleans (N,)")
    return values


def gathered(metric: Metric, *names: str) -> None:
    """Lists of tensors, joined over batches and processes.

    Args:
        metric: that keeps them.
        names: of the states.
    """
    for name in names:
        metric.add_state(name, default=[], dist_reduce_fx="cat")


def whole(state: list[Tensor] | Tensor, metric: Metric) -> Tensor:
    """A list state as one tensor; merged across processes it is one already.

    Args:
        state: of a metric.
        metric: that keeps it.
    """
    if isinstance(state, Tensor):
        return state
    if not state:
        raise nothing(metric)
    return torch.cat(state)


def nothing(metric: Metric) -> InputError:
    """The error of a metric without data.

    Args:
        metric: that was asked.
    """
    return InputError(type(metric).__name__, given="no data", hint="call update first")


def scalar(value: float, like: Tensor) -> Tensor:
    """A float64 scalar beside a tensor.

    Args:
        value: of it.
        like: says where.
    """
    return torch.tensor(value, dtype=torch.float64, device=like.device)
