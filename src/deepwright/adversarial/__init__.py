"""Attacks on one engine: gradient, minimal-norm and black-box, for any task, in pixel space.

Example:
    >>> from deepwright.adversarial import PGD
    >>> result = PGD(eps=0.1, steps=20)(model, x, y)  # doctest: +SKIP
    >>> result.success.float().mean()  # doctest: +SKIP
"""

from deepwright.adversarial.adapters import from_art, from_foolbox, to_foolbox
from deepwright.adversarial.attacks import (
    APGD,
    APGDT,
    BIM,
    FABT,
    FGSM,
    PGD,
    RFGSM,
    CarliniWagner,
    DeepFool,
    Noise,
    Square,
)
from deepwright.adversarial.engine import Attack, AttackResult, bpda
from deepwright.adversarial.losses import LOSSES, deviates
from deepwright.adversarial.projections import norms, project
from deepwright.adversarial.suites import (
    AttackSuite,
    RobustnessReport,
    curve,
    masking_flags,
    minimal_eps,
    robust_accuracy,
    suite,
)

ALL: tuple[type[Attack], ...] = (FGSM, RFGSM, BIM, PGD, APGD, APGDT, FABT, Square, DeepFool, CarliniWagner, Noise)

__all__ = [
    "ALL",
    "APGD",
    "APGDT",
    "BIM",
    "FABT",
    "FGSM",
    "LOSSES",
    "PGD",
    "RFGSM",
    "Attack",
    "AttackResult",
    "AttackSuite",
    "CarliniWagner",
    "DeepFool",
    "Noise",
    "RobustnessReport",
    "Square",
    "bpda",
    "curve",
    "deviates",
    "from_art",
    "from_foolbox",
    "masking_flags",
    "minimal_eps",
    "norms",
    "project",
    "robust_accuracy",
    "suite",
    "to_foolbox",
]
