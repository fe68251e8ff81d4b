"""Other domains: their low frequencies, their colours, or a way there that is learned.

Begin with `colour_transfer("folder/of/pictures")`, a perturbation as the others are; `CycleGAN().fit(source, target)`
learns one, and `as_perturbation(function, name)` takes what you have.
"""

from deepwright.corruptions.domains.adapters import as_perturbation
from deepwright.corruptions.domains.cyclegan import CycleGAN
from deepwright.corruptions.domains.statistics import colour_transfer, fourier_swap
from deepwright.corruptions.domains.targets import target_pictures

__all__ = ["CycleGAN", "as_perturbation", "colour_transfer", "fourier_swap", "target_pictures"]
