"""Regions built from others, drawn by corners, or given as a mesh or a level set; each is a `Domain` of a problem.

All have even points inside and on the boundary and outward normals; all but level sets have `distance` (signed, below 0
inside; exact, or a bound where it says so) and `smooth_distance` (0 on the boundary, for `Hard` conditions).

Example:
    >>> from deepwright.physics import Ball, Box
    >>> plate = Difference(Box((0, 1), (0, 1)), Ball((0.5, 0.5), 0.2))
    >>> x, normal = plate.sample_boundary(400)
    >>> round(float((plate.distance(x).abs() < 1e-9).double().mean()), 2)
    1.0
"""

from deepwright.physics.geometry.combined import Difference, Intersection, Union
from deepwright.physics.geometry.level_set import LevelSet
from deepwright.physics.geometry.mesh import Mesh
from deepwright.physics.geometry.polygon import Polygon

__all__ = ["Difference", "Intersection", "LevelSet", "Mesh", "Polygon", "Union"]
