"""The methods that harden a network: each gives a module, and what was measured on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.semantic import Monitored
from deepwright.adversarial.sharpening import LaplacianSharpen
from deepwright.adversarial.smoothing import NoisyMean
from deepwright.checks import Subject, run_check
from deepwright.checks.monitor import RATE, measured_monitor, require_monitorable
from deepwright.checks.preemptive import measured_preemptive, require_pictures, usual_strength
from deepwright.checks.smoothing import SIGMA, check_smoothing, require_smoothable
from deepwright.checks.stream_guards import measured_stream_guard
from deepwright.checks.streams import RATE as STREAM_RATE
from deepwright.checks.streams import require_streams
from deepwright.core.copies import copied
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.inference import read_outputs
from deepwright.workflows.corruption_training import corruption_training, require_corruptible
from deepwright.workflows.last_layers import head_methods, require_grouped
from deepwright.workflows.recipes import Hardened, Recipe, trained
from deepwright.workflows.robust_training import adversarial_training, require_numbers, require_probabilities, trades

_DRAWS = 16


def smoothing(subject: Subject, recipe: Recipe) -> Hardened:
    """Train on Gaussian noise, then average over it; certified radii before and after.

    Args:
        subject: of one class a sample.
        recipe: the strength is the deviation of the noise, 0.25 by default; 3 epochs.
    """
    sigma = SIGMA if recipe.strength is None else recipe.strength
    recipe.say(f"training on noise of deviation {sigma:g}")
    base = copied(subject.model)
    trained(base, subject, recipe, 3, augment=Noisy(sigma))
    shape = tuple(subject.data.shape)
    model = NoisyMean(base, sigma, shape, draws=_DRAWS, seed=subject.seed).to(subject.device)
    recipe.say("certificates")
    both = [run_check("smoothing", check_smoothing, replace(subject, model=m)) for m in (subject.model, base)]
    notes = [
        f"the module averages over {_DRAWS} fixed draws of noise and costs as many passes; its certificates are those "
        f"of `Smoothed(module.model, {sigma:g})`, and certified radii are measured at deviation {SIGMA:g}"
    ]
    return Hardened(model.eval(), both[:1], both[1:], notes=notes)


@dataclass(frozen=True)
class Noisy:
    """Inputs with Gaussian noise, as `core.fit` augments.

    Attributes:
        sigma: its deviation.
    """

    sigma: float

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """x + sigma * z."""
        z = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype)
        return x + self.sigma * z.to(x.device)


def sharpening(subject: Subject, recipe: Recipe) -> Hardened:
    """Sharpen inputs before the network and train on, and tell what sharpening before release would do without that.

    Args:
        subject: of pictures in [0, 1].
        recipe: the strength is that of `LaplacianSharpen`, by the size of the pictures by default; 1 epoch.
    """
    strength = usual_strength(subject) if recipe.strength is None else recipe.strength
    model = nn.Sequential(LaplacianSharpen(strength), copied(subject.model))
    recipe.say(f"training behind sharpening of strength {strength:g}")
    trained(model, subject, recipe, 1)
    recipe.say("pictures sharpened before release")
    released = run_check("preemptive", lambda whole: measured_preemptive(whole, strength), subject)
    note = "pictures that are sharpened before an attacker has them are another thing: see the section on release"
    return Hardened(model.eval(), [released], notes=[note])


def detector(subject: Subject, recipe: Recipe) -> Hardened:
    """Put a monitor of dense features beside the network, which stays as it is.

    Args:
        subject: of pictures or series, with held-out validation samples.
        recipe: the strength is the rate of false alarms, 0.05 by default; nothing is trained.
    """
    rate = RATE if recipe.strength is None else recipe.strength
    recipe.say(f"monitor for {rate:.1%} false alarms, and attackers who don't and who do know it")
    found = measured_monitor(subject, rate)
    model = Monitored(found.detector)
    notes = [
        "the network's answers are as before: what is new is the alarm. network.pt2 gives (output, how near to the "
        "threshold, alarm), and `model.watched(x)` does",
        "an attacker who knows the monitor is measured too: read that row before you rely on it",
    ]
    return Hardened(model, [found.without], [found.beside], notes=notes, program=model.program())


def roast(subject: Subject, recipe: Recipe) -> Hardened:
    """Put a detector of windows in front of a forecaster, trained on the entities that it is best trained on.

    Args:
        subject: a forecaster of series whose entities are known.
        recipe: the strength is the rate of false alarms, 0.05 by default; the network isn't trained.
    """
    rate = STREAM_RATE if recipe.strength is None else recipe.strength
    recipe.say(f"whom to train a detector on, for {rate:.1%} false alarms, and an attacker who knows it")
    found = measured_stream_guard(subject, rate)
    notes = [*found.notes, f"the detector holds windows of {', '.join(map(str, found.kept))}"]
    return Hardened(found.watched, [found.without], [found.beside], notes=notes, program=found.watched.program())


@dataclass(frozen=True)
class Method:
    """A way to harden a network.

    Attributes:
        require: refuses a subject that it doesn't apply to (`NotApplicableError`), before any work.
        run: what it does.
        listens: to which options beside epochs.
    """

    require: Callable[[Subject], None]
    run: Callable[[Subject, Recipe], Hardened]
    listens: tuple[str, ...] = ("strength",)


def _has_streams(subject: Subject) -> None:
    require_streams(subject)


METHODS = {
    "smoothing": Method(require_smoothable, smoothing),
    "sharpening": Method(require_pictures, sharpening),
    "adversarial-training": Method(require_numbers, adversarial_training, ("strength", "steps", "norm", "warm_up")),
    "trades": Method(require_probabilities, trades, ("strength", "steps", "beta", "norm", "warm_up")),
    "corruption-training": Method(require_corruptible, corruption_training, ("held_out", "mixing")),
    "detector": Method(require_monitorable, detector),
    "roast": Method(_has_streams, roast),
    **{name: Method(require_grouped, run, ("groups",)) for name, run in head_methods().items()},
}
"""Name -> the method; one more needs two functions and a row."""


def opened_alike(model: nn.Module, program: nn.Module, x: Tensor, tolerance: float = 1e-4) -> float:
    """The largest difference of a program's outputs to those of the module it was made from, over the largest of them.

    Args:
        model: the module.
        program: opened from its file, on the CPU.
        x: inputs.
        tolerance: the largest that is allowed.

    Raises:
        InputError: it is larger.
    """
    wanted = torch.cat(read_outputs(model, [x.to(device_of(model))], _numbers)).cpu()
    found = torch.cat(read_outputs(program, [x.cpu()], _numbers))
    gap = float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-6))
    if not gap <= tolerance:
        raise InputError(
            "network.pt2 differs from the module", given=f"{gap:.3g} of the largest output", expected=f"{tolerance:g}"
        )
    return gap


def _numbers(out: Any, n: int) -> Tensor:
    """All that a module gives, in rows."""
    parts = list(out.values()) if isinstance(out, Mapping) else out if isinstance(out, tuple | list) else [out]
    rows = [part for part in parts if isinstance(part, Tensor) and part.ndim and len(part) == n]
    return torch.cat([part.detach().double().reshape(n, -1) for part in rows], 1)
