"""The one attack engine: what every attack shares.

An `Attack` is called with (model, x, y) and gives an `AttackResult`. The base class checks the input, freezes the
model, keeps each sample's best try, and restores everything; a subclass only says how the perturbation moves (`_run`).
Attacks work in pixel space: normalisation belongs inside the model.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.adversarial.losses import LossFunction, SuccessFunction, Task
from deepwright.adversarial.projections import column, norms, project, require_norm
from deepwright.core.errors import InputError
from deepwright.core.inference import device_of, frozen, require_float_images, require_labels
from deepwright.core.randomness import Streams

State = TypeVar("State")


@dataclass
class AttackResult:
    """Per sample: the adversarial input, whether it fools, and what it took.

    Attributes:
        x_adv: as x; an unsuccessful sample keeps its strongest try.
        success: (N,) whether the attack's success test holds (within the budget, and after quantisation if asked).
        loss: (N,) at x_adv.
        norm: (N,) of x_adv - x.
        queries: (N,) forward passes; steps: (N,) iterations.
        flags: shares of samples with a zero gradient, with outputs that aren't finite, whose loss never rose.
    """

    x_adv: Tensor
    success: Bool[Tensor, " n"]
    loss: Float[Tensor, " n"]
    norm: Float[Tensor, " n"]
    queries: Tensor
    steps: Tensor
    flags: dict[str, float] = field(default_factory=dict)


class Victim:
    """The network under attack: forward passes, gradients and counts for a changing subset of samples."""

    def __init__(
        self, model: Callable[[Tensor], Tensor], task: Task, n: int, device: torch.device, eot: int = 1
    ) -> None:
        self.model, self.task, self.eot = model, task, eot
        self.queries = torch.zeros(n, dtype=torch.long, device=device)
        self.zero_gradient = torch.zeros(n, dtype=torch.bool, device=device)
        self.broken = torch.zeros(n, dtype=torch.bool, device=device)

    def out(self, x: Tensor, rows: Tensor) -> Tensor:
        """Outputs without gradient."""
        self.queries[rows] += self.eot
        with torch.no_grad():
            return self._mean_out(x)

    def _mean_out(self, x: Tensor) -> Tensor:
        if self.eot == 1:
            return self.model(x)
        return torch.stack([self.model(x) for _ in range(self.eot)]).mean(0)

    def judge(self, x: Tensor, y: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(loss to maximise, success) without gradient."""
        out = self.out(x, rows)
        return self.loss(out, y, rows), self.succeeded(out, y)

    def succeeded(self, out: Tensor, y: Tensor) -> Tensor:
        """Success, never on outputs that aren't finite."""
        return self.task.success(out, y) & torch.isfinite(out).flatten(1).all(1)

    def loss(self, out: Tensor, y: Tensor, rows: Tensor, function: LossFunction | None = None) -> Tensor:
        """The quantity to maximise, one number a sample."""
        value = (function or self.task.loss)(out, y)
        if value.ndim != 1 or len(value) != len(out):
            raise InputError(
                "loss",
                given=f"shape {tuple(value.shape)}",
                expected=f"({len(out)},)",
                hint="a per-sample loss is needed: reduction='none'",
            )
        bad = ~torch.isfinite(value.detach())
        self.broken[rows] |= bad
        value = torch.where(bad, torch.zeros_like(value), value)
        return -value if self.task.targeted else value

    def gradient(
        self, x: Tensor, y: Tensor, rows: Tensor, function: LossFunction | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(loss, gradient with respect to x, outputs) at x; one forward and one backward pass."""
        self.queries[rows] += self.eot
        point = x.detach().requires_grad_(True)
        out = self._mean_out(point)
        if not out.requires_grad:
            raise InputError(
                "the model's output",
                given="no gradient path to its input",
                hint="remove no_grad/detach, or use bpda(...) for that step",
            )
        loss = self.loss(out, y, rows, function)
        (gradient,) = torch.autograd.grad(loss.sum(), point)
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        self.zero_gradient[rows] |= gradient.flatten(1).abs().amax(1) == 0
        return loss.detach(), gradient, out.detach()


def selected(state: State, active: Tensor) -> State:
    """A copy of an object whose attributes are tensors over samples (or None), with the active samples only."""
    part = object.__new__(type(state))
    for name, value in vars(state).items():
        setattr(part, name, None if value is None else value[active])
    return part


class Best:
    """Each sample's best try: the first success, or the highest loss until then."""

    def __init__(self, x: Tensor) -> None:
        n = len(x)
        self.x = x.clone()
        self.loss = torch.full((n,), -torch.inf, device=x.device, dtype=x.dtype)
        self.first = self.loss.clone()
        self.success = torch.zeros(n, dtype=torch.bool, device=x.device)
        self.steps = torch.zeros(n, dtype=torch.long, device=x.device)

    def offer(self, rows: Tensor, x: Tensor, loss: Tensor, success: Tensor, step: int) -> None:
        """Take the tries that are better."""
        unset = torch.isinf(self.first[rows])
        self.first[rows] = torch.where(unset, loss.to(self.first.dtype), self.first[rows])
        better = (success & ~self.success[rows]) | ((success == self.success[rows]) & (loss > self.loss[rows]))
        self.x[rows] = torch.where(column(better, x), x, self.x[rows])
        self.loss[rows] = torch.where(better, loss.to(self.loss.dtype), self.loss[rows])
        self.success[rows] |= success
        self.steps[rows] = step


class Batch(NamedTuple):
    """What is attacked: inputs, labels, a budget and a random stream's identity for each sample, and the user's wishes."""

    x: Tensor
    y: Tensor
    eps: Tensor
    mask: Tensor | None
    ids: Tensor
    callback: Callable[[int, Tensor], object] | None

    @property
    def rows(self) -> Tensor:
        """Indices of all samples."""
        return torch.arange(len(self.x), device=self.x.device)


class Attack:
    """Base of all attacks.

    Args:
        eps: budget, a number or (N,) at the call.
        norm: "linf", "l2" or "l1".
        loss: "ce", "margin", "dlr", "squared_error", or (out, y) -> (N,).
        success: (out, y) -> bool (N,); misclassification by default.
        targeted: y are targets, and the loss is lowered.
        bounds: pixel box; (-inf, inf) for standardised features.
        seed: of random starts, one stream a sample.
    """

    random: bool = True

    def __init__(
        self,
        eps: float | Tensor,
        norm: str = "linf",
        *,
        loss: str | LossFunction = "ce",
        success: SuccessFunction | None = None,
        targeted: bool = False,
        early_stop: bool = True,
        bounds: tuple[float, float] = (0.0, 1.0),
        seed: int = 0,
    ) -> None:
        self.eps, self.norm, self.bounds, self.seed = eps, require_norm(norm), bounds, seed
        self.early_stop = early_stop
        self.task = Task.of(loss, success, targeted)
        self.loss_name = loss if isinstance(loss, str) else getattr(loss, "__name__", "custom")
        if not bounds[0] < bounds[1]:
            raise InputError("bounds", given=bounds, expected="(low, high) with low < high")

    @property
    def name(self) -> str:
        """How tables call it."""
        return type(self).__name__

    def _refuse(self, options: dict[str, Any], **why: str) -> None:
        """Options of `Attack` that this attack can't follow are an error, never swallowed; False and None ask nothing."""
        for word, reason in why.items():
            if options.get(word):
                given = f"{type(self).__name__}({word}={options[word]!r})"
                raise InputError(word, given=given, expected=f"no {word}: {reason}", hint="PGD and APGD take it")

    def config(self) -> dict[str, Any]:
        """What determines its result, as plain data."""
        plain = (int, float, str, bool, type(None))
        return {"attack": self.name, "loss": self.loss_name} | {
            k: list(v) if isinstance(v, tuple) else v
            for k, v in sorted(vars(self).items())
            if isinstance(v, plain) or (isinstance(v, tuple) and all(isinstance(e, plain) for e in v))
        }

    def __call__(
        self,
        model: nn.Module,
        x: Float[Tensor, "n ..."],
        y: Tensor,
        *,
        mask: Tensor | None = None,
        eps: float | Tensor | None = None,
        ids: Tensor | None = None,
        through: Sequence[Callable[[Tensor], Tensor]] = (),
        eot: int = 1,
        quantize: int | None = None,
        callback: Callable[[int, Tensor], object] | None = None,
    ) -> AttackResult:
        """Attack a batch.

        Args:
            model: left as found (mode, gradients, parameters); attacked in eval mode.
            x: floats within bounds; y: labels, or what the loss takes.
            mask: (N, 1, H, W) or as x, 1 where pixels may change.
            eps: overrides the attack's budget; (N,) gives each sample its own.
            ids: (N,) identity of each sample, for its random stream (0..N-1 by default).
            through: differentiable pre-processing before the model; wrap others in `bpda`.
            eot: average over so many random forward passes (for models that are random on purpose).
            quantize: re-check success after rounding to so many levels above zero (255 for 8-bit images).
            callback: (step, success so far).

        Raises:
            InputError: x outside bounds, labels out of range, a loss that isn't per-sample, a random model without eot.
        """
        require_float_images(x)
        budget = self._budget(x, self.eps if eps is None else eps)
        self._check(x, y)
        if model.training:
            warnings.warn("the model is in train mode: it is attacked in eval mode and put back", stacklevel=2)
        x, y, budget = x.to(device_of(model)), y.to(device_of(model)), budget.to(device_of(model))
        ids = torch.arange(len(x)) if ids is None else ids
        with frozen(model):
            function = _chain(model, through)
            out = _probe(function, x, eot)
            if self.task.classification:
                require_labels(y, out.shape[1], len(x), "y")
            victim = Victim(function, self.task, len(x), x.device, eot)
            best = Best(x)
            self._run(victim, Batch(x, y, budget, None if mask is None else mask.to(x), ids, callback), best)
            if quantize is not None:
                self._requantize(victim, x, y, best, quantize)
        zero = norms(best.x - x, self.norm) if len(x) else budget
        flags = {
            "zero_gradients": float(victim.zero_gradient.double().mean()),
            "not_finite": float(victim.broken.double().mean()),
            "loss_never_rose": float(((best.loss <= best.first) & ~best.success).double().mean()),
        }
        sign = -1 if self.task.targeted else 1
        return AttackResult(best.x.detach(), best.success, sign * best.loss, zero, victim.queries, best.steps, flags)

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        """Offer tries within the budget to `best`."""
        raise NotImplementedError

    def _project(self, moved: Tensor, x: Tensor, eps: Tensor, mask: Tensor | None) -> Tensor:
        """The point of the ball, the box and the mask nearest to `moved`."""
        delta = moved - x
        if mask is not None:
            delta = delta * mask
        return (x + project(delta, x, eps, self.norm, self.bounds)).clamp(*self.bounds)

    def _offer_minimal(self, victim: Victim, batch: Batch, found: Tensor, best: Best, steps: int) -> None:
        """Offer what a minimal-norm search found: as it is where it fits the budget, else pulled back into it."""
        x, y, eps, mask = batch.x, batch.y, batch.eps, batch.mask
        rows = batch.rows
        fits = norms(found - x, self.norm) <= eps * (1 + 1e-6)
        point = torch.where(column(fits, x), found, self._project(found, x, eps, mask))
        best.offer(rows, point, *victim.judge(point, y, rows), steps)

    def _streams(self, ids: Tensor, x: Tensor, what: object = "") -> Streams:
        return Streams(self.seed, ids, f"{self.name}-{what}", device=x.device)

    def _budget(self, x: Tensor, eps: float | Tensor) -> Tensor:
        budget = torch.as_tensor(eps, dtype=x.dtype).reshape(-1)
        if not bool((budget >= 0).all()) or len(budget) not in (1, len(x)):
            raise InputError("eps", given=eps, expected="0 or more, one number or one a sample")
        return budget.expand(len(x)).clone()

    def _check(self, x: Tensor, y: Tensor) -> None:
        if len(x) == 0 or len(y) != len(x):
            raise InputError(
                "batch", given=f"{len(x)} inputs, {len(y)} labels", expected="as many labels as inputs, at least one"
            )
        low, high = float(x.min()), float(x.max())
        if low < self.bounds[0] - 1e-6 or high > self.bounds[1] + 1e-6:
            hint = (
                "divide 8-bit images by 255"
                if high > 2
                else "attacks act on pixels: put the normalisation into the model"
            )
            raise InputError("x", given=f"range {low:.4g}..{high:.4g}", expected=f"within {self.bounds}", hint=hint)

    def _requantize(self, victim: Victim, x: Tensor, y: Tensor, best: Best, levels: int) -> None:
        rows = torch.arange(len(x), device=x.device)
        best.x = (best.x * levels).round() / levels
        best.loss, best.success = victim.judge(best.x, y, rows)


def _chain(model: nn.Module, through: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    if not through:
        return model

    def composed(x: Tensor) -> Tensor:
        for step in through:
            x = step(x)
        return model(x)

    return composed


def _probe(function: Callable[[Tensor], Tensor], x: Tensor, eot: int) -> Tensor:
    """Outputs on two samples, twice: a model that answers differently needs averaging."""
    with torch.no_grad():
        first, second = function(x[:2]), function(x[:2])
    if eot == 1 and not torch.equal(first, second) and not torch.isnan(first).any():
        raise InputError(
            "the model",
            given="different outputs for the same input",
            expected="a deterministic model",
            hint="switch its randomness off, or pass eot=10",
        )
    return first


class _Bpda(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable, backward: Callable) -> Tensor:
        ctx.backward_function = backward
        ctx.save_for_backward(x)
        return function(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            point = x.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(ctx.backward_function(point), point, gradients[0])
        return gradient, None, None


def bpda(
    function: Callable[[Tensor], Tensor], surrogate: Callable[[Tensor], Tensor] = lambda x: x * 1
) -> Callable[[Tensor], Tensor]:
    """A step without useful gradient, with the surrogate's (the identity's) in its place on the way back."""
    return lambda x: _Bpda.apply(x, function, surrogate)
