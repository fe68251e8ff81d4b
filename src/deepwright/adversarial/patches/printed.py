"""Classical adversarial patches, pasted over images: universal or one an image, on any task.

Sources: arXiv 1712.09665 (universal patches under transformations), 1904.08653 (on objects, printable and smooth),
1806.02299 and 1906.11897 (away from objects).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.adversarial.aim import Aim, LossFunction, SuccessFunction, loss_name, require_task
from deepwright.adversarial.options import box, switch
from deepwright.adversarial.patches.pasting import (
    Placement,
    Places,
    pasted,
    total_variation,
    unprintable,
    usual_colours,
)
from deepwright.adversarial.probing import forward_of, probed
from deepwright.adversarial.rounding import working_dtype
from deepwright.adversarial.victim import NoGradientError
from deepwright.core.boxes import mean_average_precision
from deepwright.core.devices import back_to, device_of, dtype_of
from deepwright.core.errors import InputError, NotFittedError, unknown_name
from deepwright.core.inference import frozen, require_float_images
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_number, require_positive, require_whole
from deepwright.core.statistics import Interval, mcnemar, wilson
from deepwright.core.tasks import CandidateDetection, Detection, DetectionBatch, Segmentation, Task

_MANY = 1_000_003  # identities of measured images begin beyond those of fitted ones


@dataclass
class PatchReport:
    """What a patch does on images that it wasn't made from, beside patches that know nothing, at the same places.

    Attributes:
        n: images that stand without a patch; the others aren't counted.
        fooled: share of them that the patch fools.
        random: that a patch of uniform noise fools.
        grey: that a patch of the middle of the range fools.
        p_value: of McNemar's test, the patch against the noise.
        covered: mean share of an image that is covered.
        rates: of detectors, by kind of patch ("none", "patch", "random", "grey"): share of objects that are missed,
            false alarms an image, and average precision at the task's overlap.
        by_image: by kind of patch, whether each of the n is fooled.
    """

    n: int
    fooled: Interval
    random: Interval
    grey: Interval
    p_value: float
    covered: float
    rates: dict[str, dict[str, float]] = field(default_factory=dict)
    by_image: dict[str, list[bool]] = field(default_factory=dict)


class AdversarialPatch:
    """A patch that is made on one set of images, under drawn placements, and measured on another.

    Raised is the task's loss of images with the patch, less `smooth` times its total variation and `printable` times
    the distance of its pixels from colours that a printer has; by Adam, within the pixel range. Label maps don't count
    under the patch.

    Args:
        placement: where it may lie and what may happen to it.
        task: what the network's outputs mean; None for classes.
        pixels: the patch's own sides.
        loss: one of the task's `attack_losses`, or (out, y) -> (N,).
        success: (out, y) -> bool (N,); the task's `fooled` by default.
        targeted: y are wanted rather than true.
        steps: of each fit: batches are walked over until so many are done.
        lr: of Adam, as a share of the pixel range.
        smooth: weight of the total variation.
        printable: weight of unprintable colours.
        colours: (k, channels) that a printer has; `usual_colours` by default.
        samples: placements of each image at a step.
        bounds: range of pixels.
        seed: of the start and the placements.

    Raises:
        InputError: options out of range, a loss that the task doesn't have.
    """

    def __init__(
        self,
        placement: Placement = Placement(),  # noqa: B008 - frozen
        *,
        task: Task | None = None,
        pixels: int = 32,
        loss: str | LossFunction | None = None,
        success: SuccessFunction | None = None,
        targeted: bool = False,
        steps: int = 100,
        lr: float = 0.05,
        smooth: float = 0.0,
        printable: float = 0.0,
        colours: Tensor | None = None,
        samples: int = 1,
        bounds: tuple[float, float] = (0.0, 1.0),
        seed: int = 0,
    ) -> None:
        if not isinstance(placement, Placement):
            raise InputError("placement", given=type(placement).__name__, expected="patches.Placement(...)")
        require_task(task)
        if placement.where == "objects" and not isinstance(task, Detection):
            given = "no task" if task is None else task.kind
            raise InputError("where", given=f"'objects' for {given}", expected="a detection task, which has boxes")
        require_whole(1, pixels=pixels, steps=steps, samples=samples)
        require_whole(seed=seed)
        require_positive(lr=lr)
        require_number(0, smooth=smooth, printable=printable)
        named = loss_name(task, loss, "ce") if loss is None or isinstance(loss, str) else loss
        if success is None and not isinstance(named, str) and task is None:
            expected = "(out, y) -> bool (N,), or task=..."
            raise InputError("success", given="None beside a loss of your own", expected=expected)
        self.aim = Aim(task, named, success, switch("targeted", targeted))
        self.placement, self.pixels, self.steps, self.lr = placement, int(pixels), int(steps), float(lr)
        self.smooth, self.printable, self.colours = float(smooth), float(printable), colours
        self.samples, self.bounds, self.seed = int(samples), box(bounds), int(seed)
        self.patch: Tensor | None = None

    @property
    def name(self) -> str:
        """How tables call it."""
        return type(self).__name__

    def fit(self, model: nn.Module, batches: Iterable[tuple[Tensor, Any]]) -> AdversarialPatch:
        """Make one patch for all images.

        Args:
            model: left as found; attacked in eval mode.
            batches: (images within bounds, targets), to be walked over again.

        Returns:
            itself, with `patch` (1, channels, pixels, pixels), where the last batch was.

        Raises:
            InputError: no batches, one-shot iterators, images that no patch can be pasted into.
        """
        if iter(batches) is batches:
            raise InputError("batches", given="an iterator", expected="something to walk over again", hint="list(...)")
        state: _Ascent | None = None
        done = 0
        while done < self.steps:
            start = done
            number = 0
            for x, y in batches:
                if state is None:
                    state = self._ascent(x, 1)
                ids = torch.arange(number, number + len(x))
                number += len(x)
                self._step(model, x, y, ids, state, done)
                done += 1
                if done == self.steps:
                    break
            if done == start:
                raise InputError("batches", given="none", expected="at least one")
        assert state is not None
        if not state.steps:
            raise InputError("batches", given="no object in any", expected="one at least, for a patch on objects")
        self.patch = back_to(state.patch.detach(), x)
        return self

    def for_each(
        self, model: nn.Module, x: Float[Tensor, "n c h w"], y: Any
    ) -> tuple[Float[Tensor, "n c h w"], Bool[Tensor, " n"], Float[Tensor, "n c p p"]]:
        """A patch for each image: (images with it as it lies at rest, whether each is fooled, the patches).

        Args:
            model: left as found.
            x: images within bounds.
            y: targets.
        """
        state, ids = self._ascent(x, len(x)), torch.arange(len(x))
        for step in range(self.steps):
            self._step(model, x, y, ids, state, step)
        patch = back_to(state.patch.detach(), x)
        shown, fooled, _ = self._shown(model, x, y, ids, patch, self.placement.still(), 0)
        return shown, fooled, patch

    def paste(
        self, x: Float[Tensor, "n c h w"], y: Any = None, ids: Int64[Tensor, " n"] | None = None
    ) -> tuple[Float[Tensor, "n c h w"], Bool[Tensor, "n h w"]]:
        """Images with the fitted patch at drawn places, and the pixels that it covers.

        Args:
            x: images.
            y: their boxes, for patches on objects.
            ids: (N,) identity of each image, for the draw.

        Raises:
            NotFittedError: before `fit`.
        """
        if self.patch is None:
            raise NotFittedError(self.name)
        self._require(x)
        ids = torch.arange(len(x)) if ids is None else ids
        objects = y if self.placement.where == "objects" else None
        if objects is not None:
            objects = self.aim.check_targets(objects, len(x))
        places = self.placement.draw(self.seed, ids + _MANY, 0, (x.shape[2], x.shape[3]), objects, x.device)
        return pasted(x, self.patch.to(x), places, self.bounds)

    def measure(self, model: nn.Module, batches: Iterable[tuple[Tensor, Any]]) -> PatchReport:
        """What the fitted patch does on other images, beside noise and grey at the same drawn places.

        Args:
            model: left as found.
            batches: (images, targets) that it wasn't fitted on.

        Raises:
            NotFittedError: before `fit`.
            InputError: no batches.
        """
        if self.patch is None:
            raise NotFittedError(self.name)
        low, high = self.bounds
        noise = Streams(self.seed, 1, "noise patch").uniform(*self.patch.shape[1:]).to(self.patch)
        patches = {
            "patch": self.patch,
            "random": low + (high - low) * noise,
            "grey": torch.full_like(self.patch, (low + high) / 2),
        }
        stands: list[Tensor] = []
        fooled: dict[str, list[Tensor]] = {name: [] for name in patches}
        shares: list[Tensor] = []
        outs: dict[str, list[tuple[Any, Any]]] = {name: [] for name in ("none", *patches)}
        start = 0
        for x, y in batches:
            ids = torch.arange(start, start + len(x)) + _MANY
            start += len(x)
            for name, patch in patches.items():
                shown, reached, seen = self._shown(model, x, y, ids, patch, self.placement, 0)
                fooled[name].append(reached.cpu())
                outs[name].append(seen)
                if name == "patch":
                    shares.append((shown != x).any(1).flatten(1).double().mean(1).cpu())
            reached, seen = self._as_they_are(model, x, y)
            stands.append(~reached.cpu())
            outs["none"].append(seen)
        if not stands:
            raise InputError("batches", given="none", expected="at least one")
        standing = torch.cat(stands)
        each = {name: torch.cat(rows)[standing] for name, rows in fooled.items()}
        n = int(standing.sum())
        nothing = Interval(float("nan"), float("nan"), float("nan"))
        at = {name: wilson(int(rows.sum()), n) if n else nothing for name, rows in each.items()}
        p = mcnemar(each["patch"], each["random"]) if n else float("nan")
        covered = float(torch.cat(shares).mean())
        by_image = {name: rows.tolist() for name, rows in each.items()}
        return PatchReport(n, at["patch"], at["random"], at["grey"], p, covered, self._rates(outs), by_image)

    def _rates(self, outs: dict[str, list[tuple[Any, Any]]]) -> dict[str, dict[str, float]]:
        task = self.aim.task
        if not isinstance(task, Detection):
            return {}
        rates = {}
        for name, pairs in outs.items():
            guess = task.join([_final(task, out) for out, _ in pairs])
            truth = DetectionBatch(one for _, y in pairs for one in y)
            if any(len(t) for t in truth):
                precision = mean_average_precision(guess, truth, task.iou)
                rates[name] = task.error_rates(guess, truth) | {"average_precision": precision}
        return rates

    def _as_they_are(self, model: nn.Module, x: Tensor, y: Any) -> tuple[Tensor, tuple[Any, Any]]:
        device = device_of(model)
        x = x.to(device)
        with frozen(model), torch.no_grad():
            forward, aim, y = self._opened(model, x, y)
            out = aim.read(forward(x), len(x))
            if not bool(aim.finite(out).all()):
                raise InputError(
                    "the network's output", given="NaN or infinity for images as they are", expected="numbers"
                )
            return aim.reached(out, y), (out, y)

    def _shown(
        self, model: nn.Module, x: Tensor, y: Any, ids: Tensor, patch: Tensor, placement: Placement, step: int
    ) -> tuple[Tensor, Tensor, tuple[Any, Any]]:
        """(images with the patch, whether each is fooled, what the network says of them and what was true)."""
        self._require(x)
        device = device_of(model)
        with frozen(model), torch.no_grad():
            forward, aim, y = self._opened(model, x.to(device), y)
            objects = y if placement.where == "objects" else None
            places = placement.draw(self.seed, ids, step, (x.shape[2], x.shape[3]), objects, device)
            shown, covered = pasted(x.to(device), patch.to(device, x.dtype), places, self.bounds)
            seen = aim.read(forward(shown), len(x))
            y = self._uncovered(y, covered)
            return back_to(shown, x), back_to(aim.reached(seen, y), x), (seen, y)

    def _step(self, model: nn.Module, x: Tensor, y: Any, ids: Tensor, state: _Ascent, step: int) -> None:
        self._require(x)
        device = device_of(model)
        with frozen(model), torch.enable_grad():
            x = x.to(device)
            state.to(device)
            forward, aim, y = self._opened(model, x, y)
            objects = y if self.placement.where == "objects" else None
            if objects is not None and not any(map(len, objects)):
                return  # nothing to lie on
            patch = state.patch.detach().requires_grad_(True)
            value = x.new_zeros(len(x))
            for s in range(self.samples):
                places = self._drawn(ids, step * self.samples + s, x, objects)
                shown, covered = pasted(x, patch, places, self.bounds)
                out = aim.read(forward(shown), len(x))
                value = value + aim.value(out, self._uncovered(y, covered)) / self.samples
            if value.shape != (len(x),):
                given = f"shape {tuple(value.shape)}"
                raise InputError("loss", given=given, expected=f"({len(x)},)", hint="reduction='none'")
            if not value.requires_grad:
                hint = "remove no_grad/detach; patches follow gradients"
                raise NoGradientError("the model's output", given="no gradient path to its input", hint=hint)
            total = torch.nan_to_num(value, 0.0, 0.0, 0.0).sum() / (len(x) if len(patch) == 1 else 1)
            if self.smooth:
                total = total - self.smooth * total_variation(patch).sum()
            if self.printable:
                colours = usual_colours(x.shape[1], self.bounds) if self.colours is None else self.colours
                total = total - self.printable * unprintable(patch, colours).sum()
            (g,) = torch.autograd.grad(total, patch)
        state.ascend(torch.nan_to_num(g, 0.0, 0.0, 0.0), self.lr, self.bounds)

    def _drawn(self, ids: Tensor, step: int, x: Tensor, objects: Any) -> Places:
        return self.placement.draw(self.seed, ids, step, (x.shape[2], x.shape[3]), objects, x.device)

    def _opened(self, model: nn.Module, x: Tensor, y: Any) -> tuple[Callable[[Tensor], Any], Aim, Any]:
        forward = forward_of(model, (), dtype_of(model, x.dtype))
        aim, _, forward = probed(self.aim, forward, x, y, 1)
        if isinstance(aim.task, Segmentation):
            y = aim.task.label_maps(y, len(x), "y")
        else:
            y = aim.check_targets(y, len(x))
        return forward, aim, y.to(x.device) if hasattr(y, "to") else y

    def _uncovered(self, y: Any, covered: Tensor) -> Any:
        """Label maps without the positions under a patch."""
        task = self.aim.task
        if not isinstance(task, Segmentation):
            return y
        if task.ignore_index is None:
            hint = "Segmentation(classes, ignore_index=255)"
            raise InputError(
                "task", given="no ignore_index", expected="one: positions under a patch don't count", hint=hint
            )
        return y.masked_fill(covered, task.ignore_index)

    def _ascent(self, x: Tensor, many: int) -> _Ascent:
        self._require(x)
        low, high = self.bounds
        shape = (x.shape[1], self.pixels, self.pixels)
        start = Streams(self.seed, many, "patch start").uniform(*shape)
        return _Ascent((low + (high - low) * start).to(x.device, working_dtype(x.dtype)))

    def _require(self, x: Any) -> None:
        if not isinstance(x, Tensor) or x.ndim != 4 or not len(x):
            given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise InputError("x", given=given, expected="images (N, channels, height, width), at least one")
        require_float_images(x)
        low, high = float(x.min()), float(x.max())
        if low < self.bounds[0] - 1e-6 or high > self.bounds[1] + 1e-6:
            hint = "patches act on pixels: put the normalisation into the model"
            raise InputError("x", given=f"range {low:.4g}..{high:.4g}", expected=f"within {self.bounds}", hint=hint)
        if self.patch is not None and self.patch.shape[1] != x.shape[1]:
            given = f"{x.shape[1]} channels for a patch of {self.patch.shape[1]}"
            raise InputError("x", given=given, expected="as many channels")


@dataclass
class _Ascent:
    """Adam on patches, kept within the range."""

    patch: Tensor
    first: Tensor | None = None
    second: Tensor | None = None
    steps: int = 0

    def to(self, device: torch.device) -> None:
        """Bring everything to where the network lives."""
        if self.patch.device != device:
            self.patch = self.patch.to(device)
            self.first = None if self.first is None else self.first.to(device)
            self.second = None if self.second is None else self.second.to(device)

    def ascend(self, g: Tensor, lr: float, bounds: tuple[float, float]) -> None:
        """One step up."""
        self.steps += 1
        first = torch.zeros_like(g) if self.first is None else self.first
        second = torch.zeros_like(g) if self.second is None else self.second
        self.first, self.second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g.square()
        mean, square = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        step = lr * (bounds[1] - bounds[0]) * mean / (square.sqrt() + 1e-12)
        self.patch = (self.patch + step).clamp(*bounds).detach()


class AdvPatch(AdversarialPatch):
    """On each object, smooth and printable, so that it isn't found any more; arXiv 1904.08653.

    Args:
        task: `CandidateDetection(...)`.
        size: side over an object's longer side.
        options: of `AdversarialPatch`, without placement and loss.
    """

    def __init__(self, task: CandidateDetection, size: float = 0.6, **options: Any) -> None:
        options = {"smooth": 0.1, "printable": 0.05, **_known(options)}
        super().__init__(Placement("objects", size), task=task, loss="vanish", **options)


class DPatch(AdversarialPatch):
    """Upright anywhere in the image, against all that the detector finds; arXiv 1806.02299.

    Raised are missed objects and false alarms together. What lies outside the patch and further away than the detector
    looks can't be hidden by it: of such a patch read the average precision and the false alarms in `PatchReport.rates`,
    which misses alone don't tell from noise in its place.

    Args:
        task: `CandidateDetection(...)`.
        size: side over the image's shorter side.
        options: of `AdversarialPatch`, without placement and loss.
    """

    robust = False

    def __init__(self, task: CandidateDetection, size: float = 0.3, **options: Any) -> None:
        placement = Placement("anywhere", size)
        chosen = placement if self.robust else placement.still()
        super().__init__(chosen, task=task, loss=MissedAndFalse(task), **_known(options))


class RobustDPatch(DPatch):
    """`DPatch` that is turned, scaled and lit anew at each step; arXiv 1906.11897. Arguments are those of `DPatch`."""

    robust = True


@dataclass(frozen=True)
class MissedAndFalse:
    """-log of objects' scores, plus the summed cross-entropy of candidates of nothing: false alarms, many and sure.

    Their smooth maximum would do with a single one, which any noise has already.

    Args:
        task: reads candidates.
    """

    task: CandidateDetection

    def __post_init__(self) -> None:
        if not isinstance(self.task, CandidateDetection):
            given = "no task" if self.task is None else type(self.task).__name__
            raise InputError("task", given=given, expected="CandidateDetection(classes)")

    def __call__(self, out: Any, y: DetectionBatch) -> Float[Tensor, " n"]:
        """One number an image.

        Args:
            out: candidates.
            y: true boxes.
        """
        mine, _ = self.task.belonging(out, y)
        false = torch.where(mine.any(2, keepdim=True), 0.0, F.softplus(out[..., 4:]))
        return self.task.vanished(out, y) + false.flatten(1).sum(1)


def _known(options: dict[str, Any]) -> dict[str, Any]:
    """Options of `AdversarialPatch` that a patch on detectors leaves open."""
    known = set(inspect.signature(AdversarialPatch).parameters) - {"placement", "task", "loss"}
    for name in options:
        if name not in known:
            raise unknown_name("option of a patch on detectors", name, known)
    return options


def _final(task: Detection, out: Any) -> DetectionBatch:
    return task.final(out) if isinstance(task, CandidateDetection) else out
