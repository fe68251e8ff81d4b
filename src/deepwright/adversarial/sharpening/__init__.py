"""Robust before the attack: pictures that are sharpened when they are published.

Whoever publishes pictures that a foreign network will read owns them before an attacker does. Begin with
`LaplacianSharpen("psnr:30")`, and with `compare`, which holds it against what else changes a picture as much.

Example:
    >>> import torch
    >>> from deepwright.adversarial.sharpening import LaplacianSharpen
    >>> picture = torch.full((1, 1, 5, 5), 0.5)
    >>> picture[0, 0, 2, 2] += 0.1
    >>> published = LaplacianSharpen(0.25)(picture)
    >>> [round(float(v), 3) for v in published[0, 0, 2, 1:4]]  # the spot by a half more, its neighbours by a quarter
    [0.475, 0.7, 0.475]
"""

from deepwright.adversarial.sharpening.alignment import align_surrogate
from deepwright.adversarial.sharpening.bilevel import BiLevel
from deepwright.adversarial.sharpening.compared import Comparison, Row
from deepwright.adversarial.sharpening.comparing import compare
from deepwright.adversarial.sharpening.controls import BitDepth, Blur, GaussianNoise, Jpeg
from deepwright.adversarial.sharpening.enhancement import Enhancement
from deepwright.adversarial.sharpening.fidelity import psnr, ssim
from deepwright.adversarial.sharpening.filters import ContrastStretch, GuidedSharpen, LaplacianSharpen, Unsharp
from deepwright.adversarial.sharpening.frequencies import gain, reverse
from deepwright.adversarial.sharpening.iterating import LastIterate
from deepwright.adversarial.sharpening.preemption import FastPreemption
from deepwright.adversarial.sharpening.stencil import laplacian
from deepwright.adversarial.sharpening.strengths import Strengths
from deepwright.adversarial.sharpening.texture import blocking, texture_correlation, texture_intensity

__all__ = [
    "BiLevel",
    "BitDepth",
    "Blur",
    "Comparison",
    "ContrastStretch",
    "Enhancement",
    "FastPreemption",
    "GaussianNoise",
    "GuidedSharpen",
    "Jpeg",
    "LaplacianSharpen",
    "LastIterate",
    "Row",
    "Strengths",
    "Unsharp",
    "align_surrogate",
    "blocking",
    "compare",
    "gain",
    "laplacian",
    "psnr",
    "reverse",
    "ssim",
    "texture_correlation",
    "texture_intensity",
]
