"""Perturbations where a network looks, by a saliency map of any network.

Begin with `Guided(get("gaussian_noise"), InputGradient(model))`, which is called as a perturbation is.
"""

from deepwright.corruptions.guided.perturbation import Guided
from deepwright.corruptions.guided.regions import region_of
from deepwright.corruptions.guided.saliency import ActivationEnergy, GradCAM, InputGradient, unit_range

__all__ = ["ActivationEnergy", "GradCAM", "Guided", "InputGradient", "region_of", "unit_range"]
