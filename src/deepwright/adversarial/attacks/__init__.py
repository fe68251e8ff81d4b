"""The attacks: gradient, minimal-norm, black-box and noise, each a class on `Attack`.

Example:
    >>> from deepwright.adversarial.attacks import PGD
    >>> PGD(eps=0.1, steps=20)(model, x, y).success.float().mean()  # doctest: +SKIP
"""

from deepwright.adversarial.attacks.apgd import APGD, APGDT
from deepwright.adversarial.attacks.carlini import CarliniWagner
from deepwright.adversarial.attacks.deepfool import DeepFool
from deepwright.adversarial.attacks.fab import FABT
from deepwright.adversarial.attacks.gradient import BIM, FGSM, PGD, RFGSM
from deepwright.adversarial.attacks.noise import Noise
from deepwright.adversarial.attacks.square import Square

__all__ = ["APGD", "APGDT", "BIM", "FABT", "FGSM", "PGD", "RFGSM", "CarliniWagner", "DeepFool", "Noise", "Square"]
