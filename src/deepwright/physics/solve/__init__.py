"""Partial differential equations as sums of squares: problems, optimizers, schedules, certificates.

Example:
    >>> from deepwright.physics import Box, field, laplacian
    >>> from deepwright.physics.solve import Condition, PDEProblem, certify
    >>> conditions = [
    ...     Condition("equation", lambda u, x: laplacian(u, x) + 1, points=100),
    ...     Condition("edge", lambda u, x: u(x), "boundary", points=40, weight=10.0),
    ... ]
    >>> problem = PDEProblem("membrane", Box((0, 1), (0, 1)), conditions)
    >>> found = problem.solve(network=field(2, hidden=(8, 8)), schedule=[("lm", 10)])
    >>> sorted(certify(problem, found.network).fresh)
    ['edge', 'equation']
"""

from deepwright.physics.solve.balance import GradNormBalancer, NTKBalancer, causal_weights
from deepwright.physics.solve.block import Block, Diverged
from deepwright.physics.solve.certificate import Certificate, certify
from deepwright.physics.solve.hard import Hard, HardNetwork
from deepwright.physics.solve.least_squares import LeastSquaresProblem
from deepwright.physics.solve.levenberg_marquardt import LevenbergMarquardt, StepInfo
from deepwright.physics.solve.problem import Condition, PDEProblem, Solution, relative_errors
from deepwright.physics.solve.quasi_newton import QuasiNewton
from deepwright.physics.solve.schedule import OPTIMIZERS, Phase, schedule_for
from deepwright.physics.solve.training import Training, fit_problem, part_of
from deepwright.physics.solve.uncertainty import covariance, determined
from deepwright.physics.solve.unknowns import Unknown, WithUnknowns

__all__ = [
    "OPTIMIZERS",
    "Block",
    "Certificate",
    "Condition",
    "Diverged",
    "GradNormBalancer",
    "Hard",
    "HardNetwork",
    "LeastSquaresProblem",
    "LevenbergMarquardt",
    "NTKBalancer",
    "PDEProblem",
    "Phase",
    "QuasiNewton",
    "Solution",
    "StepInfo",
    "Training",
    "Unknown",
    "WithUnknowns",
    "causal_weights",
    "certify",
    "covariance",
    "determined",
    "fit_problem",
    "part_of",
    "relative_errors",
    "schedule_for",
]
