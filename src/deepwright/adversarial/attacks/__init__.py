"""The attacks: gradient, minimal-norm, black-box and noise, each a class on `Attack`.

Example:
    >>> import torch
    >>> from deepwright.adversarial.attacks import DeepFool
    >>> model = torch.nn.Linear(3, 2, bias=False).eval()
    >>> _ = model.weight.data.copy_(torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
    >>> found = DeepFool(overshoot=0.0)(model, torch.tensor([[0.5, 0.0, 0.5]]), torch.tensor([0]))
    >>> round(float(found.norm), 3)  # |z_0 - z_1| / ||w_0 - w_1|| = 1.5 / 5
    0.3
"""

from deepwright.adversarial.attacks.apgd import APGD, APGDT
from deepwright.adversarial.attacks.boundary import Boundary
from deepwright.adversarial.attacks.carlini import CarliniWagner
from deepwright.adversarial.attacks.dag import DAG
from deepwright.adversarial.attacks.deepfool import DeepFool
from deepwright.adversarial.attacks.dense import ClassRemoval, CosPGD, DensePGD, SegPGD, TargetScene
from deepwright.adversarial.attacks.detecting import Fabricate, Mislabel, Vanish
from deepwright.adversarial.attacks.fab import FABT
from deepwright.adversarial.attacks.gradient import BIM, FGSM, PGD, RFGSM
from deepwright.adversarial.attacks.hopskipjump import HopSkipJump
from deepwright.adversarial.attacks.noise import Noise
from deepwright.adversarial.attacks.sequences import SequenceFGSM, SequenceSearch
from deepwright.adversarial.attacks.spatial import Spatial
from deepwright.adversarial.attacks.square import Square
from deepwright.adversarial.attacks.transfer import MIFGSM, NIFGSM, VMIFGSM
from deepwright.adversarial.attacks.universal import UniversalPerturbation
from deepwright.adversarial.attacks.variations import DiverseInputs, Scales, SmoothGradients

__all__ = [
    "APGD",
    "APGDT",
    "BIM",
    "DAG",
    "FABT",
    "FGSM",
    "MIFGSM",
    "NIFGSM",
    "PGD",
    "RFGSM",
    "VMIFGSM",
    "Boundary",
    "CarliniWagner",
    "ClassRemoval",
    "CosPGD",
    "DeepFool",
    "DensePGD",
    "DiverseInputs",
    "Fabricate",
    "HopSkipJump",
    "Mislabel",
    "Noise",
    "Scales",
    "SegPGD",
    "SequenceFGSM",
    "SequenceSearch",
    "SmoothGradients",
    "Spatial",
    "Square",
    "TargetScene",
    "UniversalPerturbation",
    "Vanish",
]
