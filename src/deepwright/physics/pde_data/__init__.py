"""Trajectories of partial differential equations: made, read and written in PDEBench's layouts, and measured.

Example:
    >>> from deepwright.physics.pde_data import read_pdebench
    >>> read_pdebench('2D_diff-react.h5')  # doctest: +SKIP
"""

from deepwright.physics.pde_data.batches import (
    BOUNDARIES,
    ChannelRegistry,
    Patchify,
    PDEBatch,
    fill_in,
    from_unified,
    to_unified,
)
from deepwright.physics.pde_data.corpus import line_corpus, plane_corpus, space_corpus, unified
from deepwright.physics.pde_data.gas import compressible, turbulence
from deepwright.physics.pde_data.generators_1d import (
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
from deepwright.physics.pde_data.metrics import field_errors
from deepwright.physics.pde_data.pdebench import layout_of, read_pdebench, write_pdebench
from deepwright.physics.pde_data.trajectories import PDEDataset

__all__ = [
    "BOUNDARIES",
    "ChannelRegistry",
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
