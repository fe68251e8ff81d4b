"""One trial: a detector is trained and attacked in all ways, at equal energy."""

from __future__ import annotations

import copy
import time
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.patches import (
    EOT,
    FILLS,
    PSF,
    SAAP,
    AdvPatch,
    RobustDPatch,
    UniversalAttenuation,
    attenuated,
)
from deepwright.core.boxes import Detections, mean_average_precision
from deepwright.core.pictures import encode
from deepwright.core.tasks import DetectionBatch
from deepwright.data import ShipScenes
from deepwright.data.named.ships import TAPS
from deepwright.studies.saap.detectors import (
    ATTACK_STEPS,
    MORE_RATE,
    SSD_NAME,
    TASK,
    fitted,
    scenes,
    trained,
)

OURS, PGD, SIGN, GREEDY = "Frank-Wolfe", "projected gradient", "sign steps", "one gradient"
TAU, TAUS, WIDE = 0.1, (0.05, 0.1, 0.2, 0.3, 0.5), 0.2
RATES = (2 / 255, 5 / 255, 15 / 255)
LOSSES = {"sum of log-odds": "sum", "strongest candidate only": "strongest", "training loss, as released": "box_obj"}
PHASES = (0.1, 0.5, 1.0)
CONTROLS = (*FILLS, GREEDY)


def trial(seed: int, kind: str, size: dict[str, int], picture: bool = False) -> dict[str, Any]:
    """Everything that is measured on one detector.

    Args:
        seed: of scenes, weights and attacks.
        kind: of detector.
        size: scenes to train on, epochs, more epochs, test images, validation images, steps.
        picture: whether scenes are drawn.
    """
    training, test = scenes(seed, 0, size["scenes"]), scenes(seed, 2, size["test"])
    network = trained(kind, training, size["epochs"], seed)
    steps = size["steps"]
    found: dict[str, Any] = {"clean": rates(network, test.images, test.truth)}
    rate, tried = _rates(network, scenes(seed, 1, size["validation"]), steps, seed)
    found |= {"rates": rate, "tried": tried, "arms": {}, "curve": {}}
    arms = found["arms"]

    def attack(**options: Any) -> SAAP:
        return SAAP(TASK, **{"tau": TAU, "steps": steps, "seed": seed, **options})

    ours = None
    for tau in TAUS:
        result = attack(tau=tau)(network, test.images, test.truth)
        ours = result if tau == TAU else ours
        row = _row(network, result.images, test, result.energy_share, tau)
        curve: dict[str, Any] = {OURS: row}
        for fill in FILLS:
            images, shares = attenuated(fill, test.images, test.truth, tau, seed=seed)
            curve[fill] = _row(network, images, test, shares, tau)
        found["curve"][f"{tau:g}"] = curve
    assert ours is not None
    arms |= found["curve"][f"{TAU:g}"]
    for name, options in (
        (PGD, {"optimizer": "pgd", "lr": rate[PGD]}),
        (SIGN, {"optimizer": "sign", "lr": rate[SIGN]}),
        (GREEDY, {"optimizer": "greedy"}),
    ):
        result = attack(**options)(network, test.images, test.truth)
        arms[name] = _row(network, result.images, test, result.energy_share, TAU)
    rounded = attack(levels=255)(network, test.images, test.truth)
    arms["Frank-Wolfe, 8 bits"] = _row(network, rounded.images, test, rounded.energy_share, TAU)
    if kind != SSD_NAME:
        found["losses"] = {
            name: _row(network, attack(loss=loss)(network, test.images, test.truth).images, test)
            for name, loss in LOSSES.items()
        }
        found["loose"] = _loose(network, test, attack)
        return found
    found["physical"] = _physical(network, seed, size["test"], attack)
    found["moved"] = _moved(network, test, ours.images, attack, seed, steps)
    found["training"] = _trained_more(network, training, test, size["more"], attack, seed)
    found["others"] = _others(network, test, seed, size["fitted"], steps)
    found["speed"] = _speed(network, test, attack)
    if picture:
        found["pictures"] = _pictures(network, test, ours.images, seed)
    return found


def rates(network: nn.Module, images: Tensor, truth: list[Detections]) -> dict[str, float]:
    """What a detector misses and makes up, and its average precision.

    Args:
        network: gives candidates.
        images: that it is shown.
        truth: boxes in them.
    """
    with torch.no_grad():
        out = network(images)
    y = DetectionBatch(truth)
    found = TASK.error_rates(out, y)
    return {
        "fnr": found["false_negative_rate"],
        "fppi": found["false_positives_per_image"],
        "ap50": mean_average_precision(list(TASK.final(out)), truth),
        "objects": float(sum(map(len, truth))),
    }


def _row(
    network: nn.Module, images: Tensor, test: ShipScenes, shares: list[Tensor] | None = None, tau: float = TAU
) -> dict[str, float]:
    found = rates(network, images, test.truth)
    if shares is not None:
        found["off"] = float((torch.cat(shares) / tau - 1).abs().max())
    return found


def _rates(
    network: nn.Module, validation: ShipScenes, steps: int, seed: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The step length of each stepping optimiser that misses most on scenes of its own."""
    tried: dict[str, list[float]] = {}
    for name, optimizer in ((PGD, "pgd"), (SIGN, "sign")):
        tried[name] = []
        for lr in RATES:
            attack = SAAP(TASK, TAU, steps=steps, optimizer=optimizer, lr=lr, seed=seed)
            images = attack(network, validation.images, validation.truth).images
            tried[name].append(rates(network, images, validation.truth)["fnr"])
    return {name: RATES[max(range(3), key=values.__getitem__)] for name, values in tried.items()}, tried


def _loose(network: nn.Module, test: ShipScenes, attack: Any) -> dict[str, Any]:
    """The released code's bound and sign, and what energy they really take."""
    found = {}
    for name, tau, literal in (
        ("sign put right", TAU, False),
        ("sign put right", 0.3, False),
        ("as released", 0.3, True),
    ):
        one = attack(tau=tau, optimizer="sign", constraint="loose", literal=literal, early_stop=False)
        result = one(network, test.images, test.truth)
        row = rates(network, result.images, test.truth)
        found[f"{name}, told {tau:g}"] = {**row, "share": float(torch.cat(result.energy_share).mean())}
    return found


def _physical(network: nn.Module, seed: int, n: int, attack: Any) -> dict[str, dict[str, float]]:
    """What is left behind a receiver, of what was found on pixels and of what was found through it."""
    test = scenes(seed, 4, n, coherent=True)
    assert test.field is not None
    psf = PSF(taps=TAPS)
    digital = attack(tau=WIDE)(network, test.images, test.truth)
    through = attack(tau=WIDE, physical=psf)(network, test.images, test.truth, field=test.field)
    constant, _ = attenuated("constant", test.images, test.truth, WIDE)
    left = ((digital.images + 1e-6) / (test.images + 1e-6)).clamp(0, 1)
    shown = {
        "no patch": test.images,
        "constant": constant,
        "found on pixels, seen on pixels": digital.images,
        "found on pixels, behind the receiver": psf.amplitude(test.field, left),
        "found through the receiver": through.images,
    }
    for sigma in PHASES:
        disturbed = PSF(taps=TAPS, phase=sigma)
        shown[f"through it, phase error {sigma:g}"] = disturbed.realised(test.field, through.transmission, seed)
    shown["through it, a cell off"] = PSF(taps=TAPS, misplaced=1.0).realised(test.field, through.transmission, seed)
    return {name: rates(network, images.clamp(0, 1), test.truth) for name, images in shown.items()}


def _moved(
    network: nn.Module, test: ShipScenes, ours: Tensor, attack: Any, seed: int, steps: int
) -> dict[str, dict[str, float]]:
    """Turned, brighter and moved images: patches that were made for them, and patches that weren't."""
    made = attack(eot=EOT(samples=2), steps=steps // 2, early_stop=False)(network, test.images, test.truth).images
    noise, _ = attenuated("random", test.images, test.truth, TAU, seed=seed)
    view = EOT()
    found = {}
    for name, images in (("made as it is", ours), ("made under transformations", made), ("random", noise)):
        sums: list[dict[str, float]] = []
        for draw in range(4):
            drawn = view.draw(seed + 77, torch.arange(len(images)), draw, (64, 64), images.device)
            truth = []
            for i, t in enumerate(test.truth):
                boxes = view.boxes(t.boxes, torch.full((len(t),), i), drawn, (64, 64)).clamp(0, 64)
                truth.append(Detections(boxes, t.labels))
            sums.append(rates(network, view.images(images, drawn, (0.0, 1.0)), truth))
        found[name] = {key: sum(s[key] for s in sums) / len(sums) for key in sums[0]}
    return found


def _trained_more(
    network: nn.Module, training: ShipScenes, test: ShipScenes, epochs: int, attack: Any, seed: int
) -> dict[str, dict[str, float]]:
    """More epochs with and without attacks, each attacked anew."""
    quick = SAAP(TASK, TAU, steps=ATTACK_STEPS, early_stop=False, seed=seed)
    found = {}
    for name, one in (("more epochs", None), ("more epochs, half attacked", quick)):
        later = fitted(copy.deepcopy(network), training, epochs, MORE_RATE, seed, one)
        clean = rates(later, test.images, test.truth)
        attacked = rates(later, attack()(later, test.images, test.truth).images, test.truth)
        found[name] = {"ap50": clean["ap50"], "clean fnr": clean["fnr"], "fnr": attacked["fnr"]}
    return found


def _others(network: nn.Module, test: ShipScenes, seed: int, n: int, steps: int) -> dict[str, dict[str, float]]:
    """What isn't at equal energy: a universal pattern, noise, and patches that are pasted over."""
    own = scenes(seed, 3, n)
    universal = UniversalAttenuation(TASK, TAU, seed=seed).fit(network, own.images, own.oriented)
    turned, _ = universal(test.images, test.oriented)
    draw = torch.Generator().manual_seed(seed)
    noisy = (test.images + 2 / 255 * torch.randn(test.images.shape, generator=draw)).clamp(0, 1)
    found = {
        "universal pattern, share 0.1": rates(network, turned, test.truth),
        "Gaussian noise, 2 of 255": rates(network, noisy, test.truth),
    }
    batches = [(own.images, DetectionBatch(own.truth))]
    for kind in (AdvPatch, RobustDPatch):
        patch = kind(TASK, pixels=16, steps=steps, seed=seed)
        measured = patch.fit(network, batches).measure(network, [(test.images, DetectionBatch(test.truth))])
        for name, row in measured.rates.items():
            if name != "none":
                said = f"{patch.name}, pasted" if name == "patch" else f"{name} in place of {patch.name}"
                found[said] = {"fnr": row["false_negative_rate"], "fppi": row["false_positives_per_image"]}
    return found


def _speed(network: nn.Module, test: ShipScenes, attack: Any) -> dict[str, float]:
    """CPU seconds of ten steps: all images at once, and one by one."""
    some = min(12, len(test))
    at_once, one_by_one = attack(steps=10, early_stop=False), attack(steps=10, early_stop=False, batch_size=1)
    seconds = []
    for one, n in ((at_once, len(test)), (one_by_one, some)):
        begin = time.process_time()
        one(network, test.images[:n], test.truth[:n])
        seconds.append((time.process_time() - begin) / n)
    return {"at once": 1 / seconds[0], "one by one": 1 / seconds[1]}


def _pictures(network: nn.Module, test: ShipScenes, ours: Tensor, seed: int) -> list[dict[str, str]]:
    """Some scenes as they are, less a constant share, and with the patch."""
    constant, _ = attenuated("constant", test.images, test.truth, TAU, seed=seed)
    shown = []
    for name, images in (("as it is", test.images), ("a tenth of each pixel", constant), ("SAAP, a tenth", ours)):
        with torch.no_grad():
            claims = TASK.prediction(network(images[:3]))
        strip = torch.cat(list(images[:3]), 2)
        note = ", ".join(f"{len(c)} found of {len(t)}" for c, t in zip(claims, test.truth))
        large = strip.repeat_interleave(2, 1).repeat_interleave(2, 2)
        shown.append({"png": encode(large, side=384), "caption": name, "note": note})
    return shown
