"""Kinetic JKO: Vlasov-Fokker-Planck equations as minimisations with particles (arXiv 2603.23901).

Begin with `KineticJKO(system, start)`: particles carry their log-density, and every step lowers the free energy by at
least what its control costs. `grid_solution` and `gaussian_jko` are references, `langevin` a sampler to compare with.

Example:
    >>> import torch
    >>> start = GaussianMixture.gaussian(torch.tensor([1.5, -0.5]), torch.diag(torch.tensor([0.6, 0.3])))
    >>> system = KineticFokkerPlanck(Harmonic(1.0), friction=1.0, temperature=0.5)
    >>> run = KineticJKO(system, start, velocity="affine", iterations=20, first=50, batch_size=64, particles=256)
    >>> [info.slack > -1e-3 for info in run.run(2)]
    [True, True]
"""

from deepwright.physics.kinetic.baselines import langevin
from deepwright.physics.kinetic.controls import AffineVelocity, AutogradVelocity, PotentialVelocity
from deepwright.physics.kinetic.diagnostics import Equilibrium, equilibrium, knn_entropy, sliced_w2
from deepwright.physics.kinetic.energy_law import StepInfo
from deepwright.physics.kinetic.gaussian import (
    gaussian_flow,
    gaussian_free_energy,
    gaussian_jko,
    harmonic_matrices,
)
from deepwright.physics.kinetic.grid import GridSolution, chang_cooper, grid_solution
from deepwright.physics.kinetic.interactions import Interaction, PairInteraction, QuadraticInteraction
from deepwright.physics.kinetic.jko import KineticJKO
from deepwright.physics.kinetic.mixture import GaussianMixture
from deepwright.physics.kinetic.particles import Initial, PhaseSpaceParticles
from deepwright.physics.kinetic.plasma import PlasmaWave, Poisson1d
from deepwright.physics.kinetic.potentials import CallablePotential, DoubleWell, Free, Harmonic, Potential
from deepwright.physics.kinetic.shared import train_shared
from deepwright.physics.kinetic.step_map import FoldedError, StepMap, substep
from deepwright.physics.kinetic.systems import KineticFokkerPlanck

__all__ = [
    "AffineVelocity",
    "AutogradVelocity",
    "CallablePotential",
    "DoubleWell",
    "Equilibrium",
    "FoldedError",
    "Free",
    "GaussianMixture",
    "GridSolution",
    "Harmonic",
    "Initial",
    "Interaction",
    "KineticFokkerPlanck",
    "KineticJKO",
    "PairInteraction",
    "PhaseSpaceParticles",
    "PlasmaWave",
    "Poisson1d",
    "Potential",
    "PotentialVelocity",
    "QuadraticInteraction",
    "StepInfo",
    "StepMap",
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
