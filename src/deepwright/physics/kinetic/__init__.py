"""Kinetic JKO: Vlasov-Fokker-Planck equations as minimisations with particles (arXiv 2603.23901).

Example:
    >>> from deepwright.physics.kinetic import KineticJKO
    >>> KineticJKO(equation, start, dt=0.1).run(10)  # doctest: +SKIP
"""

from deepwright.physics.kinetic.controls import AffineVelocity, AutogradVelocity, PotentialVelocity
from deepwright.physics.kinetic.gaussian import gaussian_jko
from deepwright.physics.kinetic.grid import chang_cooper, grid_solution
from deepwright.physics.kinetic.plasma import PlasmaWave, Poisson1d
from deepwright.physics.kinetic.sampling import equilibrium, knn_entropy
from deepwright.physics.kinetic.scheme import FoldedError, KineticJKO, PhaseSpaceParticles, substep
from deepwright.physics.kinetic.shared import train_shared
from deepwright.physics.kinetic.systems import (
    CallablePotential,
    DoubleWell,
    Free,
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    PairInteraction,
    QuadraticInteraction,
    gaussian_flow,
    gaussian_free_energy,
    harmonic_matrices,
    langevin,
    sliced_w2,
)

__all__ = [
    "AffineVelocity",
    "AutogradVelocity",
    "CallablePotential",
    "DoubleWell",
    "FoldedError",
    "Free",
    "GaussianMixture",
    "Harmonic",
    "KineticFokkerPlanck",
    "KineticJKO",
    "PairInteraction",
    "PhaseSpaceParticles",
    "PlasmaWave",
    "Poisson1d",
    "PotentialVelocity",
    "QuadraticInteraction",
    "chang_cooper",
    "equilibrium",
    "gaussian_flow",
    "gaussian_free_energy",
    "gaussian_jko",
    "grid_solution",
    "harmonic_matrices",
    "knn_entropy",
    "langevin",
    "sliced_w2",
    "substep",
    "train_shared",
]
