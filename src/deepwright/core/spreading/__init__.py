"""One function over many pieces, in one process or in several, with the same numbers.

`spread_map` is what loops over data call; `Ranks` are processes with a device each, `on_ray` a cluster.
"""

from deepwright.core.spreading.cluster import Cluster, ClusterError, on_ray, require_ray
from deepwright.core.spreading.ranks import RankError, Ranks, require_devices
from deepwright.core.spreading.spread import alone, spread_map

__all__ = [
    "Cluster",
    "ClusterError",
    "RankError",
    "Ranks",
    "alone",
    "on_ray",
    "require_devices",
    "require_ray",
    "spread_map",
]
