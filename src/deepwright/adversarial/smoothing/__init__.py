"""Certified radii by randomised smoothing: what a network says most often under noise, and how far that surely holds.

Example:
    >>> import torch
    >>> from deepwright.adversarial.smoothing import Smoothed
    >>> side = torch.nn.Linear(2, 2).eval()  # which side of a line: class 1 where the first number is above 0
    >>> _ = side.weight.data.copy_(torch.tensor([[0.0, 0.0], [9.0, 0.0]])), side.bias.data.zero_()
    >>> found = Smoothed(side, sigma=0.5).certify(torch.tensor([[0.6, 0.0]]), draws=2000)
    >>> int(found.prediction), 0.5 < float(found.radius) < 0.6  # the distance to the line, from below
    (1, True)
"""

from deepwright.adversarial.smoothing.accuracy import CertifiedAccuracy, certified_accuracy
from deepwright.adversarial.smoothing.network import NoisyMean
from deepwright.adversarial.smoothing.smoothed import ABSTAINED, Certificates, Smoothed

__all__ = ["ABSTAINED", "Certificates", "CertifiedAccuracy", "NoisyMean", "Smoothed", "certified_accuracy"]
