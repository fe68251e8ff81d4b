"""The networks of the study: one that reads pictures, one that a publisher may ask, one that nobody asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from deepwright.adversarial.sharpening import ContrastStretch, LaplacianSharpen
from deepwright.adversarial.sharpening.arms import Arm
from deepwright.core.inference import logits_of
from deepwright.core.randomness import derive_seed, generator, local_rng
from deepwright.data import load, texture_waves
from deepwright.nets import cifar_resnet
from deepwright.nets import load as load_network
from deepwright.studies._networks import train

WIDTHS = {"surrogate": (12, 24, 24, 5), "target": (8, 16, 16, 7), "stranger": (10, 20, 20, 3)}
"""Channels of three convolutions, and the width of the first; each has another activation."""
ACTIVATIONS: dict[str, type[nn.Module]] = {"surrogate": nn.ReLU, "target": nn.GELU, "stranger": nn.SiLU}
_RETRAINED = {
    "Laplacian": Arm("Laplacian", LaplacianSharpen(0.25)),
    "contrast": Arm("contrast", ContrastStretch(), LaplacianSharpen(0.25)),
}
"""What a target is trained on that awaits published pictures; its control sees plain ones from another start."""
LEAST = 0.93  # of the clean accuracy of all three: else networks and pictures are drawn anew
TRAINED, EPOCHS = 4000, 10
LR = 3e-3


@dataclass(frozen=True)
class World:
    """Networks, and pictures that none of them was trained on.

    Attributes:
        networks: by name.
        validation: pictures in [0, 1] with labels, on which settings are chosen.
        test: the others.
        drawn: how often networks and pictures were drawn until all were good enough.
    """

    networks: dict[str, nn.Module]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    drawn: int = 1


def right(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Whether each picture is read rightly.

    Args:
        network: reads it.
        x: pictures.
        y: labels.
    """
    return logits_of(network, x.split(200)).argmax(1) == y


@lru_cache(maxsize=1)
def waves(seed: int, pictures: int, epochs: int) -> World:
    """Networks for pictures of waves, each at least `LEAST` right; full trainings only.

    Args:
        seed: of pictures and networks.
        pictures: of validation, and of test.
        epochs: of each training.
    """
    for drawn in range(1, 6):
        own = derive_seed("waves", drawn, seed=seed)
        x, y = texture_waves(TRAINED + 2 * pictures, own)
        x = (x * 255).round() / 255
        seen, held = (x[:TRAINED], y[:TRAINED]), (x[TRAINED:], y[TRAINED:])
        networks = {name: _trained(name, seen, epochs, own) for name in WIDTHS}
        networks["target, retrained on none"] = _trained("target", seen, epochs, derive_seed("anew", seed=own))
        for name, arm in _RETRAINED.items():
            published = (arm.publish(seen[0]).pictures, seen[1])
            networks[f"target, retrained on {name}"] = _trained("target", published, epochs, own)
        clean = [float(right(networks[name], *held).float().mean()) for name in WIDTHS]
        if min(clean) >= LEAST or epochs < EPOCHS:
            break
    parts = [(held[0][a], held[1][a]) for a in (slice(pictures), slice(pictures, None))]
    return World(networks, parts[0], parts[1], drawn)


def _trained(name: str, data: tuple[Tensor, Tensor], epochs: int, seed: int) -> nn.Module:
    a, b, c, first = WIDTHS[name]
    layers: list[nn.Module] = []
    for wide, out, side in ((1, a, first), (a, b, 3), (b, c, 3)):
        convolution = nn.Conv2d(wide, out, side, 2, side // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(out), ACTIVATIONS[name]()]
    with local_rng(derive_seed(name, seed=seed)):
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                layer.reset_parameters()
        network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 8))
    return train(network, data, epochs, seed, LR, 100).eval()


@lru_cache(maxsize=1)
def photographs(root: Path, seed: int, pictures: int, epochs: int, trained: int) -> World:
    """CIFAR-10: the target is the bundled ResNet-20, the surrogate a ResNet-8 that is trained here.

    Args:
        root: of the data.
        seed: of surrogate and pictures.
        pictures: of validation, and of test, other ones for each seed.
        epochs: of the surrogate's training.
        trained: photographs that it is trained on.
    """
    data = load("cifar10", root=root, train_limit=trained, seed=seed)
    with local_rng(derive_seed("surrogate", seed=seed)):
        network = cifar_resnet(8)
    surrogate = train(network, (data.train.inputs(), data.train.y), epochs, seed, 1e-2, 128).eval()
    order = torch.randperm(len(data.test), generator=generator(seed, "photographs"))[: 2 * pictures]
    x, y = data.test.inputs(order), data.test.y[order]
    return World(
        {"surrogate": surrogate, "target": load_network("resnet20-cifar10")},
        (x[:pictures], y[:pictures]),
        (x[pictures:], y[pictures:]),
    )
