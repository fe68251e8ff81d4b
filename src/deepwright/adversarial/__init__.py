"""Attacks on one engine: gradient, minimal-norm and black-box, for any task, in pixel space.

Example:
    >>> import torch
    >>> from deepwright.adversarial import PGD
    >>> from deepwright.core.tasks import Binary
    >>> model = torch.nn.Linear(4, 1).eval()
    >>> _ = torch.nn.init.ones_(model.weight), torch.nn.init.constant_(model.bias, -2.0)
    >>> x = torch.full((2, 4), 0.5) + torch.tensor([[0.02], [0.2]])  # z = 0.08 and 0.8: an L-inf budget of a quarter
    >>> PGD(eps=0.1, task=Binary())(model, x, torch.tensor([1, 1])).success
    tensor([ True, False])
"""

from deepwright.adversarial.adapters import from_art, from_foolbox, to_foolbox
from deepwright.adversarial.attacks import (
    APGD,
    APGDT,
    BIM,
    DAG,
    FABT,
    FGSM,
    MIFGSM,
    NIFGSM,
    PGD,
    RFGSM,
    VMIFGSM,
    Boundary,
    CarliniWagner,
    ClassRemoval,
    CosPGD,
    DeepFool,
    DensePGD,
    DiverseInputs,
    Fabricate,
    HopSkipJump,
    Mislabel,
    Noise,
    Scales,
    SegPGD,
    SequenceFGSM,
    SequenceSearch,
    SmoothGradients,
    Spatial,
    Square,
    TargetScene,
    UniversalPerturbation,
    Vanish,
)
from deepwright.adversarial.engine import Attack, AttackResult
from deepwright.adversarial.masking import masking_flags
from deepwright.adversarial.patches import SAAP, AdversarialPatch, AdvPatch, DPatch, RobustDPatch, smallest_shares
from deepwright.adversarial.projections import norms, project
from deepwright.adversarial.robustness import RobustnessReport, curve, minimal_eps, robust_accuracy
from deepwright.adversarial.semantic import (
    AdaptivePGD,
    DenseFeatureDetector,
    FeatureSqueezing,
    Monitored,
    SequentialAlarm,
    measure_detection,
)
from deepwright.adversarial.sharpening import BiLevel, ContrastStretch, FastPreemption, LaplacianSharpen, Unsharp
from deepwright.adversarial.smoothing import Smoothed, certified_accuracy
from deepwright.adversarial.suites import AttackSuite, WorstImages, suite
from deepwright.adversarial.surrogates import Surrogates, bpda

ALL: tuple[type[Attack], ...] = (
    *(FGSM, RFGSM, BIM, PGD, APGD, APGDT, FABT, DeepFool, CarliniWagner),
    *(MIFGSM, NIFGSM, VMIFGSM),
    *(Square, Boundary, HopSkipJump, Noise),
)
DENSE: tuple[type[Attack], ...] = (DensePGD, SegPGD, CosPGD, DAG, TargetScene, ClassRemoval)
"""Those for a class at every position."""
DETECTING: tuple[type[Attack], ...] = (Vanish, Fabricate, Mislabel, DAG)
"""Those for the candidates of a detector."""

__all__ = [
    "ALL",
    "APGD",
    "APGDT",
    "BIM",
    "DAG",
    "DENSE",
    "DETECTING",
    "FABT",
    "FGSM",
    "MIFGSM",
    "NIFGSM",
    "PGD",
    "RFGSM",
    "SAAP",
    "VMIFGSM",
    "AdaptivePGD",
    "AdvPatch",
    "AdversarialPatch",
    "Attack",
    "AttackResult",
    "AttackSuite",
    "BiLevel",
    "Boundary",
    "CarliniWagner",
    "ClassRemoval",
    "ContrastStretch",
    "CosPGD",
    "DPatch",
    "DeepFool",
    "DenseFeatureDetector",
    "DensePGD",
    "DiverseInputs",
    "Fabricate",
    "FastPreemption",
    "FeatureSqueezing",
    "HopSkipJump",
    "LaplacianSharpen",
    "Mislabel",
    "Monitored",
    "Noise",
    "RobustDPatch",
    "RobustnessReport",
    "Scales",
    "SegPGD",
    "SequenceFGSM",
    "SequenceSearch",
    "SequentialAlarm",
    "SmoothGradients",
    "Smoothed",
    "Spatial",
    "Square",
    "Surrogates",
    "TargetScene",
    "UniversalPerturbation",
    "Unsharp",
    "Vanish",
    "WorstImages",
    "bpda",
    "certified_accuracy",
    "curve",
    "from_art",
    "from_foolbox",
    "masking_flags",
    "measure_detection",
    "minimal_eps",
    "norms",
    "project",
    "robust_accuracy",
    "smallest_shares",
    "suite",
    "to_foolbox",
]
