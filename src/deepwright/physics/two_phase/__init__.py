"""Two-phase flow with moving interfaces: a network a phase, coupled where they meet (arXiv 2604.00948).

Example:
    >>> from deepwright.physics.two_phase import TwoPhasePINN, droplet
    >>> TwoPhasePINN(droplet(), (16, 16)).fit()  # doctest: +SKIP
"""

from deepwright.physics.two_phase.baselines import Smeared, one_network
from deepwright.physics.two_phase.interface import Interface, Markers, carry, moving_integral, ring, transport_gap
from deepwright.physics.two_phase.interfaces import Several
from deepwright.physics.two_phase.model import AxisymmetricNet, Flow, PiecewiseNet, SquaredRadius
from deepwright.physics.two_phase.problems import core_flow, droplet, general, layers, static_ball, static_droplet
from deepwright.physics.two_phase.slabs import Slabs
from deepwright.physics.two_phase.solver import PointCounts, TwoPhasePINN, TwoPhaseProblem

__all__ = [
    "AxisymmetricNet",
    "Flow",
    "Interface",
    "Markers",
    "PiecewiseNet",
    "PointCounts",
    "Several",
    "Slabs",
    "Smeared",
    "SquaredRadius",
    "TwoPhasePINN",
    "TwoPhaseProblem",
    "carry",
    "core_flow",
    "droplet",
    "general",
    "layers",
    "moving_integral",
    "one_network",
    "ring",
    "static_ball",
    "static_droplet",
    "transport_gap",
]
