"""What a network costs: counted exactly, as a polynomial of the units kept, and on machines that aren't here.

Example:
    >>> from deepwright.compress.counting import cost
    >>> cost(model, x).macs  # doctest: +SKIP
"""

from deepwright.compress.counting.costs import CostReport, cost
from deepwright.compress.counting.latency import Latency, measure_in_turns, measure_latency, onnx_latency
from deepwright.compress.counting.memory import peak_activation_bytes
from deepwright.compress.counting.operations import Layer, layers
from deepwright.compress.counting.polynomial import CostPolynomial
from deepwright.compress.counting.targets import GAP8, Estimate, TargetProfile, expected_macs

__all__ = [
    "GAP8",
    "CostPolynomial",
    "CostReport",
    "Estimate",
    "Latency",
    "Layer",
    "TargetProfile",
    "cost",
    "expected_macs",
    "layers",
    "measure_in_turns",
    "measure_latency",
    "onnx_latency",
    "peak_activation_bytes",
]
