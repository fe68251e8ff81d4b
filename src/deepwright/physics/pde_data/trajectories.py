"""Trajectories of partial differential equations: what a data set of them holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from deepwright.core.errors import InputError


@dataclass(frozen=True)
class PDEDataset:
    """Solutions of one equation on one grid.

    Attributes:
        u: (N, T, X[, Y[, Z]], C).
        coords: "t" (T,), "x" (X,), and "y", "z" where there are such axes; even spacing.
        params: (N, p) of each trajectory.
        pde: name of the equation.
        bc: name of the boundary ("periodic", "neumann", "extrapolation").
        param_names: p names.
        channels: C names.
        note: where they are from.

    Raises:
        InputError: shapes that don't fit.
    """

    u: np.ndarray
    coords: dict[str, np.ndarray]
    params: np.ndarray
    pde: str
    bc: str = "periodic"
    param_names: tuple[str, ...] = ()
    channels: tuple[str, ...] = ("u",)
    note: str = field(default="")

    def __post_init__(self) -> None:
        if self.u.ndim not in (4, 5, 6) or self.u.shape[-1] != len(self.channels) or len(self.params) != len(self.u):
            raise InputError(
                "PDEDataset",
                given=f"u of shape {self.u.shape}, {len(self.channels)} channels, {len(self.params)} parameters",
                expected="(N, T, X[, Y[, Z]], C), C names, N rows",
            )

    def __len__(self) -> int:
        return len(self.u)

    @property
    def dim(self) -> int:
        """Axes of space."""
        return self.u.ndim - 3

    def __getitem__(self, rows: slice | np.ndarray) -> PDEDataset:
        """Some trajectories."""
        return replace(self, u=self.u[rows], params=self.params[rows])

    def thinned(self, reduce_x: int = 1, reduce_t: int = 1) -> PDEDataset:
        """Every so many points and frames.

        Args:
            reduce_x: points along each axis.
            reduce_t: frames.

        Raises:
            InputError: less than 1.
        """
        if reduce_x < 1 or reduce_t < 1:
            raise InputError("reduce", given=f"x {reduce_x}, t {reduce_t}", expected="at least 1 each")
        space = (slice(None, None, reduce_x),) * self.dim
        u = self.u[(slice(None), slice(None, None, reduce_t), *space)]
        coords = {k: v[:: reduce_t if k == "t" else reduce_x] for k, v in self.coords.items()}
        return replace(self, u=u, coords=coords)

    def single(self) -> PDEDataset:
        """In float32."""
        return replace(self, u=self.u.astype(np.float32))


def save_times(end: float, dt_save: float) -> np.ndarray:
    """(T,) 0, dt_save, ..., end.

    Args:
        end: the last time.
        dt_save: between two.

    Raises:
        InputError: an end that isn't a whole number of them.
    """
    steps = round(end / dt_save) if dt_save > 0 else 0
    if steps < 1 or abs(steps * dt_save - end) > 1e-9 * max(end, 1):
        raise InputError("dt_save", given=f"{dt_save} for an end of {end}", expected="a whole part of it")
    return np.linspace(0, end, steps + 1)


def per_trajectory(value: float | np.ndarray, n: int, name: str) -> np.ndarray:
    """(n,) values from one for all or one each.

    Args:
        value: one, or n of them.
        n: how many.
        name: of the argument, for errors.

    Raises:
        InputError: another number of values, or values that aren't finite.
    """
    values = np.asarray(value, dtype=float)
    if values.shape not in ((), (1,), (n,)) or not np.isfinite(values).all():
        raise InputError(name, given=value, expected=f"a finite number, or {n} of them")
    return np.broadcast_to(values, (n,)).copy()
