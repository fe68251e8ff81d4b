"""Fields, equations and operators: networks for science.

Begin with `jet` (exact derivatives in one forward pass), `PDEProblem` with `certify`, or a system's own class: `CELG`,
`TwoPhasePINN`, `KineticJKO`, `UniFluids`. A system is imported when one of its names is asked for.

Example:
    >>> u = field(2, hidden=(20, 20))
    >>> blocks = [Block("pde", lambda u, x: laplacian(u, x) + 1, (Box((0, 1), (0, 1)).sample(200),))]
    >>> fit_problem(LeastSquaresProblem(u, blocks), [("lm", 5)]).steps
    5
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepwright.physics.derivatives import Jet, curl2d, divergence, hessian_diag, jacobian, jet, laplacian
from deepwright.physics.domains import Ball, Box, SpaceTime, require_inside
from deepwright.physics.geometry import Difference, Intersection, LevelSet, Mesh, Polygon, Union
from deepwright.physics.networks import FourierFeatures, Rescale, ResidualBlock, Sine, field
from deepwright.physics.points import adaptive
from deepwright.physics.solve import (
    Block,
    Certificate,
    Condition,
    Diverged,
    GradNormBalancer,
    Hard,
    LeastSquaresProblem,
    LevenbergMarquardt,
    NTKBalancer,
    PDEProblem,
    Phase,
    QuasiNewton,
    Solution,
    StepInfo,
    Training,
    Unknown,
    causal_weights,
    certify,
    covariance,
    fit_problem,
    schedule_for,
)

if TYPE_CHECKING:
    from deepwright.physics.kinetic import (
        GaussianMixture,
        Harmonic,
        KineticFokkerPlanck,
        KineticJKO,
        PhaseSpaceParticles,
    )
    from deepwright.physics.linear_grids import CELG, LinearGridEncoding
    from deepwright.physics.pde_data import PDEDataset, read_pdebench, write_pdebench
    from deepwright.physics.two_phase import Flow, Interface, Several, Slabs, TwoPhasePINN, TwoPhaseProblem
    from deepwright.physics.unifluids import FNO, UNet, UniFluids

_SYSTEMS = {
    "kinetic": ("GaussianMixture", "Harmonic", "KineticFokkerPlanck", "KineticJKO", "PhaseSpaceParticles"),
    "linear_grids": ("CELG", "LinearGridEncoding"),
    "pde_data": ("PDEDataset", "read_pdebench", "write_pdebench"),
    "two_phase": ("Flow", "Interface", "Several", "Slabs", "TwoPhasePINN", "TwoPhaseProblem"),
    "unifluids": ("FNO", "UNet", "UniFluids"),
}
_HOME = {name: system for system, names in _SYSTEMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """A system's name, when it is asked for: systems import SciPy and data formats that a field doesn't need."""
    if name in _SYSTEMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "CELG",
    "FNO",
    "Ball",
    "Block",
    "Box",
    "Certificate",
    "Condition",
    "Difference",
    "Diverged",
    "Flow",
    "FourierFeatures",
    "GaussianMixture",
    "GradNormBalancer",
    "Hard",
    "Harmonic",
    "Interface",
    "Intersection",
    "Jet",
    "KineticFokkerPlanck",
    "KineticJKO",
    "LeastSquaresProblem",
    "LevelSet",
    "LevenbergMarquardt",
    "LinearGridEncoding",
    "Mesh",
    "NTKBalancer",
    "PDEDataset",
    "PDEProblem",
    "Phase",
    "PhaseSpaceParticles",
    "Polygon",
    "QuasiNewton",
    "Rescale",
    "ResidualBlock",
    "Several",
    "Sine",
    "Slabs",
    "Solution",
    "SpaceTime",
    "StepInfo",
    "Training",
    "TwoPhasePINN",
    "TwoPhaseProblem",
    "UNet",
    "UniFluids",
    "Union",
    "Unknown",
    "adaptive",
    "causal_weights",
    "certify",
    "covariance",
    "curl2d",
    "divergence",
    "field",
    "fit_problem",
    "hessian_diag",
    "jacobian",
    "jet",
    "laplacian",
    "read_pdebench",
    "require_inside",
    "schedule_for",
    "write_pdebench",
]
