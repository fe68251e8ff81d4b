"""Attenuation patches against detectors: energy is only taken away, within each object, and exactly so much of it.

After "Towards Physically Realizable Adversarial Attenuation Patch against SAR Object Detection", arXiv 2604.00887, of
which the released code was read and the text wasn't. Two of its defects aren't copied: it adds the gradient with
respect to the image to what is subtracted from it, which walks downhill, and its bound doesn't hold the energy.
`constraint="loose"` and `literal=True` show both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float, Int64
from torch import Tensor, nn

from deepwright.adversarial.options import box, switch
from deepwright.adversarial.patches.assembling import assembled, joined, packed, unpacked
from deepwright.adversarial.patches.energy import projected
from deepwright.adversarial.patches.moving import OPTIMIZERS, STEPS, LooseMover, Mover
from deepwright.adversarial.patches.objectives import (
    LOSSES,
    Scene,
    hidden_objects,
    strongest_candidates,
)
from deepwright.adversarial.patches.physical import PSF
from deepwright.adversarial.patches.regions import Boxes, box_rows, level_boxes
from deepwright.adversarial.patches.rendering import Cells, Pixels, Shown
from deepwright.adversarial.patches.requiring import (
    candidates_of,
    require_amplitudes,
    require_candidates,
    require_task,
)
from deepwright.adversarial.patches.results import PatchResult
from deepwright.adversarial.patches.transformations import EOT
from deepwright.adversarial.rounding import working_dtype
from deepwright.adversarial.victim import NoGradientError
from deepwright.core.devices import device_of, dtype_of
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.identity import digest
from deepwright.core.inference import answering, frozen
from deepwright.core.journal import Journal
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_number, require_positive, require_whole, require_within
from deepwright.core.tasks import CandidateDetection

_START = 40 / 255  # of the pixel range
_QUIET, _LOOKED = 10, 10  # steps without a detection after which an image is done; steps between looks


class SAAP:
    """Attenuation that hides objects: maximise a loss over P in {0 <= P <= x on the object, sum P = tau * sum x}.

    The image shown is x - P. With `optimizer="frank-wolfe"` (the default) each step fills the budget greedily by the
    running gradient G <- 0.75 G + 0.25 g and moves P <- (1 - c) P + c V(G), c = 2 / (k + 4): no step size, and always
    exactly within the budget. Sign steps lose the magnitudes that say where the budget is best spent.

    Each image keeps the point whose loss was highest. Objects are taken from `boxes`, or are what the detector itself
    claims on the clean image. Pixels that two boxes cover belong to the first.

    Args:
        task: `CandidateDetection(...)`: how candidates are read, when they are claimed, and when a box is found.
        tau: share of each object's amplitude that is taken away, within (0, 1].
        steps: at most.
        optimizer: "frank-wolfe", "pgd" (normalised, with momentum, projected), "sign" (projected), or "greedy": one
            full step along the clean gradient.
        lr: step length of "pgd" and "sign", as a share of the pixel range; 15/255 and 5/255 by default.
        loss: "hide" (default), "box_obj" as released, "shift" or "fabricate"; "softplus", "sum" and "strongest" are
            controls. See `patches.objectives`.
        alpha: weight of boxes in "box_obj".
        beta: weight of scores in "box_obj".
        constraint: "energy": exact. "loose": the released bound, which "sign" alone knows.
        budget: "amplitude", or "power": tau is then a share of squared amplitudes.
        at_most: let steps of "pgd" and "sign" stay below the budget.
        eot: transformations over which gradients are averaged; None shows images as they are.
        physical: a receiver, through which T on resolution cells is found; the call then needs `field`.
        literal: with constraint="loose", the released code's sign.
        early_stop: an image is done when nothing of it was detected for 10 steps.
        levels: round what is taken to whole levels (255 for 8-bit images, on which images must then be), by the largest
            remainder of each object, so that no object exceeds its budget.
        bounds: range of pixels; amplitudes count from its lower end.
        batch_size: images at a time.
        seed: of starts and transformations.

    Raises:
        InputError: options out of range, or that don't go together.
    """

    def __init__(
        self,
        task: CandidateDetection,
        tau: float = 0.1,
        *,
        steps: int = 100,
        optimizer: str = "frank-wolfe",
        lr: float | None = None,
        loss: str = "hide",
        alpha: float = 0.1,
        beta: float = 1.0,
        constraint: str = "energy",
        budget: str = "amplitude",
        at_most: bool = False,
        eot: EOT | None = None,
        physical: PSF | None = None,
        literal: bool = False,
        early_stop: bool = True,
        levels: int | None = None,
        bounds: tuple[float, float] = (0.0, 1.0),
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        self.task = require_task(task)
        require_share(tau)
        require_whole(1, steps=steps, batch_size=batch_size)
        require_whole(seed=seed)
        require_number(0, alpha=alpha, beta=beta)
        for name, value, known in (("optimizer", optimizer, OPTIMIZERS), ("loss", loss, tuple(LOSSES))):
            if value not in known:
                raise unknown_name(name, str(value), known)
        _require_pairs(optimizer, lr, loss, constraint, budget, at_most, literal, physical, levels)
        if lr is not None:
            require_positive(lr=lr)
        if levels is not None:
            require_whole(1, levels=levels)
        if eot is not None and not isinstance(eot, EOT):
            raise InputError("eot", given=type(eot).__name__, expected="patches.EOT(...) or None")
        self.tau, self.steps, self.optimizer, self.lr = float(tau), int(steps), optimizer, lr
        self.loss, self.alpha, self.beta, self.constraint = loss, float(alpha), float(beta), constraint
        self.budget, self.at_most, self.eot, self.physical = budget, switch("at_most", at_most), eot, physical
        self.literal, self.early_stop = switch("literal", literal), switch("early_stop", early_stop)
        self.levels, self.bounds, self.batch_size, self.seed = levels, box(bounds), int(batch_size), int(seed)

    def __call__(
        self,
        detector: nn.Module,
        images: Float[Tensor, "n c h w"],
        boxes: Boxes | None = None,
        *,
        field: Complex[Tensor, "n looks h w"] | None = None,
        ids: Int64[Tensor, " n"] | None = None,
        tau: float | Sequence[Tensor] | None = None,
        checkpoint: Path | str | None = None,
        callback: Callable[[int, Tensor], object] | None = None,
    ) -> PatchResult:
        """Attack images.

        Args:
            detector: gives candidates (N, M, 4 + classes), or an `SSD`; left as found, attacked in eval mode.
            images: amplitudes within `bounds`.
            boxes: of each image (k, 4) corners or (k, 5) turned boxes, or `Detections`; None for what the detector
                claims.
            field: the complex scenes, with `physical`.
            ids: (N,) identity of each image, for its random streams; 0..N-1 by default.
            tau: overrides the share; of each image (k,) gives each object its own.
            checkpoint: a file; each finished image is kept there, and an interrupted run resumes to the same result.
            callback: (step, loss of each image of the batch).

        Returns:
            Results where the images are. Images without an object come back as they are.

        Raises:
            InputError: images outside their range, boxes that can't be read, a detector without gradients or
                candidates, a checkpoint of other work.
        """
        begin = time.perf_counter()
        require_amplitudes(images, self.bounds, self.levels)
        detector = candidates_of(detector)
        self._require_field(field, images)
        ids = torch.arange(len(images)) if ids is None else torch.as_tensor(ids)
        tau = float(tau) if isinstance(tau, Real) or (isinstance(tau, Tensor | np.ndarray) and tau.ndim == 0) else tau
        if tuple(ids.shape) != (len(images),):
            raise InputError("ids", given=f"shape {tuple(ids.shape)}", expected=f"({len(images)},)")
        device, dtype = device_of(detector), working_dtype(images.dtype)
        rows = None if boxes is None else box_rows(boxes, len(images))
        log = Journal(checkpoint, {"detector": detector, "attack": self}, kind="attenuation patches")
        parts = []
        with frozen(detector):
            for start in range(0, len(images), self.batch_size):
                part = slice(start, start + self.batch_size)
                x = images[part].to(device, dtype)
                scene = None if field is None else field[part].to(device)
                own = self.claimed(detector, x) if rows is None else [r.to(device) for r in rows[part]]
                shares = self._shares(tau, own, part, device)
                keys, stored = self._stored(log, checkpoint, ids[part], x, own, shares, scene)
                if stored is None:
                    found = self._batch(detector, x, own, shares, scene, ids[part], callback)
                    if checkpoint is not None:
                        log.add_all(dict(zip(keys, packed(found))))
                else:
                    found = unpacked(stored, device)
                parts.append(assembled(self, detector, x, own, scene, found))
        result = joined(parts, images)
        return replace(result, seconds=time.perf_counter() - begin)

    def _stored(
        self, log: Journal, checkpoint: Any, ids: Tensor, x: Tensor, own: list[Tensor], shares: Tensor, scene: Any
    ) -> tuple[list[str], list[Any] | None]:
        """Keys of a batch's images, and their rows where all are kept."""
        if checkpoint is None:
            return [], None
        counts = [0, *torch.tensor([len(o) for o in own]).cumsum(0).tolist()]
        keys: list[str] = []
        for i, one in enumerate(x):
            mine = shares[counts[i] : counts[i + 1]]
            what = [one.cpu(), own[i].cpu(), mine.cpu(), int(ids[i]), None if scene is None else scene[i].cpu()]
            keys.append(digest(what))
        known: list[Any] = [log.rows.get(key) for key in keys]
        return keys, None if any(row is None for row in known) else known

    def _require_field(self, field: Tensor | None, images: Tensor) -> None:
        if (field is None) != (self.physical is None):
            given = "none" if field is None else "one without physical=PSF(...)"
            raise InputError("field", given=given, expected="complex scenes where, and only where, a PSF is named")
        if field is None:
            return
        shape = (len(images), *images.shape[2:])
        if not field.is_complex() or field.ndim != 4 or (field.shape[0], *field.shape[2:]) != shape:
            given = f"{field.dtype} of shape {tuple(field.shape)}"
            raise InputError("field", given=given, expected=f"complex ({shape[0]}, looks, {shape[1]}, {shape[2]})")

    def claimed(self, detector: nn.Module, x: Float[Tensor, "n c h w"]) -> list[Float[Tensor, "k 4"]]:
        """Boxes that the detector claims on images as they are.

        Args:
            detector: gives candidates.
            x: images, where it lives.
        """
        with torch.no_grad():
            candidates = self.candidates(detector, x)
            require_candidates(candidates)
            found = self.task.prediction(candidates)
        return [d.boxes.to(x.device, torch.float64) for d in found]

    def candidates(self, detector: nn.Module, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n boxes columns"]:
        """What the detector says of images, all its candidates.

        Args:
            detector: gives candidates.
            x: images, where it lives.

        Raises:
            InputError: images that it doesn't take, outputs that the task can't read.
        """
        with answering(x, "images"):
            out = detector(x.to(dtype_of(detector)))
        return self.task.read(out, len(x), strict=False).to(x.dtype)

    def _shares(self, tau: Any, own: list[Tensor], part: slice, device: torch.device) -> Tensor:
        """(k,) of the objects of a batch, in a row."""
        counts = [len(o) for o in own]
        if tau is None or isinstance(tau, int | float):
            require_share(self.tau if tau is None else tau)
            return torch.full((sum(counts),), self.tau if tau is None else float(tau), device=device)
        rows = list(tau)[part]
        if [len(t) for t in rows] != counts:
            raise InputError("tau", given="other numbers of objects", expected="one share an object of each image")
        each = torch.cat([torch.as_tensor(t, dtype=torch.float32) for t in rows]).to(device)
        if len(each) and not bool(((each > 0) & (each <= 1)).all()):
            raise InputError("tau", given="shares outside", expected="within (0, 1]")
        return each

    def shown(self, x: Float[Tensor, "n c h w"], own: list[Tensor], scene: Tensor | None) -> Shown:
        """What is attenuated: pixels, or resolution cells before a receiver.

        Args:
            x: images.
            own: boxes of each image.
            scene: complex fields, or None.
        """
        if scene is None:
            return Pixels.at(x, own, self.bounds[0])
        assert self.physical is not None
        return Cells.at(scene, own, self.physical, x.shape[1], self.bounds)

    def _batch(
        self,
        detector: nn.Module,
        x: Tensor,
        own: list[Tensor],
        shares: Tensor,
        scene: Tensor | None,
        ids: Tensor,
        callback: Any,
    ) -> dict[str, Tensor]:
        """Amounts of each object, and the loss of each image over the steps."""
        shown = self.shown(x, own, scene)
        n, device = len(x), x.device
        with torch.no_grad():
            clean = strongest_candidates(self.candidates(detector, x), _pixel_boxes(own, x), shown.regions.image)
        full = shown.full if isinstance(shown, Cells) else shown.cap
        cap = shown.cap if self.budget == "amplitude" else shown.cap.square()
        goal = full if self.budget == "amplitude" else full.square()
        budget = (shares.double() * goal.double().sum(1)).minimum(cap.double().sum(1))
        u = self._start(shown, ids, x, cap, budget)
        mover = self._mover(cap, budget, shown)
        best, best_value = u.clone(), torch.full((n,), -torch.inf, device=device, dtype=x.dtype)
        trace = torch.zeros(self.steps + 1, n, device=device, dtype=x.dtype)
        left, flat = torch.full((n,), self.steps, device=device), torch.ones(n, dtype=torch.bool, device=device)
        rows, objects = torch.arange(n, device=device), torch.arange(len(u), device=device)
        broken = torch.zeros(n, dtype=torch.bool, device=device)
        quiet = torch.zeros(n, dtype=torch.long, device=device)
        steps = 1 if self.optimizer == "greedy" else self.steps
        image, boxes = shown.regions.image, _pixel_boxes(own, x)
        for step in range(steps + 1):
            last = step == steps
            taken = self.amounts(u, shown).requires_grad_(not last)
            view = Scene(boxes, image, clean[objects], self.alpha, self.beta)
            value, seen = self._value(detector, shown, taken, view, ids[rows.cpu()], step, last)
            bad = ~torch.isfinite(value)
            broken[rows] |= bad.detach()
            value = torch.where(bad, torch.zeros_like(value), value)
            better = ~bad.detach()
            if self.constraint == "energy" and self.optimizer != "greedy":  # the others end where they end
                better &= value.detach() > best_value[rows]
            best_value[rows] = torch.where(better, value.detach(), best_value[rows])
            best[objects] = torch.where(better[image][:, None], u, best[objects])
            trace[step, rows] = value.detach()
            if callback is not None:
                callback(step, value.detach())
            if last:
                break
            g = self._gradient(value, taken, shown)
            flat[rows] &= _alike(g, shown.cap, image, len(rows))
            u = mover.move(u, g, step)
            quiet = torch.where(seen, 0, quiet + 1)
            if self.early_stop and step % _LOOKED == _LOOKED - 1 and bool((quiet >= _QUIET).any()):
                staying = (quiet < _QUIET).nonzero().flatten()
                gone = rows[quiet >= _QUIET]
                trace[step + 1 :, gone], left[gone] = trace[step, gone], step + 1
                shown, kept = shown.of(staying)
                image, boxes = shown.regions.image, boxes[kept]
                rows, objects, u, quiet, mover = rows[staying], objects[kept], u[kept], quiet[staying], mover.of(kept)
                if not len(rows):
                    break
        trace[steps + 1 :] = trace[steps]
        return {"taken": best, "trace": trace, "steps": left, "flat": flat, "broken": broken, "counts": _counts(own)}

    def _start(self, shown: Shown, ids: Tensor, x: Tensor, cap: Tensor, budget: Tensor) -> Tensor:
        """U(0, 40) of 255 levels, projected; the loose bound has the whole range, greedy filling begins at nothing."""
        if self.optimizer == "greedy":
            return torch.zeros_like(cap)
        size = shown.regions.size
        noise = Streams(self.seed, ids, "attenuation", device=x.device).uniform(size)
        span = self.bounds[1] - self.bounds[0]
        drawn = torch.where(shown.regions.valid, noise.reshape(-1)[shown.regions.flat], 0.0).to(cap) * span
        if self.constraint == "loose":
            return drawn  # the released code's, over the whole range
        return projected(drawn * _START, cap, budget, at_most=self.at_most)

    def _mover(self, cap: Tensor, budget: Tensor, shown: Shown) -> Mover:
        step = STEPS.get(self.optimizer, 0.0) if self.lr is None else self.lr
        step *= self.bounds[1] - self.bounds[0]
        if self.constraint == "loose":
            return LooseMover(step, cap, budget, shown.regions.valid, self.literal)
        return Mover(self.optimizer, step, cap, budget, self.at_most)

    def amounts(self, u: Float[Tensor, "k places"], shown: Shown) -> Float[Tensor, "k places"]:
        """Amplitudes that are taken away; what the loose bound takes beyond what is there is cut, as in its images.

        Args:
            u: what the search moves, of each object.
            shown: what is attenuated.
        """
        if self.budget == "power":
            return shown.cap - (shown.cap.square() - u).clamp_min(0).sqrt()
        return u.clamp_min(0).minimum(shown.cap).detach()

    def _gradient(self, value: Tensor, taken: Tensor, shown: Shown) -> Tensor:
        """Of the loss with respect to the amounts under the budget."""
        if not value.requires_grad:
            hint = "remove no_grad and detach, or use an attack that asks for scores only"
            raise NoGradientError("the detector's output", given="no gradient path to its input", hint=hint)
        (g,) = torch.autograd.grad(value.sum(), taken)
        g = torch.nan_to_num(g, 0.0, 0.0, 0.0)
        if self.budget == "power":
            span = self.bounds[1] - self.bounds[0]
            g = g / (2 * (shown.cap - taken.detach()).clamp_min(1e-3 * span))
        return torch.where(shown.cap > 0, g, 0.0)

    def _value(
        self, detector: nn.Module, shown: Shown, taken: Tensor, view: Scene, ids: Tensor, step: int, last: bool
    ) -> tuple[Tensor, Tensor]:
        """(loss of each image, whether something of it is detected), over the transformations."""
        with torch.set_grad_enabled(not last):
            x = shown.render(taken)
            n, size = len(x), (x.shape[2], x.shape[3])
            if self.eot is None:
                out = self.candidates(detector, x)
                return LOSSES[self.loss](out, view), self._detected(out.detach(), view.boxes, view.image, n)
            total, seen = x.new_zeros(n), torch.zeros(n, dtype=torch.bool, device=x.device)
            for s in range(self.eot.samples):
                drawn = self.eot.draw(self.seed, ids, step * self.eot.samples + s, size, x.device)
                moved = replace(view, boxes=self.eot.boxes(view.boxes, view.image, drawn, size))
                out = self.candidates(detector, self.eot.images(x, drawn, self.bounds))
                if self.loss == "strongest":
                    moved = replace(moved, clean=strongest_candidates(out.detach(), moved.boxes, moved.image))
                total = total + LOSSES[self.loss](out, moved) / self.eot.samples
                seen |= self._detected(out.detach(), moved.boxes, moved.image, n)
            return total, seen

    def _detected(self, out: Tensor, boxes: Tensor, image: Tensor, n: int) -> Tensor:
        found = ~hidden_objects(out, boxes, image, self.task.score_threshold)
        return torch.zeros(n, dtype=torch.long, device=out.device).index_add(0, image, found.long()) > 0


def require_share(tau: Any) -> None:
    """Refuse what is no share of an amplitude.

    Args:
        tau: what was given.

    Raises:
        InputError: outside (0, 1], per cent among it.
    """
    if isinstance(tau, int | float) and not isinstance(tau, bool) and 1 < tau <= 100:
        raise InputError("tau", given=tau, expected="a share within (0, 1]", hint=f"{tau:g} % is {tau / 100:g}")
    require_within(0, 1, ends="(]", tau=tau)


def _pixel_boxes(own: list[Tensor], x: Tensor) -> Tensor:
    """Level boxes of all objects in pixels, in a row."""
    return level_boxes(own, x.shape[2], x.shape[3]).to(x)


def _counts(own: list[Tensor]) -> Tensor:
    return torch.tensor([len(o) for o in own])


def _alike(g: Tensor, cap: Tensor, image: Tensor, n: int) -> Tensor:
    """(n,) whether the gradient says the same of all places of each object: nothing can be learnt from it."""
    there = cap > 0
    high = torch.where(there, g, -torch.inf).amax(1)
    low = torch.where(there, g, torch.inf).amin(1)
    tells = (high > low) & there.any(1)
    return torch.zeros(n, dtype=torch.long, device=g.device).index_add(0, image, tells.long()) == 0


def _require_pairs(
    optimizer: str,
    lr: Any,
    loss: str,
    constraint: str,
    budget: str,
    at_most: Any,
    literal: Any,
    physical: Any,
    levels: Any,
) -> None:
    """Refuse options that don't go together."""
    if constraint not in ("energy", "loose"):
        raise InputError("constraint", given=repr(constraint), expected="'energy' or 'loose'")
    if budget not in ("amplitude", "power"):
        raise InputError("budget", given=repr(budget), expected="'amplitude' or 'power'")
    if physical is not None and not isinstance(physical, PSF):
        raise InputError("physical", given=type(physical).__name__, expected="patches.PSF(...) or None")
    steps = optimizer in ("pgd", "sign")
    if lr is not None and not steps:
        raise InputError("lr", given=f"beside {optimizer}", expected="None: it has no step length")
    if at_most and not steps:
        raise InputError("at_most", given=f"True beside {optimizer}", expected="False: it spends all of its budget")
    loose = constraint == "loose"
    if loose and (optimizer != "sign" or budget != "amplitude" or at_most or physical is not None or levels):
        expected = "optimizer='sign' on amplitudes of pixels, without at_most and levels"
        raise InputError("constraint", given=f"'loose' beside {optimizer}, {budget}", expected=expected)
    if literal and not loose:
        raise InputError("literal", given="True", expected="False, or constraint='loose', which is the released code's")
    if levels is not None and physical is not None:
        raise InputError("levels", given=f"{levels} behind a receiver", expected="None: what it shows isn't rounded")
    if levels is not None and budget == "power":
        raise InputError("levels", given=f"{levels} beside a budget of power", expected="None")
