"""Adversarial training of a detector: some images of each batch are attacked by what the detector is now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.adversarial.patches.attenuation import SAAP
from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_within

Hook = Callable[[nn.Module, Float[Tensor, "n c h w"], Sequence[Detections], Int64[Tensor, " n"]], Tensor]


def adversarial_training_hook(attack: SAAP, p: float = 0.5) -> Hook:
    """(detector, images, true boxes, numbers of the images) -> images, of which a share p is attacked.

    For any training loop: call it on each batch before the loss. Which images are attacked depends on their numbers and
    the attack's seed only, so that a resumed training sees the same; give numbers that go on from epoch to epoch.

    Args:
        attack: a quick one: a few steps.
        p: the share.

    Raises:
        InputError: no `SAAP`, a share outside [0, 1].
    """
    if not isinstance(attack, SAAP):
        raise InputError("attack", given=type(attack).__name__, expected="patches.SAAP(...)")
    require_within(0, 1, p=p)

    def hook(detector: nn.Module, images: Tensor, truth: Sequence[Detections], numbers: Tensor) -> Tensor:
        chosen = (Streams(attack.seed, numbers, "attacked in training").uniform() < p).nonzero().flatten()
        if not len(chosen):
            return images
        was = detector.training
        detector.eval()
        try:
            rows = chosen.to(images.device)
            found = attack(detector, images[rows], [truth[i] for i in chosen.tolist()], ids=numbers[chosen])
        finally:
            detector.train(was)
        out = images.clone()
        out[rows] = found.images
        return out

    return hook
