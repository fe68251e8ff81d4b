"""Partial differential equations as sums of squares: problems, optimisers, schedules, certificates.

Example:
    >>> from deepwright.physics.solve import PDEProblem, certify
    >>> found = problem.solve()  # doctest: +SKIP
"""

from deepwright.physics.solve.balance import GradNormBalancer, NTKBalancer, causal_weights
from deepwright.physics.solve.certificate import Certificate, certify
from deepwright.physics.solve.least_squares import Block, Diverged, LeastSquaresProblem
from deepwright.physics.solve.levenberg_marquardt import LevenbergMarquardt, StepInfo
from deepwright.physics.solve.problem import Condition, PDEProblem, Solution, relative_errors
from deepwright.physics.solve.quasi_newton import QuasiNewton
from deepwright.physics.solve.training import Phase, Training, fit_problem, schedule_for
from deepwright.physics.solve.uncertainty import covariance

__all__ = [
    "Block",
    "Certificate",
    "Condition",
    "Diverged",
    "GradNormBalancer",
    "LeastSquaresProblem",
    "LevenbergMarquardt",
    "NTKBalancer",
    "PDEProblem",
    "Phase",
    "QuasiNewton",
    "Solution",
    "StepInfo",
    "Training",
    "causal_weights",
    "certify",
    "covariance",
    "fit_problem",
    "relative_errors",
    "schedule_for",
]
