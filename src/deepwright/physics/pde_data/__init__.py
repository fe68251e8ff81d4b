"""Trajectories of partial differential equations: made, read and written in PDEBench's layouts, and measured.

Begin with a generator (`burgers1d`, `navier_stokes2d`, ...) or `read_pdebench`; `to_unified` makes batches that
operators of all dimensions take.

Example:
    >>> data = burgers1d(n=3, nu=0.05, nx=64, t=0.2, dt_save=0.1)
    >>> data.u.shape  # trajectories, frames, points, channels
    (3, 3, 64, 1)
    >>> to_unified(data, ChannelRegistry(), context=2).u.shape
    torch.Size([3, 1, 3, 64, 1, 1])
"""

from deepwright.physics.pde_data.batches import BOUNDARIES, PDEBatch, from_unified, to_unified
from deepwright.physics.pde_data.channels import ChannelRegistry
from deepwright.physics.pde_data.corpus import line_corpus, plane_corpus, space_corpus, unified
from deepwright.physics.pde_data.filling import fill_in
from deepwright.physics.pde_data.gas import compressible, turbulence
from deepwright.physics.pde_data.generators_1d import (
    SHAPES,
    RandomWaves,
    advection1d,
    burgers1d,
    cole_hopf,
    diffusion_reaction1d,
    etdrk4,
)
from deepwright.physics.pde_data.generators_nd import (
    advection_diffusion3d,
    diffusion_reaction2d,
    navier_stokes2d,
    random_vorticity,
    shallow_water2d,
)
from deepwright.physics.pde_data.metrics import FieldErrors, field_errors
from deepwright.physics.pde_data.patches import Patchify
from deepwright.physics.pde_data.pdebench import layout_of, read_pdebench, write_pdebench
from deepwright.physics.pde_data.trajectories import PDEDataset

__all__ = [
    "BOUNDARIES",
    "SHAPES",
    "ChannelRegistry",
    "FieldErrors",
    "PDEBatch",
    "PDEDataset",
    "Patchify",
    "RandomWaves",
    "advection1d",
    "advection_diffusion3d",
    "burgers1d",
    "cole_hopf",
    "compressible",
    "diffusion_reaction1d",
    "diffusion_reaction2d",
    "etdrk4",
    "field_errors",
    "fill_in",
    "from_unified",
    "layout_of",
    "line_corpus",
    "navier_stokes2d",
    "plane_corpus",
    "random_vorticity",
    "read_pdebench",
    "shallow_water2d",
    "space_corpus",
    "to_unified",
    "turbulence",
    "unified",
    "write_pdebench",
]
