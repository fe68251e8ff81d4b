"""Numbers: targets (N, outputs), and outputs that are the same, alone or with a spread or quantiles beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.statistics import Interval
from deepwright.core.tasks import spreads
from deepwright.core.tasks.intervals import bootstrap, share, weighted_mean
from deepwright.core.tasks.protocol import Task, chosen_loss
from deepwright.core.tasks.reading import columns, raised, require_finite, require_form, unwrap
from deepwright.core.tasks.targets import beside, real_targets, require_some

_CONSTANT = 0.025  # of the resamples may have a constant target, for an interval of R2


@dataclass(frozen=True)
class Regression(Task):
    """One or more numbers a sample.

    Args:
        outputs: D, how many.
        tolerance: a sample is right when each output is off by no more; one number, or one an output. None leaves it
            open until `fitted` takes it from training targets.
        names: of the outputs, or none.
        spread: what stands beside each number: "none", its "deviation", "variance" or "log-variance" (of a Gaussian),
            "quantiles", which then are all that the network gives, or the ends of an "interval".
        levels: of the quantiles, or of both ends of the interval, rising within (0, 1).

    With a spread, outputs are read as (N, D, 2), number and deviation; with quantiles as (N, D, levels); with an
    interval as (N, D, 3), number, low and high end, which the network gives so or as a dict of "mean", "low", "high".
    """

    outputs: int = 1
    tolerance: float | tuple[float, ...] | None = None
    names: tuple[str, ...] = ()
    spread: str = "none"
    levels: tuple[float, ...] = ()

    kind: ClassVar[str] = "regression"
    headline: ClassVar[str] = "mae"
    higher_is_better: ClassVar[tuple[str, ...]] = ("r2", "within_tolerance")
    lower_is_better: ClassVar[tuple[str, ...]] = ("mae", "rmse", "crps", "nll", "pinball")

    def __post_init__(self) -> None:
        require_whole(1, outputs=self.outputs)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "tolerance", require_tolerance(self.tolerance, self.outputs))
        if len(self.names) not in (0, self.outputs):
            raise InputError("names", given=len(self.names), expected=f"{self.outputs}, one an output, or none")
        object.__setattr__(self, "levels", spreads.require_levels(self.spread, self.levels))

    @property
    def columns(self) -> tuple[int, ...]:
        """D; of one number with its spread, or quantiles of one, as many as there are of these."""
        return (self.outputs * self.width,) if self.outputs == 1 else (self.outputs,)

    @property
    def width(self) -> int:
        """Numbers an output: 1, 2 with a spread, 3 with an interval, or one a quantile."""
        return spreads.width_of(self.spread, self.levels)

    @property
    def reread(self) -> Regression:
        """The task that reads once more what `read` gave: a variance is a deviation by then."""
        return self if self.spread in ("none", "quantiles", "interval") else replace(self, spread="deviation")

    @property
    def attack_losses(self) -> tuple[str, ...]:
        """Sums of squared and of absolute errors."""
        return ("squared_error", "absolute_error")

    def read(self, out: Any, n: int | None = None, *, strict: bool = True) -> Float[Tensor, "n outputs *spread"]:
        """Numbers (N, D), or (N, D, 2), (N, D, 3) and (N, D, levels); whole numbers become floats."""
        if self.spread != "none":
            return spreads.read(out, n, self.outputs, self.spread, self.levels, strict)
        expected = f"(N, {self.outputs}), one column an output" + (", or (N,)" if self.outputs == 1 else "")
        found = columns(unwrap(out, n, self._fits, expected), n)
        if not found.is_floating_point() and not found.is_complex() and found.dtype != torch.bool:
            found = found.to(torch.get_default_dtype())
        wide = found.ndim == 2 and found.shape[1] != self.outputs
        hint = f"this looks like Regression(outputs={found.shape[1]}) or a classification" if wide else None
        if wide and self.outputs == 1:
            hint = f"{hint}; a number with its spread is Regression(spread='variance'), see its docstring"
        require_form(found, n, self._fits(found), expected, hint)
        if strict:
            require_finite(found)
        return found

    def _fits(self, out: Tensor) -> bool:
        return columns(out, None).shape[1:] == (self.outputs,)

    def point(self, out: Float[Tensor, "n outputs *spread"]) -> Float[Tensor, "n outputs"]:
        """The numbers alone: of quantiles the median, between its neighbours where it isn't among them."""
        if self.spread == "none":
            return out
        return spreads.median(out, self.levels) if self.spread == "quantiles" else out[..., 0]

    def interval(
        self, out: Float[Tensor, "n outputs *spread"], level: float
    ) -> tuple[Float[Tensor, "n outputs"], Float[Tensor, "n outputs"]] | None:
        """Ends of the central interval that the network claims; None where it claims none of that level.

        Args:
            out: as `read` gives it.
            level: share of the targets that it should hold, within (0, 1).
        """
        require_within(0, 1, ends="()", level=level)
        return None if self.spread == "none" else spreads.interval(out, self.spread, self.levels, level)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Batches as one."""
        return torch.cat(list(parts))

    def check_targets(self, y: Any, n: int | None = None, name: str = "targets") -> Float[Tensor, "n outputs"]:
        """Finite floats (N, D); (N,) is taken for one output, whole numbers become floats."""
        return real_targets(y, (self.outputs,), n, name)

    def loss(self, out: Float[Tensor, "n outputs *spread"], y: Float[Tensor, "n outputs"]) -> Float[Tensor, " n"]:
        """Mean of the squared errors over the outputs."""
        y = beside(out, y)
        return errors(self.point(out), y).square().mean(1)

    def right(self, out: Float[Tensor, "n outputs *spread"], y: Float[Tensor, "n outputs"]) -> Bool[Tensor, " n"]:
        """Whether each output is within its tolerance."""
        y = beside(out, y)
        return (errors(self.point(out), y).abs() <= tolerance_on(self.tolerance, out)).all(1)

    def prediction(self, out: Float[Tensor, "n outputs *spread"]) -> Float[Tensor, "n outputs"]:
        """The numbers themselves."""
        return self.point(out)

    def adversarial_loss(
        self,
        out: Float[Tensor, "n outputs *spread"],
        y: Float[Tensor, "n outputs"] | None = None,
        target: Float[Tensor, "n outputs"] | None = None,
        *,
        loss: str | None = None,
    ) -> Float[Tensor, " n"]:
        """Sum of squared or absolute errors; minus those to the target."""
        y, target = beside(out, y), beside(out, target)
        return error_loss(self, self.point(out), y, target, loss)

    def headline_value(self, out: Float[Tensor, "n outputs *spread"], y: Float[Tensor, "n outputs"]) -> float:
        """MAE."""
        return float(errors(self.point(out), beside(out, y)).double().abs().mean())

    def metrics(
        self,
        out: Float[Tensor, "n outputs *spread"],
        y: Float[Tensor, "n outputs"],
        *,
        resamples: int = 1000,
        seed: int = 0,
    ) -> dict[str, Interval]:
        """MAE, RMSE and R2, each the mean over the outputs, and the share within the tolerance where there is one.

        With a spread also the CRPS and the negative log likelihood (nats an output) of the Gaussians; with quantiles
        or intervals the pinball loss, its mean over levels. R2 is absent where a target never varies, and its interval
        isn't known where it doesn't in many resamples.
        """
        y = beside(out, y)
        rows = spreads.losses(out, y, self.spread, self.levels)
        gap, truth = errors(self.point(out), y).double(), y.double() - y.double().mean(0)

        def all_of_them(w: Tensor) -> dict[str, Tensor]:
            squared = weighted_mean(w, gap.square())
            found = {"mae": weighted_mean(w, gap.abs()).mean(1), "rmse": squared.sqrt().mean(1)}
            found |= {name: weighted_mean(w, values) for name, values in rows.items()}
            if bool((truth != 0).any(0).all()):
                variance = weighted_mean(w, truth.square()) - weighted_mean(w, truth).square()
                varies = variance > 1e-12 * truth.square().mean(0)
                found["r2"] = torch.where(varies, 1 - squared / variance, torch.nan).mean(1)
                constant.append((~varies).any(1).double().mean())
            return found

        constant: list[Tensor] = []
        found = bootstrap(len(y), all_of_them, resamples=resamples, seed=seed, device=out.device)
        if "r2" in found and max(map(float, constant)) > _CONSTANT:  # the others don't speak for those without an R2
            found["r2"] = replace(found["r2"], low=-math.inf, high=1.0)
        return found if self.tolerance is None else found | {"within_tolerance": share(self.right(out, y))}

    def baseline(
        self, train: Float[Tensor, "m outputs"], y: Float[Tensor, "n outputs"], history: Tensor | None = None
    ) -> Float[Tensor, "n outputs *spread"]:
        """The training targets' median, with their deviation beside it, or their quantiles, as the network gives them.

        No other constant has a smaller MAE on them, which is the headline.
        """
        require_some(train)
        middle = train.median(0).values
        if self.spread == "none":
            return middle.expand(len(y), -1)
        if self.spread in ("quantiles", "interval"):
            levels = torch.tensor(self.levels, dtype=train.dtype, device=train.device)
            found = train.quantile(levels, dim=0).T
            found = torch.cat([middle[:, None], found], 1) if self.spread == "interval" else found
            return found.expand(len(y), -1, -1)
        spread = train.std(0, correction=min(1, len(train) - 1)).clamp_min(1e-12)
        return torch.stack([middle, spread], 1).expand(len(y), -1, -1)

    def fitted(self, train: Float[Tensor, "m outputs"], history: Tensor | None = None) -> Regression:
        """An open tolerance becomes the median distance of the training targets from their median.

        So a sample is right when the network is nearer than the best constant is to half of the samples. Targets of
        which more than half are equal take the mean distance.
        """
        if self.tolerance is not None:
            return self
        require_some(train)
        distance = (train - train.median(0).values).abs().double()
        typical = distance.median(0).values
        typical = torch.where(typical > 0, typical, distance.mean(0))
        if bool((typical == 0).any()):
            raise InputError("training targets", given="an output that never varies", expected="numbers that vary")
        return replace(self, tolerance=tuple(typical.tolist()))


def errors(out: Tensor, y: Tensor) -> Tensor:
    """out - y in float32 or better; other shapes are refused, since (N,) - (N, 1) would be (N, N)."""
    if out.shape != y.shape:
        raise InputError("targets", given=f"shape {tuple(y.shape)}", expected=f"{tuple(out.shape)}, as the outputs")
    return raised(out) - raised(y)


def error_loss(task: Task, out: Tensor, y: Tensor | None, target: Tensor | None, loss: str | None) -> Tensor:
    """The attack losses of numbers: sums of squared or absolute errors."""
    name = chosen_loss(task, loss, y, target)
    aim = target if target is not None else y
    assert aim is not None
    gap = errors(out, aim).flatten(1)
    value = gap.square().sum(1) if name == "squared_error" else gap.abs().sum(1)
    return value if target is None else -value


def require_tolerance(tolerance: Any, count: int) -> float | tuple[float, ...] | None:
    """One number above 0, one for each of `count`, or None."""
    if tolerance is None:
        return None
    several = isinstance(tolerance, list | tuple)
    values = tuple(tolerance) if several else (tolerance,)
    numbers = all(isinstance(v, int | float) and 0 < v < float("inf") for v in values)
    if not numbers or len(values) not in (1, count):
        raise InputError("tolerance", given=repr(tolerance), expected=f"above 0, one number or {count}")
    return tuple(map(float, values)) if several else float(tolerance)


def tolerance_on(tolerance: float | tuple[float, ...] | None, like: Tensor) -> Tensor | float:
    """The tolerance beside a tensor, or the refusal where it was left open."""
    if tolerance is None:
        raise InputError(
            "tolerance",
            given="none",
            expected="how far off a right answer may be",
            hint="tolerance=... of the task, or task.fitted(training targets)",
        )
    if not isinstance(tolerance, tuple):
        return tolerance
    return torch.tensor(tolerance, dtype=raised(like[:0]).dtype, device=like.device)
