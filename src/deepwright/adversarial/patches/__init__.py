"""Patches against networks: attenuation that hides objects from detectors, and what is pasted over images.

`SAAP` takes away a set share of each object's amplitude where it hides the object best; `attenuated` are its controls
at the same share, `smallest_shares` says how little is enough. `AdversarialPatch` is the classical patch on any task,
`AdvPatch`, `DPatch` and `RobustDPatch` those for detectors.

Example:
    >>> import torch
    >>> from deepwright.adversarial.patches import attenuated
    >>> images, boxes = torch.full((1, 1, 8, 8), 0.5), [torch.tensor([[2.0, 2.0, 6.0, 6.0]])]
    >>> moved, shares = attenuated("brightest", images, boxes, tau=0.25)
    >>> round(float(shares[0]), 6), int((moved == 0).sum())  # a quarter of the object's 16 pixels
    (0.25, 4)
"""

from deepwright.adversarial.patches.attenuation import SAAP
from deepwright.adversarial.patches.fills import FILLS, attenuated
from deepwright.adversarial.patches.mixed import SceneResults, attack_scenes
from deepwright.adversarial.patches.pasting import Placement, total_variation, unprintable, usual_colours
from deepwright.adversarial.patches.physical import PSF
from deepwright.adversarial.patches.printed import AdversarialPatch, AdvPatch, DPatch, PatchReport, RobustDPatch
from deepwright.adversarial.patches.results import PatchResult, apply_patches, load_patches, save_patches
from deepwright.adversarial.patches.shares import constant_shares, energy_shares, smallest_shares
from deepwright.adversarial.patches.training import adversarial_training_hook
from deepwright.adversarial.patches.transformations import EOT
from deepwright.adversarial.patches.universal import UniversalAttenuation

__all__ = [
    "EOT",
    "FILLS",
    "PSF",
    "SAAP",
    "AdvPatch",
    "AdversarialPatch",
    "DPatch",
    "PatchReport",
    "PatchResult",
    "Placement",
    "RobustDPatch",
    "SceneResults",
    "UniversalAttenuation",
    "adversarial_training_hook",
    "apply_patches",
    "attack_scenes",
    "attenuated",
    "constant_shares",
    "energy_shares",
    "load_patches",
    "save_patches",
    "smallest_shares",
    "total_variation",
    "unprintable",
    "usual_colours",
]
