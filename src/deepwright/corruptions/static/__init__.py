"""Perturbations of single images: noise, blur, weather, tone, geometry, occlusion, codecs."""

from deepwright.corruptions.static.blur import BLUR
from deepwright.corruptions.static.codec import CODEC, differentiable_jpeg
from deepwright.corruptions.static.geometry import GEOMETRY
from deepwright.corruptions.static.noise import NOISE
from deepwright.corruptions.static.occlusion import OCCLUSION
from deepwright.corruptions.static.tone import TONE
from deepwright.corruptions.static.weather import WEATHER, diamond_square

__all__ = [
    "BLUR",
    "CODEC",
    "GEOMETRY",
    "NOISE",
    "OCCLUSION",
    "TONE",
    "WEATHER",
    "diamond_square",
    "differentiable_jpeg",
]
