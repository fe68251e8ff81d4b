"""Smaller networks, and what any network costs.

Example:
    >>> from deepwright.compress import cost
    >>> cost(model, x).macs  # doctest: +SKIP
"""

from deepwright.compress.cost import CostReport, Latency, cost, measure_latency, peak_activation_bytes

__all__ = ["CostReport", "Latency", "cost", "measure_latency", "peak_activation_bytes"]
