"""The one attack engine: what every attack shares.

An `Attack` is called with (model, x, y) and gives an `AttackResult`. The base class checks the input, freezes the
model, keeps each sample's best try, and restores everything; a subclass only says how the perturbation moves (`_run`).
Attacks work in pixel space: normalisation belongs inside the model.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn

from deepwright.adversarial.aim import Aim, LossFunction, SuccessFunction, loss_name, may_have_classes, require_task
from deepwright.adversarial.options import box, budget, steps_before, switch
from deepwright.adversarial.probing import forward_of, probed
from deepwright.adversarial.projections import column, norms, project, require_norm
from deepwright.adversarial.rounding import require_on_levels, towards, working_dtype
from deepwright.adversarial.settling import settle
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.devices import back_to, device_of, dtype_of
from deepwright.core.errors import InputError
from deepwright.core.inference import frozen, require_float_images
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import Segmentation, Task


@dataclass
class AttackResult:
    """Per sample: the adversarial input, whether it fools, and what it took; where x was.

    Attributes:
        x_adv: as x, in its dtype; an unsuccessful sample keeps its strongest try.
        success: (N,) whether the attack's aim is reached (within the budget, and after quantisation if asked).
        loss: (N,) at x_adv; float32 for inputs in half precision, as `norm`.
        norm: (N,) of x_adv - x.
        queries: (N,) forward passes.
        steps: (N,) iterations.
        flags: shares of samples with a zero gradient, with outputs that aren't finite, whose loss never rose; and that
            were skipped, by attacks that have no meaning on some.
        by_attack: of a suite, name of each attack -> (N,) whether it fooled the sample. A later attack is shown only
            what its predecessors left, so its row isn't what it would fool alone.
    """

    x_adv: Float[Tensor, "n ..."]
    success: Bool[Tensor, " n"]
    loss: Float[Tensor, " n"]
    norm: Float[Tensor, " n"]
    queries: Int64[Tensor, " n"]
    steps: Int64[Tensor, " n"]
    flags: dict[str, float] = field(default_factory=dict)
    by_attack: dict[str, Tensor] = field(default_factory=dict)


class Attack:
    """Base of all attacks.

    Args:
        eps: budget, a number; (N,) at the call.
        norm: "linf", "l2" or "l1".
        task: what the network's outputs mean (`deepwright.core.tasks`); None for one of as many classes as there are
            output columns.
        loss: one of the task's `attack_losses`, its first (for some attacks its margin) by default; or
            (out, y) -> (N,) on what the task reads.
        success: (out, y) -> bool (N,); the task's `fooled` by default: not y any more, or for targets there. With
            two functions and no task, outputs and y go to them as they are.
        targeted: y are wanted rather than true.
        early_stop: leave a sample alone once the aim is reached.
        bounds: pixel box; (-inf, inf) for standardised features.
        seed: of random starts, one stream a sample.
    """

    needs_classes: ClassVar[str] = ""
    """Why it only applies where each sample has one class; empty where it applies to every task."""
    applies_to: ClassVar[tuple[type[Task], ...]] = ()
    """The kinds of task that it is made for; none named where the outputs' form doesn't matter."""
    needs_clean: ClassVar[bool] = False
    """Whether it begins with the outputs at x, which its batch then has."""
    keeps_what_holds: bool = True
    """Whether a sample where the aim holds already comes back as it is."""
    goes_on: bool = False
    """Whether it may be changed all the same: label maps without early stop, which can always be read worse."""
    preferred_loss: ClassVar[str] = "ce"
    refused: ClassVar[Mapping[str, str]] = {}
    """Arguments that it doesn't look at -> why: any value but the default is an error, never swallowed."""

    def __init__(
        self,
        eps: float | Tensor,
        norm: str = "linf",
        *,
        task: Task | None = None,
        loss: str | LossFunction | None = None,
        success: SuccessFunction | None = None,
        targeted: bool = False,
        early_stop: bool = True,
        bounds: tuple[float, float] = (0.0, 1.0),
        seed: int = 0,
    ) -> None:
        self._refuse({"loss": loss, "targeted": targeted, "early_stop": early_stop, "seed": seed})
        budget(eps, None, torch.float64)
        require_whole(seed=seed)
        self.eps, self.norm, self.bounds, self.seed = eps, require_norm(norm), box(bounds), int(seed)
        self.early_stop = switch("early_stop", early_stop)
        self.aim = self._aimed(task, loss, success, switch("targeted", targeted))
        self.loss_name = self.aim.loss if isinstance(self.aim.loss, str) else getattr(loss, "__name__", "custom")
        self.goes_on = isinstance(self.task, Segmentation) and not self.early_stop

    def _aimed(
        self, task: Task | None, loss: str | LossFunction | None, success: SuccessFunction | None, targeted: bool
    ) -> Aim:
        require_task(task)
        if self.needs_classes and not may_have_classes(task):
            raise self._does_not_apply(task)
        if self.applies_to and not isinstance(task, self.applies_to):
            given = "no task" if task is None else type(task).__name__
            wanted = " or ".join(f"task={kind.__name__}(...)" for kind in self.applies_to)
            name = type(self).__name__
            raise InputError(name, given=given, expected=f"{wanted}: it does not apply to anything else")
        if loss is None or isinstance(loss, str):
            return Aim(task, loss_name(task, loss, self.preferred_loss), success, targeted)
        if task is None and success is None:
            raise InputError(
                "success", given="None beside a loss of your own", expected="(out, y) -> bool (N,), or task=..."
            )
        return Aim(task, loss, success, targeted)

    def _does_not_apply(self, task: Task | None) -> InputError:
        kind = "outputs without a task" if task is None else task.kind
        return InputError(
            self.name,
            given=kind,
            expected=f"one class a sample: it does not apply, since {self.needs_classes}",
            hint="PGD, APGD and Square take every task",
        )

    @property
    def task(self) -> Task | None:
        """What outputs mean; None for as many classes as the network has columns."""
        return self.aim.task

    @property
    def name(self) -> str:
        """How tables call it."""
        return type(self).__name__

    def _refusals(self) -> Mapping[str, str]:
        """Those of `refused`, and of an attack that depends on how it is made."""
        return self.refused

    def _refuse(self, options: Mapping[str, Any]) -> None:
        defaults = inspect.signature(Attack).parameters
        for word, reason in self._refusals().items():
            default = defaults[word].default
            if options[word] != default:
                given = f"{type(self).__name__}({word}={options[word]!r})"
                expected = f"{word} left at {default!r}: {reason}"
                raise InputError(word, given=given, expected=expected, hint=f"PGD and APGD take {word}")

    def __call__(
        self,
        model: nn.Module,
        x: Float[Tensor, "n ..."],
        y: Any,
        *,
        mask: Tensor | None = None,
        eps: float | Tensor | None = None,
        ids: Int64[Tensor, " n"] | None = None,
        through: Sequence[Callable[[Tensor], Tensor]] = (),
        eot: int = 1,
        quantize: int | None = None,
        callback: Callable[[int, Tensor], object] | None = None,
    ) -> AttackResult:
        """Attack a batch.

        Args:
            model: left as found (mode, gradients, parameters); attacked in eval mode, where it lives.
            x: floats within bounds.
            y: targets as the task takes them (labels (N,) where none was named), true ones or, targeted, wanted ones.
            mask: of a shape that broadcasts to x's, 1 where numbers may change, 0 elsewhere.
            eps: overrides the attack's budget; (N,) gives each sample its own.
            ids: (N,) identity of each sample, for its random stream (0..N-1 by default).
            through: differentiable pre-processing before the model; wrap others in `bpda`.
            eot: average over so many random forward passes (for models that are random on purpose).
            quantize: round x_adv to so many levels above zero (255 for 8-bit images), on which x must be, within the
                budget: to the nearest levels, or where they leave the ball towards x. Success is checked after it;
                where rounding loses it, it is looked for a little farther from x, as far as the budget goes.
            callback: (step, success so far).

        Returns:
            tensors where x is; x_adv in its dtype, every coordinate rounded no farther from x than it was found. Where
            the aim holds without an attack, x itself (but for transfer attacks, whose aim is another network, and for
            label maps without early_stop: a mean IoU can always fall further); so too where an attack ends in numbers
            that aren't finite.

        Raises:
            InputError: x outside bounds, targets or outputs that the task can't read, a task that the attack doesn't
                apply to, a loss that isn't per-sample, a random model without eot.
        """
        self.check_inputs(x, y)
        radii = self._budget(x, self.eps if eps is None else eps)
        ids = torch.arange(len(x)) if ids is None else ids
        through = steps_before(through)
        _require_options(x, mask, ids, eot, quantize)
        if model.training:
            warnings.warn("the model is in train mode: it is attacked in eval mode and put back", stacklevel=2)
        with frozen(model):
            victim, y = self._victim(model, x, y, through, eot)
            work = victim.x.to(radii.dtype)
            best = Best(work)
            mask = None if mask is None else mask.to(work).expand(len(x), *mask.shape[1:])
            rows = torch.arange(len(x), device=work.device)
            out = victim.out(work, rows)
            y = self._wanted(out, y)
            batch = Batch(work, y, radii.to(work.device), mask, ids, callback, out if self.needs_clean else None)
            loss, reached = victim.loss(out, y, rows), victim.succeeded(out, y)
            best.first = loss.to(best.loss.dtype)
            skipped = self._skipped(out, y, reached)
            del out
            self._run(victim, batch, best)
            if quantize is not None:
                settle(victim, batch, best, quantize, self.norm, self.bounds)
            if self.keeps_what_holds:  # of label maps that go on: where it did better than what was found
                best.stay(reached & ~best.success if self.goes_on else reached, work, loss, reached)
            best.stay(~torch.isfinite(best.x).flatten(1).all(1), work, loss, reached)
            if skipped is not None:
                best.stay(skipped, work, loss, torch.zeros_like(reached))
        return _moved(self._result(victim, best, skipped), x.device)

    def _wanted(self, out: Any, y: Any) -> Any:
        """The targets that are followed, where they hang on what the network says at x."""
        return y

    def _skipped(self, out: Any, y: Any, reached: Tensor) -> Tensor | None:
        """(N,) samples on which the attack has no meaning: they come back as they are, and are no success."""
        return None

    def _victim(
        self, model: nn.Module, x: Tensor, y: Any, through: Sequence[Callable[[Tensor], Tensor]], eot: int
    ) -> tuple[Victim, Any]:
        """The network on x behind its task, and targets as the task takes them; the model is frozen around it."""
        device = device_of(model)
        forward = forward_of(model, through, dtype_of(model, x.dtype))
        x = x.to(device)
        aim, read, forward = probed(self.aim, forward, x, y, eot)
        if self.needs_classes and aim.class_logits(read) is None:
            raise self._does_not_apply(aim.task)
        y = self._taken(aim, y, len(x))
        if isinstance(y, Tensor):
            real = y.is_floating_point() and not aim.raw
            y = y.to(device, working_dtype(x.dtype)) if real else y.to(device)
        elif hasattr(y, "to"):
            y = y.to(device)
        return Victim(forward, aim, x, eot), y

    def _taken(self, aim: Aim, y: Any, n: int) -> Any:
        """Targets of a call; those of a share (`check_targets`) may have to be more."""
        return aim.check_targets(y, n)

    def _result(self, victim: Victim, best: Best, skipped: Tensor | None) -> AttackResult:
        found, clean = towards(best.x.detach(), victim.x), victim.x.to(best.x.dtype)
        shares = {
            "zero_gradients": victim.zero_gradient,
            "not_finite": victim.broken,
            "loss_never_rose": (best.loss <= best.first) & ~best.success,
        }
        if skipped is not None:  # what no attack was made on is no sign of anything
            shares = {name: rows & ~skipped for name, rows in shares.items()} | {"skipped": skipped}
        flags = {name: float(rows.double().mean()) for name, rows in shares.items()}
        sign = -1 if self.aim.targeted else 1
        size = norms(found.to(clean.dtype) - clean, self.norm)
        return AttackResult(found, best.success, sign * best.loss, size, victim.queries, best.steps, flags)

    def stands(
        self,
        model: nn.Module,
        x: Float[Tensor, "n ..."],
        y: Any,
        *,
        through: Sequence[Callable[[Tensor], Tensor]] = (),
        eot: int = 1,
    ) -> Bool[Tensor, " n"]:
        """Which samples stand without an attack: outputs are finite, and the aim isn't reached.

        Args:
            model: left as found.
            x: inputs.
            y: targets as for a call.
            through: as for a call.
            eot: as for a call.

        Returns:
            for each sample, where x is.

        Raises:
            InputError: as for a call.
        """
        victim, out, y = self._looked(model, x, y, through, eot)
        return (victim.aim.finite(out) & ~victim.succeeded(out, y)).to(x.device)

    def measured(
        self,
        model: nn.Module,
        x: Float[Tensor, "n ..."],
        y: Any,
        measure: Callable[[Any, Any], Tensor],
        *,
        through: Sequence[Callable[[Tensor], Tensor]] = (),
        eot: int = 1,
    ) -> Shaped[Tensor, "n ..."]:
        """What some measure says of inputs as they are.

        Args:
            model: left as found.
            x: inputs.
            y: targets as for a call.
            measure: (outputs as the task reads them, targets as it takes them) -> a row a sample.
            through: as for a call.
            eot: as for a call.

        Returns:
            the rows, where x is.

        Raises:
            InputError: as for a call.
        """
        _, out, y = self._looked(model, x, y, through, eot)
        return measure(out, y).to(x.device)

    def _looked(
        self, model: nn.Module, x: Tensor, y: Any, through: Sequence[Callable[[Tensor], Tensor]], eot: int
    ) -> tuple[Victim, Any, Any]:
        """The network, what it says of inputs as they are, and the targets that are followed."""
        self.check_inputs(x, y)
        through = steps_before(through)
        require_whole(1, eot=eot)
        with frozen(model):
            victim, y = self._victim(model, x, y, through, eot)
            out = victim.out(victim.x.to(working_dtype(x.dtype)), torch.arange(len(x), device=victim.x.device))
        return victim, out, self._wanted(out, y)

    def check_targets(self, y: Any, n: int) -> Any:
        """Targets as the task takes them, so that they can be indexed by rows; as they are without a task.

        Args:
            y: as for a call.
            n: number of samples.
        """
        return self.aim.check_targets(y, n)

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
        point = torch.where(column(fits, x), found.clamp(*self.bounds), self._project(found, x, eps, mask))
        best.offer(rows, point, *victim.judge(point, y, rows), steps)

    def _streams(self, ids: Tensor, x: Tensor, what: object = "") -> Streams:
        return Streams(self.seed, ids, f"{self.name}-{what}", device=x.device)

    def _budget(self, x: Tensor, eps: float | Tensor) -> Tensor:
        return budget(eps, len(x), working_dtype(x.dtype)).expand(len(x)).clone()

    def check_inputs(self, x: Any, y: Any) -> None:
        """Refuse what no network could be attacked on.

        Args:
            x: as for a call.
            y: as for a call.

        Raises:
            InputError: no samples, another number of targets, numbers that aren't finite or outside of the box.
        """
        if not isinstance(x, Tensor) or x.ndim < 2:
            raise InputError("x", given=_described(x), expected="a tensor (N, ...) of one input a sample")
        require_float_images(x)
        single = isinstance(y, Tensor) and y.ndim == 0
        count = len(y) if hasattr(y, "__len__") and not single else 0
        if len(x) == 0 or count != len(x):
            raise InputError(
                "batch", given=f"{len(x)} inputs, {count} labels", expected="as many labels as inputs, at least one"
            )
        low, high = float(x.min()), float(x.max())
        if low < self.bounds[0] - 1e-6 or high > self.bounds[1] + 1e-6:
            hint = (
                "divide 8-bit images by 255"
                if high > 2
                else "attacks act on pixels: put the normalisation into the model"
            )
            raise InputError("x", given=f"range {low:.4g}..{high:.4g}", expected=f"within {self.bounds}", hint=hint)


def _moved(result: AttackResult, device: torch.device) -> AttackResult:
    return replace(result, **{f.name: back_to(getattr(result, f.name), device) for f in fields(result)})


def _described(value: Any) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _require_options(x: Tensor, mask: Tensor | None, ids: Tensor, eot: int, quantize: int | None) -> None:
    """Refuse options of a call that don't fit its inputs."""
    if mask is not None and not (
        isinstance(mask, Tensor)
        and mask.ndim == x.ndim
        and all(m in (1, size) for m, size in zip(mask.shape, x.shape, strict=True))
    ):
        raise InputError("mask", given=_described(mask), expected=f"one that broadcasts to {tuple(x.shape)}")
    if mask is not None and not bool(((mask >= 0) & (mask <= 1)).all()):
        raise InputError("mask", given="numbers outside 0..1, or NaN", expected="1 where numbers may change, else 0")
    if not isinstance(ids, Tensor) or tuple(ids.shape) != (len(x),) or ids.is_floating_point() or ids.is_complex():
        raise InputError("ids", given=_described(ids), expected=f"whole numbers ({len(x)},), one a sample")
    require_whole(1, eot=eot)
    if quantize is not None:
        require_whole(1, quantize=quantize)
        require_on_levels(x, quantize)
