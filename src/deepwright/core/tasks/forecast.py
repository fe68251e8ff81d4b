"""The next steps of one or more series: outputs and targets (N, horizon, channels)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.statistics import Interval
from deepwright.core.tasks.intervals import bootstrap, share, weighted_mean
from deepwright.core.tasks.protocol import Task
from deepwright.core.tasks.reading import require_finite, require_form, unwrap
from deepwright.core.tasks.regression import error_loss, errors, require_tolerance, tolerance_on
from deepwright.core.tasks.targets import beside, real_targets, require_some


@dataclass(frozen=True)
class Forecast(Task):
    """`horizon` steps of `channels` series.

    Args:
        horizon: steps ahead.
        channels: series that are forecast together.
        season: steps after which a series is expected to repeat; 1 for none.
        tolerance: a forecast is right when each channel's mean absolute error over the horizon is no larger; one
            number, or one a channel; None leaves it open until `fitted`.
        scale: mean absolute error of the seasonal naive forecast on the training series, one a channel: what MASE
            divides by; None leaves it open until `fitted`.
        names: of the channels, or none.
    """

    horizon: int
    channels: int = 1
    season: int = 1
    tolerance: float | tuple[float, ...] | None = None
    scale: float | tuple[float, ...] | None = None
    names: tuple[str, ...] = ()

    kind: ClassVar[str] = "forecast"
    headline: ClassVar[str] = "mae"
    higher_is_better: ClassVar[tuple[str, ...]] = ("within_tolerance",)
    lower_is_better: ClassVar[tuple[str, ...]] = ("mae", "rmse", "mase")

    def __post_init__(self) -> None:
        require_whole(1, horizon=self.horizon, channels=self.channels, season=self.season)
        object.__setattr__(self, "names", tuple(self.names))
        for field in ("tolerance", "scale"):
            object.__setattr__(self, field, require_tolerance(getattr(self, field), self.channels))
        if len(self.names) not in (0, self.channels):
            raise InputError("names", given=len(self.names), expected=f"{self.channels}, one a channel, or none")

    @property
    def columns(self) -> tuple[int, ...]:
        """The horizon."""
        return (self.horizon,)

    @property
    def attack_losses(self) -> tuple[str, ...]:
        """Sums of squared and of absolute errors."""
        return ("squared_error", "absolute_error")

    def read(self, out: Any, n: int | None = None, *, strict: bool = True) -> Float[Tensor, "n horizon channels"]:
        """Numbers (N, horizon, channels); (N, horizon) is taken for one channel."""
        expected = f"(N, {self.horizon}, {self.channels})" + (f" or (N, {self.horizon})" if self.channels == 1 else "")
        found = self._with_channel(unwrap(out, n, self._fits, expected))
        turned = tuple(found.shape[1:]) == (self.channels, self.horizon) != (self.horizon, self.channels)
        require_form(found, n, self._fits(found), expected, "transpose the last two dimensions" if turned else None)
        if strict:
            require_finite(found)
        return found

    def _with_channel(self, out: Tensor) -> Tensor:
        if out.ndim == 1 and self.horizon == self.channels == 1:
            return out[:, None, None]
        return out[..., None] if out.ndim == 2 and self.channels == 1 else out

    def _fits(self, out: Tensor) -> bool:
        return tuple(self._with_channel(out).shape[1:]) == (self.horizon, self.channels)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Batches as one."""
        return torch.cat(list(parts))

    def check_targets(self, y: Any, n: int | None = None, name: str = "targets") -> Float[Tensor, "n horizon channels"]:
        """Finite floats (N, horizon, channels); (N, horizon) is taken for one channel."""
        return real_targets(y, (self.horizon, self.channels), n, name)

    def loss(
        self, out: Float[Tensor, "n horizon channels"], y: Float[Tensor, "n horizon channels"]
    ) -> Float[Tensor, " n"]:
        """Mean of the squared errors."""
        y = beside(out, y)
        return errors(out, y).square().flatten(1).mean(1)

    def right(
        self, out: Float[Tensor, "n horizon channels"], y: Float[Tensor, "n horizon channels"]
    ) -> Bool[Tensor, " n"]:
        """Whether each channel's mean absolute error is within its tolerance."""
        y = beside(out, y)
        return (errors(out, y).abs().mean(1) <= tolerance_on(self.tolerance, out)).all(1)

    def prediction(self, out: Float[Tensor, "n horizon channels"]) -> Float[Tensor, "n horizon channels"]:
        """The numbers themselves."""
        return out

    def adversarial_loss(
        self,
        out: Float[Tensor, "n horizon channels"],
        y: Float[Tensor, "n horizon channels"] | None = None,
        target: Float[Tensor, "n horizon channels"] | None = None,
        *,
        loss: str | None = None,
    ) -> Float[Tensor, " n"]:
        """Sum of squared or absolute errors; minus those to the target."""
        y, target = beside(out, y), beside(out, target)
        return error_loss(self, out, y, target, loss)

    def metrics(
        self,
        out: Float[Tensor, "n horizon channels"],
        y: Float[Tensor, "n horizon channels"],
        *,
        resamples: int = 1000,
        seed: int = 0,
    ) -> dict[str, Interval]:
        """MAE and RMSE over all steps, MASE where the scale is known, the share within a tolerance that is known.

        Source of MASE: R. J. Hyndman and A. B. Koehler, "Another look at measures of forecast accuracy", 2006.
        """
        y = beside(out, y)
        gap = errors(out, y).double()
        absolute, squared = gap.abs().mean(1), gap.square().mean((1, 2))
        scale = None if self.scale is None else tolerance_on(self.scale, absolute)

        def all_of_them(w: Tensor) -> dict[str, Tensor]:
            by_channel = weighted_mean(w, absolute)
            found = {"mae": by_channel.mean(1), "rmse": weighted_mean(w, squared).sqrt()}
            return found if scale is None else found | {"mase": (by_channel / scale).mean(1)}

        found = bootstrap(len(y), all_of_them, resamples=resamples, seed=seed, device=out.device)
        return found if self.tolerance is None else found | {"within_tolerance": share(self.right(out, y))}

    def baseline(
        self,
        train: Float[Tensor, "m horizon channels"],
        y: Float[Tensor, "n horizon channels"],
        history: Float[Tensor, "n time *channels"] | None = None,
    ) -> Float[Tensor, "n horizon channels"]:
        """The last season of the history, repeated; without a history each step's mean over training."""
        if history is None:
            require_some(train)
            return train.mean(0).expand(len(y), -1, -1)
        past = self._past(history)
        if len(past) != len(y):
            raise InputError("history", given=f"{len(past)} series", expected=f"{len(y)}, one a target")
        last = past[:, -self.season :]
        return last.repeat(1, -(-self.horizon // self.season), 1)[:, : self.horizon]

    def _past(self, history: Tensor) -> Tensor:
        past = history[..., None] if history.ndim == 2 and self.channels == 1 else history
        if past.ndim != 3 or past.shape[2] != self.channels or past.shape[1] < self.season:
            raise InputError(
                "history",
                given=f"shape {tuple(history.shape)}",
                expected=f"(N, time, {self.channels}) with {self.season} steps or more",
            )
        return past

    def fitted(
        self, train: Float[Tensor, "m horizon channels"], history: Float[Tensor, "m time *channels"] | None = None
    ) -> Forecast:
        """An open tolerance becomes the trivial forecast's median error in training; the scale needs the history."""
        task = self
        if task.tolerance is None:
            typical = errors(self.baseline(train, train, history), train).abs().mean(1).double().median(0).values
            task = replace(task, tolerance=_above_zero(typical, "training targets"))
        if task.scale is None and history is not None:
            past = self._past(history)
            if past.shape[1] > self.season:
                steps = (past[:, self.season :] - past[:, : -self.season]).abs().double().mean((0, 1))
                task = replace(task, scale=_above_zero(steps, "history"))
        return task


def _above_zero(values: Tensor, what: str) -> tuple[float, ...]:
    if bool((values == 0).any()):
        raise InputError(what, given="a channel that the trivial forecast hits exactly", expected="series that vary")
    return tuple(values.tolist())
