"""Two-phase flow with moving interfaces: a network a phase, coupled where they meet (arXiv 2604.00948).

Example:
    >>> from deepwright.physics.two_phase import PointCounts, TwoPhasePINN, droplet
    >>> solver = TwoPhasePINN(droplet(), (6,), counts=PointCounts(40, 30, 30, 30, 8))
    >>> solver.fit([("lm", 3)]).steps
    3
"""

from deepwright.physics.two_phase.baselines import Smeared, one_network
from deepwright.physics.two_phase.exact_flows import core_flow, droplet, general, layers, static_ball, static_droplet
from deepwright.physics.two_phase.functional import Functional, PointCounts
from deepwright.physics.two_phase.interface import Interface, OnInterface
from deepwright.physics.two_phase.markers import Markers, ring
from deepwright.physics.two_phase.model import AxisymmetricNet, Flow, PiecewiseNet, SquaredRadius
from deepwright.physics.two_phase.problem import TwoPhaseProblem
from deepwright.physics.two_phase.residuals import Residuals
from deepwright.physics.two_phase.several import Several
from deepwright.physics.two_phase.slabs import Slabs
from deepwright.physics.two_phase.solver import TwoPhasePINN
from deepwright.physics.two_phase.tracking import Tracked
from deepwright.physics.two_phase.transport import carry, moving_integral, transport_gap

__all__ = [
    "AxisymmetricNet",
    "Flow",
    "Functional",
    "Interface",
    "Markers",
    "OnInterface",
    "PiecewiseNet",
    "PointCounts",
    "Residuals",
    "Several",
    "Slabs",
    "Smeared",
    "SquaredRadius",
    "Tracked",
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
