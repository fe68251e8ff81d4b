"""Every way of spending the same share of each ship's amplitude: ours, other optimisers and losses, and model-free."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.patches import EOT, FILLS, SAAP, attenuated
from deepwright.adversarial.patches.objectives import Scene, hide
from deepwright.core.tasks import DetectionBatch
from deepwright.data import ShipScenes
from deepwright.studies.saap.detectors import ANCHORS, CENTRE, KINDS, TASK, claims, detector, measured, scenes, size_of

OURS, PROJECTED, SIGN = "Frank-Wolfe", "projected gradients", "sign steps"
LEVELS: dict[str, tuple[dict[str, float], ...]] = {
    OURS: ({},),
    PROJECTED: ({"levels": 15.0}, {"levels": 45.0}, {"levels": 135.0}),
    SIGN: ({"levels": 5.0}, {"levels": 15.0}, {"levels": 45.0}),
}
"""Step lengths in grey levels of 255 that are tried; Frank-Wolfe has none."""
LOSSES = {
    "released loss": "box_obj",
    "sum of log-odds": "sum",
    "strongest candidate": "strongest",
    "sum of log(1 + odds)": "softplus",
}
CONTROLS = {
    "evenly": "constant",
    "random noise": "random",
    "random pixels": "pixels",
    "brightest pixels": "brightest",
    "darkest pixels": "darkest",
    "from the centre out": "centre",
}
assert set(CONTROLS.values()) == set(FILLS)
GRADIENT, LOOKS, LONGER = "one gradient", "best of as many random pixels", "sign steps, five times as many"
RIVALS = (*CONTROLS, GRADIENT, LOOKS)
"""What needs no optimiser that knows the model: the best of them at each seed is what counts."""
LOOSE = {"loose bound alone": {}, "loose bound, true sign": {}, "loose bound, sign as released": {"literal": True}}
TAU = 0.1
BOTH = "both at once"
WITHOUT, UNDER = "made without", "made under such changes"
PIXELS, OUT = "random pixels", "from the centre out"
TURNED = "turned, lit and shifted"


def _speckled(looks: int) -> EOT:
    return EOT(turns=(1.0, 0.0, 0.0, 0.0), gain=(1.0, 1.0), shift=0.0, looks=looks)


CHANGES = {TURNED: EOT(), "speckled anew, 16 looks": _speckled(16), "speckled anew, 4 looks": _speckled(4)}


def attack(tau: float, steps: int, seed: int, kind: str = OURS, **options: Any) -> SAAP:
    """An attack of one of the optimisers.

    Args:
        tau: the share.
        steps: at most.
        seed: of its start.
        kind: one of `LEVELS`.
        options: `levels` is the step length; all others are those of `SAAP`.
    """
    levels = options.pop("levels", None)
    if levels is not None:
        options["lr"] = levels / 255
    optimizer = {OURS: "frank-wolfe", PROJECTED: "pgd", SIGN: "sign"}[kind]
    return SAAP(TASK, tau, steps=steps, optimizer=optimizer, seed=seed, **options)


def hiding_trial(seed: int, kind: str, quick: bool) -> dict[str, Any]:
    """Every arm at one share on one detector.

    Args:
        seed: of the detector and its scenes.
        kind: of the detector.
        quick: smaller.
    """
    network, steps = detector(kind, seed, quick), size_of(quick).steps
    validation, test = scenes(seed, "validation", quick), scenes(seed, "test", quick)
    arms: dict[str, list[dict[str, Any]]] = {}

    def attacked(options: dict[str, Any], many: int = steps, arm: str = OURS) -> Tensor:
        return attack(TAU, many, seed, arm, **options)(network, test.images, test.truth).images

    for arm, settings in LEVELS.items():
        arms[arm] = []
        for setting in settings:
            chosen = attack(TAU, steps, seed, arm, **setting)(network, validation.images, validation.truth)
            row = measured(network, attacked(setting, arm=arm), test.truth, test.images)
            missed = measured(network, chosen.images, validation.truth)["missed"]
            arms[arm].append({"setting": setting, "validation": missed, **row})
    found = {
        name: measured(network, attacked({"loss": loss}), test.truth, test.images) for name, loss in LOSSES.items()
    }
    found[GRADIENT] = _of(network, test, SAAP(TASK, TAU, optimizer="greedy", seed=seed))
    if kind == CENTRE:
        found[LONGER] = measured(network, attacked({}, 5 * steps, SIGN), test.truth, test.images)
    found[LOOKS] = measured(network, best_of(network, test, TAU, steps, seed), test.truth, test.images)
    found |= {name: _filled(network, test, fill, TAU, seed) for name, fill in CONTROLS.items()}
    clean = measured(network, test.images, test.truth)
    return {"arms": arms, "found": found, "clean": clean, "ships": _ships(test)}


def curve_trial(seed: int, kind: str, tau: float, quick: bool) -> dict[str, Any]:
    """Ours and what needs no model, at another share.

    Args:
        seed: of the detector and its scenes.
        kind: of the detector.
        tau: the share.
        quick: smaller.
    """
    network, test = detector(kind, seed, quick), scenes(seed, "test", quick)
    found = {OURS: _of(network, test, attack(tau, size_of(quick).steps, seed))}
    return found | {name: _filled(network, test, fill, tau, seed) for name, fill in CONTROLS.items()}


def transfer_trial(seed: int, tau: float, quick: bool) -> dict[str, Any]:
    """What was found on one detector, or on both at once, seen by each; and how far the patterns are the same.

    Args:
        seed: of the detectors and their scenes.
        tau: the share.
        quick: smaller.
    """
    both = {kind: detector(kind, seed, quick) for kind in KINDS}
    test, steps = scenes(seed, "test", quick), size_of(quick).steps
    victims: dict[str, nn.Module] = {**both, BOTH: Joined(*both.values()).eval()}
    shown = {
        name: attack(tau, steps, seed)(network, test.images, test.truth).images for name, network in victims.items()
    }
    shown |= {name: attenuated(fill, test.images, test.truth, tau, seed=seed)[0] for name, fill in CONTROLS.items()}
    other, _ = attenuated("pixels", test.images, test.truth, tau, seed=seed + 1)
    return {
        "seen": {
            name: {kind: measured(network, images, test.truth)["missed"] for kind, network in both.items()}
            for name, images in shown.items()
        },
        "alike": _alike(test.images - shown[CENTRE], test.images - shown[ANCHORS]),
        "alike by chance": _alike(test.images - shown["random pixels"], test.images - other),
    }


class Joined(nn.Module):
    """Two detectors as one that has the candidates of both.

    Args:
        first: gives candidates.
        second: gives candidates.
    """

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.one, self.other = first, second

    def forward(self, x: Tensor) -> Tensor:
        """Candidates of the first, then of the second.

        Args:
            x: images.
        """
        return torch.cat([self.one(x), self.other(x)], 1)


def _alike(a: Tensor, b: Tensor) -> float:
    """Share of what one pattern takes that the other takes at the same pixel."""
    return float(a.minimum(b).sum() / a.sum())


def loose_trial(seed: int, tau: float, quick: bool) -> dict[str, Any]:
    """The released code's bound and its sign.

    Args:
        seed: of the detector and its scenes.
        tau: the share that the bound is told.
        quick: smaller.
    """
    network, test = detector(CENTRE, seed, quick), scenes(seed, "test", quick)
    found = {}
    for name, options in LOOSE.items():
        alone = name == "loose bound alone"
        steps, lr = (1, 1e-9) if alone else (size_of(quick).steps, None)
        how = attack(tau, steps, seed, SIGN, constraint="loose", lr=lr, **options)
        found[name] = _of(network, test, how)
    return found


def moved_trial(seed: int, tau: float, quick: bool) -> dict[str, Any]:
    """Attacked scenes that are turned, lit, shifted and speckled anew before the detector sees them.

    Args:
        seed: of the detector and its scenes.
        tau: the share.
        quick: smaller.
    """
    network, test, steps = detector(CENTRE, seed, quick), scenes(seed, "test", quick), size_of(quick).steps
    made = {
        WITHOUT: attack(tau, steps, seed)(network, test.images, test.truth).images,
        UNDER: attack(tau, steps, seed, eot=EOT(samples=4))(network, test.images, test.truth).images,
        PIXELS: attenuated(CONTROLS[PIXELS], test.images, test.truth, tau, seed=seed)[0],
        OUT: attenuated(CONTROLS[OUT], test.images, test.truth, tau)[0],
        "untouched": test.images,
    }
    return {
        name: {what: _seen_moved(network, shown, test, how, seed) for what, how in CHANGES.items()}
        for name, shown in made.items()
    }


def _seen_moved(network: nn.Module, shown: Tensor, test: ShipScenes, how: EOT, seed: int) -> float:
    """Share of ships that are missed, over four draws that no attack was made under."""
    size = (shown.shape[2], shown.shape[3])
    image = torch.tensor([i for i, t in enumerate(test.truth) for _ in range(len(t))])
    boxes = torch.cat([t.boxes for t in test.truth])
    total = 0.0
    for draw in range(4):
        drawn = how.draw(10_000 + seed, torch.arange(len(shown)), draw, size, shown.device)
        places = how.boxes(boxes, image, drawn, size).split([len(t) for t in test.truth])
        truth = [type(t)(own, t.labels) for own, t in zip(places, test.truth)]
        total += TASK.error_rates(claims(network, how.images(shown, drawn, (0.0, 1.0))), DetectionBatch(truth))[
            "false_negative_rate"
        ]
    return total / 4


def best_of(network: nn.Module, test: ShipScenes, tau: float, looks: int, seed: int) -> Tensor:
    """Of so many draws of random pixels the one of each scene that hides its ships best: gradients aren't needed.

    Args:
        network: gives candidates.
        test: scenes.
        tau: the share.
        looks: at the detector.
        seed: of the draws.
    """
    image = torch.tensor([i for i, t in enumerate(test.truth) for _ in range(len(t))])
    view = Scene(torch.cat([t.boxes for t in test.truth]), image, torch.full_like(image, -1), 0.0, 0.0)
    best, value = test.images, torch.full((len(test),), -torch.inf)
    for draw in range(looks):
        shown, _ = attenuated("pixels", test.images, test.truth, tau, seed=1000 * seed + draw)
        with torch.no_grad():
            now = hide(TASK.read(network(shown), len(shown)), view)
        better = now > value
        best, value = torch.where(better.view(-1, 1, 1, 1), shown, best), torch.where(better, now, value)
    return best


def _of(network: nn.Module, test: ShipScenes, how: SAAP) -> dict[str, float]:
    return measured(network, how(network, test.images, test.truth).images, test.truth, test.images)


def _filled(network: nn.Module, test: ShipScenes, fill: str, tau: float, seed: int) -> dict[str, float]:
    shown, _ = attenuated(fill, test.images, test.truth, tau, seed=seed)
    return measured(network, shown, test.truth, test.images)


def _ships(test: ShipScenes) -> int:
    return sum(len(t) for t in test.truth)
