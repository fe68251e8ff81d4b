"""Fields, equations and operators: networks for science.

Begin with `jet` (exact derivatives in one forward pass) and `LeastSquaresProblem` with `fit_problem`.

Example:
    >>> u = field(2, hidden=(20, 20))
    >>> blocks = [Block("pde", lambda u, x: laplacian(u, x) + 1, (Box((0, 1), (0, 1)).sample(200),))]
    >>> fit_problem(LeastSquaresProblem(u, blocks), [("lm", 5)]).steps
    5
"""

from deepwright.physics.balance import GradNormBalancer, NTKBalancer, causal_weights
from deepwright.physics.diff import curl2d, divergence, hessian_diag, jacobian, jet, laplacian
from deepwright.physics.jets import Jet
from deepwright.physics.lsq import Block, Diverged, LeastSquaresProblem
from deepwright.physics.networks import FourierFeatures, Rescale, ResidualBlock, Sine, field
from deepwright.physics.optim import LevenbergMarquardt, StepInfo
from deepwright.physics.points import Ball, Box, LevelSet, SpaceTime, adaptive, require_inside
from deepwright.physics.quasi_newton import QuasiNewton
from deepwright.physics.training import Phase, Training, fit_problem, schedule_for

__all__ = [
    "Ball", "Block", "Box", "Diverged", "FourierFeatures", "GradNormBalancer", "Jet", "LeastSquaresProblem", "LevelSet",
    "LevenbergMarquardt", "NTKBalancer", "Phase", "QuasiNewton", "Rescale", "ResidualBlock", "Sine", "SpaceTime", "StepInfo",
    "Training", "adaptive", "causal_weights", "curl2d", "divergence", "field", "fit_problem", "hessian_diag", "jacobian", "jet",
    "laplacian", "require_inside", "schedule_for",
]  # fmt: skip
