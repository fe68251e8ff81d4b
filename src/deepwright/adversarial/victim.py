"""What an attack works on and with: the network behind its task, each sample's best try, and the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.adversarial.aim import Aim, LossFunction
from deepwright.adversarial.projections import column
from deepwright.adversarial.rounding import rounded, working_dtype
from deepwright.core.errors import InputError

State = TypeVar("State")


class NoGradientError(InputError):
    """A network whose outputs don't hang on its inputs by differentiable steps."""


class Victim:
    """The network under attack: outputs, gradients and counts for a changing subset of samples.

    Args:
        forward: from inputs in x's precision to raw outputs.
        aim: the loss and the success test.
        x: the clean inputs, on the network's device.
        eot: forward passes over which outputs are averaged.
    """

    def __init__(self, forward: Callable[[Tensor], Any], aim: Aim, x: Float[Tensor, "n ..."], eot: int = 1) -> None:
        self.forward, self.aim, self.x, self.eot = forward, aim, x, eot
        n = len(x)
        self.queries = torch.zeros(n, dtype=torch.long, device=x.device)
        self.zero_gradient = torch.zeros(n, dtype=torch.bool, device=x.device)
        self.broken = torch.zeros(n, dtype=torch.bool, device=x.device)

    def outputs(self, point: Float[Tensor, "k ..."], rows: Int64[Tensor, " k"]) -> Any:
        """Outputs as the task reads them, differentiable.

        Args:
            point: inputs in the working precision.
            rows: which samples they belong to.
        """
        self.queries.index_add_(0, rows, torch.full_like(rows, self.eot))  # a sample may be asked several times at once
        if point.dtype != self.x.dtype:
            point = rounded(point, self.x[rows])
        if self.eot == 1:
            return self.aim.read(self.forward(point), len(point))
        outs = [self.aim.read(self.forward(point), len(point)) for _ in range(self.eot)]
        if not isinstance(outs[0], Tensor):
            raise InputError("eot", given=self.eot, expected="1 where outputs are no tensors that can be averaged")
        return torch.stack(outs).mean(0)

    def out(self, point: Float[Tensor, "k ..."], rows: Int64[Tensor, " k"]) -> Any:
        """Outputs without gradient.

        Args:
            point: inputs in the working precision.
            rows: which samples they belong to.
        """
        with torch.no_grad():
            return self.outputs(point, rows)

    def logits(self, out: Any) -> Float[Tensor, "k classes"]:
        """Class logits of outputs, for attacks that need them.

        Args:
            out: as `outputs` gives it.
        """
        z = self.aim.class_logits(out)
        assert z is not None
        return z

    def judge(
        self, point: Float[Tensor, "k ..."], y: Any, rows: Int64[Tensor, " k"]
    ) -> tuple[Float[Tensor, " k"], Bool[Tensor, " k"]]:
        """What is raised, and success, without gradient.

        Args:
            point: inputs in the working precision.
            y: their targets.
            rows: which samples they belong to.
        """
        out = self.out(point, rows)
        return self.loss(out, y, rows), self.succeeded(out, y)

    def succeeded(self, out: Any, y: Any) -> Bool[Tensor, " k"]:
        """Success, never on outputs that aren't finite.

        Args:
            out: as `outputs` gives it.
            y: targets.
        """
        return self.aim.reached(out, y)

    def loss(
        self, out: Any, y: Any, rows: Int64[Tensor, " k"], function: LossFunction | None = None
    ) -> Float[Tensor, " k"]:
        """The quantity to raise, one number a sample; 0 where it isn't finite.

        Args:
            out: as `outputs` gives it.
            y: targets.
            rows: which samples they belong to.
            function: of an attack with an objective of its own, lowered when targeted.

        Raises:
            InputError: a loss that isn't one number a sample.
        """
        if function is None:
            value = self.aim.value(out, y)
        else:
            value = -function(out, y) if self.aim.targeted else function(out, y)
        if value.ndim != 1 or len(value) != len(rows):
            raise InputError(
                "loss",
                given=f"shape {tuple(value.shape)}",
                expected=f"({len(rows)},)",
                hint="a per-sample loss is needed: reduction='none'",
            )
        bad = ~torch.isfinite(value.detach())
        self.broken[rows] |= bad
        return torch.where(bad, torch.zeros_like(value), value)

    def gradient(
        self,
        x: Float[Tensor, "k ..."],
        y: Any,
        rows: Int64[Tensor, " k"],
        function: LossFunction | None = None,
        vary: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Float[Tensor, " k"], Float[Tensor, "k ..."], Any]:
        """(loss, its gradient with respect to x, outputs) at x; one forward and one backward pass.

        Args:
            x: inputs in the working precision.
            y: targets.
            rows: which samples they belong to.
            function: see `loss`.
            vary: what the network is shown in place of x, differentiable.

        Raises:
            InputError: a network without a gradient path.
        """
        point = x.detach().requires_grad_(True)
        out = self.outputs(point if vary is None else vary(point), rows)
        loss = self.loss(out, y, rows, function)
        if not loss.requires_grad:
            raise NoGradientError(
                "the model's output",
                given="no gradient path to its input",
                hint="remove no_grad/detach, or use bpda(...) for that step; Square needs scores only",
            )
        (gradient,) = torch.autograd.grad(loss.sum(), point)
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        self.zero_gradient[rows] |= gradient.flatten(1).abs().amax(1) == 0
        return loss.detach(), gradient, out.detach()


def selected(state: State, active: Tensor) -> State:
    """A copy of an object whose attributes are tensors over samples (or None), with the active samples only.

    Args:
        state: the object.
        active: a mask over its samples.
    """
    part = object.__new__(type(state))
    for name, value in vars(state).items():
        setattr(part, name, None if value is None else value[active])
    return part


class Best:
    """Each sample's best try: the first success, or the highest loss until then.

    Args:
        x: the clean inputs in the working precision.
    """

    def __init__(self, x: Float[Tensor, "n ..."]) -> None:
        n = len(x)
        self.x = x.clone()
        self.loss = torch.full((n,), -torch.inf, device=x.device, dtype=working_dtype(x.dtype))
        self.first = self.loss.clone()  # at the clean inputs: who makes this says it
        self.success = torch.zeros(n, dtype=torch.bool, device=x.device)
        self.steps = torch.zeros(n, dtype=torch.long, device=x.device)

    def offer(
        self,
        rows: Int64[Tensor, " k"],
        x: Float[Tensor, "k ..."],
        loss: Float[Tensor, " k"],
        success: Bool[Tensor, " k"],
        step: int,
    ) -> None:
        """Take the tries that are better.

        Args:
            rows: which samples they belong to.
            x: the tries.
            loss: what is raised, there.
            success: whether the aim is reached, there.
            step: iterations until here.
        """
        highest, done = self.loss[rows], self.success[rows]
        better = (success & ~done) | ((success == done) & (loss > highest))
        loss = loss.to(highest.dtype)
        self.x[rows] = torch.where(column(better, x), x, self.x[rows])
        self.loss[rows] = torch.where(better, loss, highest)
        self.success[rows] = done | success
        self.steps[rows] = step

    def take(
        self,
        rows: Int64[Tensor, " k"],
        x: Float[Tensor, "k ..."],
        loss: Float[Tensor, " k"],
        success: Bool[Tensor, " k"],
        step: int,
    ) -> None:
        """Take the tries as they are, better or not: for attacks that end at their last iterate.

        Args:
            rows: which samples they belong to.
            x: the tries.
            loss: what is raised, there.
            success: whether the aim is reached, there.
            step: iterations until here.
        """
        self.loss[rows], self.success[rows] = -torch.inf, False
        self.offer(rows, x, loss, success, step)

    def stay(self, rows: Bool[Tensor, " n"], x: Float[Tensor, "n ..."], loss: Tensor, success: Tensor) -> None:
        """Put the clean input in the place of what was found.

        Args:
            rows: where.
            x: the clean inputs.
            loss: what is raised, there.
            success: whether the aim is reached, there.
        """
        self.x = torch.where(column(rows, x), x, self.x)
        self.loss = torch.where(rows, loss.to(self.loss.dtype), self.loss)
        self.success = torch.where(rows, success, self.success)


class Batch(NamedTuple):
    """What is attacked, on the network's device and in the working precision.

    Attributes:
        x: clean inputs.
        y: targets as the task takes them.
        eps: a budget for each sample.
        mask: 1 where a number may change, or None.
        ids: identity of each sample's random stream.
        callback: the user's, or None.
        out: outputs at x, for the attacks that need them.
    """

    x: Tensor
    y: Any
    eps: Tensor
    mask: Tensor | None
    ids: Tensor
    callback: Callable[[int, Tensor], object] | None
    out: Any = None

    @property
    def rows(self) -> Tensor:
        """Indices of all samples."""
        return torch.arange(len(self.x), device=self.x.device)
