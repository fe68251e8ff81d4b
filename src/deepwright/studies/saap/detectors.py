"""The two detectors, trained alike on synthetic radar scenes: the house's SSD, and the smallest one of the spec."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepwright.adversarial.patches import SAAP, adversarial_training_hook
from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.randomness import local_rng
from deepwright.core.tasks import CandidateDetection
from deepwright.data import ShipScenes, sar_ships
from deepwright.nets import SSD, CandidateBoxes, CentreDetector, centre_loss, centre_targets, fine_ssd, ssd_loss
from deepwright.nets.ssd import SSDTargets

SSD_NAME, CENTRE = "SSD", "centre detector"
TASK = CandidateDetection(1, ("ship",), score_threshold=0.25, suppression=0.45)
BATCH, RATE, MORE_RATE, ATTACK_STEPS = 32, 3e-3, 1e-3, 6


def scenes(seed: int, part: int, n: int, *, coherent: bool = False) -> ShipScenes:
    """Scenes that no other part of a trial sees.

    Args:
        seed: of the trial.
        part: 0 training, 1 validation, 2 test, 3 for patches that are fitted.
        n: how many.
        coherent: with their fields.
    """
    return sar_ships(n, seed=1000 * seed + part, coherent=coherent)


def trained(kind: str, training: ShipScenes, epochs: int, seed: int) -> nn.Module:
    """A detector that gives candidates.

    Args:
        kind: `SSD_NAME` or `CENTRE`.
        training: scenes.
        epochs: over them.
        seed: of weights and order.
    """
    with local_rng(seed):
        network: nn.Module = CandidateBoxes(fine_ssd()) if kind == SSD_NAME else CentreDetector()
    return fitted(network, training, epochs, RATE, seed)


def fitted(
    network: nn.Module, training: ShipScenes, epochs: int, rate: float, seed: int, attack: SAAP | None = None
) -> nn.Module:
    """The network after so many more epochs; with an attack, half of each batch is attacked by what it is then.

    Args:
        network: trained in place.
        training: scenes.
        epochs: over them.
        rate: peak of the cycle.
        seed: of the order.
        attack: a quick one, or None.
    """
    rows = torch.arange(len(training))
    loss = _loss(network, training)
    hook = None if attack is None else adversarial_training_hook(attack)
    count = [0]

    def step(model: nn.Module, x: Tensor, index: Tensor) -> Tensor:
        if hook is not None:
            numbers = count[0] + torch.arange(len(x))
            count[0] += len(x)
            x = hook(model, x, [training.truth[i] for i in index.tolist()], numbers)
        return loss(x, index)

    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fit(
        network,
        (training.images, rows),
        epochs=epochs,
        batch_size=BATCH,
        step=step,
        optimizer=adamw(rate),
        scheduler=one_cycle(rate),
        clip_norm=10.0,
        seed=seed,
        description="train",
    )
    return network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def _loss(network: nn.Module, training: ShipScenes):  # type: ignore[no-untyped-def]
    """(images, rows) -> the loss to lower."""
    size = training.images.shape[-1]
    if isinstance(network, CentreDetector):
        positive, wanted = centre_targets(training.truth, size, size)
        return lambda x, rows: centre_loss(network.codes(x), positive[rows], wanted[rows])
    assert isinstance(network, CandidateBoxes)
    ssd: SSD = network.network
    targets = SSDTargets.of(ssd.anchors, training.truth, ssd.image_size, 1)
    return lambda x, rows: ssd_loss(ssd(x), ssd.anchors, targets.take(rows), ssd.image_size)
