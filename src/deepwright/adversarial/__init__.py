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
from deepwright.adversarial.engine import Attack, AttackResult
from deepwright.adversarial.masking import masking_flags
from deepwright.adversarial.projections import norms, project
from deepwright.adversarial.robustness import RobustnessReport, curve, minimal_eps, robust_accuracy
from deepwright.adversarial.suites import AttackSuite, suite
from deepwright.adversarial.surrogates import bpda

ALL: tuple[type[Attack], ...] = (FGSM, RFGSM, BIM, PGD, APGD, APGDT, FABT, Square, DeepFool, CarliniWagner, Noise)

__all__ = [
    "ALL",
    "APGD",
    "APGDT",
    "BIM",
    "FABT",
    "FGSM",
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
