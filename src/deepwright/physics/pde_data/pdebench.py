"""PDEBench's HDF5 files, read in pieces and written to the bit: four layouts, told apart by what they hold.

"tensor": one data set (N, T, X). "cfd": density, pressure, Vx, ... each (N, T, X[, Y[, Z]]). "seeds": groups 0000,
0001, ... with data (T, X, Y, C) and their grid. "flow": velocity (N, T, X, Y, 2) with particles and force.

The layouts are those of arXiv 2210.07182's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.files import require_plain_file, write_atomic
from deepwright.physics.pde_data.trajectories import PDEDataset

LAYOUTS = ("tensor", "cfd", "seeds", "flow")
_AXES = ("x", "y", "z")
_CFD = ("density", "pressure", "Vx", "Vy", "Vz")


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "hdf5", "PDEBench files") from error
    return h5py


def layout_of(file: Any) -> str:
    """Which layout an open file has.

    Args:
        file: an open `h5py.File`.

    Raises:
        InputError: none of them (what it holds is told).
    """
    keys = set(file.keys())
    if "tensor" in keys:
        return "tensor"
    if {"density", "pressure", "Vx"} <= keys:
        return "cfd"
    if "velocity" in keys:
        return "flow"
    if keys and all(k.isdigit() and "data" in file[k] for k in keys):
        return "seeds"
    raise InputError(
        "PDEBench file", given=f"holds {sorted(keys)[:8]}", expected="one of the layouts " + ", ".join(LAYOUTS)
    )


def read_pdebench(
    path: Path | str, *, reduce_x: int = 1, reduce_t: int = 1, samples: int | Sequence[int] | None = None, pde: str = ""
) -> PDEDataset:
    """Read some trajectories; only what is asked for leaves the disk.

    Args:
        path: an HDF5 file.
        reduce_x: take every so many points along each axis.
        reduce_t: take every so many frames.
        samples: how many, or which; all by default.
        pde: a name for the equation (the file's by default).

    Raises:
        InputError: not such a file, samples out of range.
    """
    h5py = _h5py()
    if reduce_x < 1 or reduce_t < 1:
        raise InputError("reduce", given=f"x {reduce_x}, t {reduce_t}", expected="at least 1 each")
    require_plain_file(path, f"cannot read {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"cannot read {path}", given=str(error), expected="an HDF5 file") from error
    with file:
        _require_own_data(file, path)
        layout = layout_of(file)
        _require_ranks(file, layout)
        names = sorted(file.keys()) if layout == "seeds" else []
        count = len(names) if names else len(file[{"tensor": "tensor", "cfd": "density", "flow": "velocity"}[layout]])
        rows = _rows(samples, count)
        u, channels = _values(file, layout, rows, names, reduce_x, reduce_t)
        coords = _coords(file, layout, names, u, reduce_x, reduce_t)
        params, param_names = _params(file, len(rows))
    bc = {"seeds": "neumann"}.get(layout, "periodic")
    return PDEDataset(u, coords, params, pde or Path(path).stem, bc, param_names, channels)


def _require_ranks(file: Any, layout: str) -> None:
    """Refuse arrays that are no trajectories of numbers, or not alike, before any of them is cut up."""
    ranks = {"tensor": (3, 4, 5), "cfd": (3, 4, 5), "flow": (5,), "seeds": (3, 4, 5)}[layout]
    names = {
        "tensor": ["tensor"],
        "cfd": [c for c in _CFD if c in file],
        "flow": ["velocity"],
        "seeds": [f"{k}/data" for k in file],
    }[layout]
    shapes = {name: file[name].shape if hasattr(file[name], "shape") else None for name in names}
    for name, shape in shapes.items():
        if shape is None or len(shape) not in ranks or file[name].dtype.kind not in "fiu":
            given = "a group" if shape is None else f"{file[name].dtype} of shape {shape}"
            expected = f"numbers of {' or '.join(map(str, ranks))} axes, as (N, T, X, ...)"
            raise InputError(f"{name!r} in {Path(file.filename).name}", given=given, expected=expected)
    if len(set(shapes.values())) > 1:
        given = ", ".join(f"{name} of shape {shape}" for name, shape in list(shapes.items())[:5])
        raise InputError(f"{Path(file.filename).name}", given=given, expected="arrays of one shape")


def _require_own_data(file: Any, path: Path | str) -> None:
    """Refuse what would be read out of other files: a file of a stranger may point at anything on this disk."""
    h5py = _h5py()
    left, seen = [file], set()
    while left:
        group = left.pop()
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                raise _elsewhere(path, name, "a link to another file")
            item = group.get(name)
            if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                raise _elsewhere(path, name, "numbers of another file")
            if isinstance(item, h5py.Group) and item.id not in seen:  # a group may hold itself, or be held many times
                seen.add(item.id)
                left.append(item)


def _elsewhere(path: Path | str, name: str, what: str) -> InputError:
    return InputError(
        f"{name!r} of {path}",
        given=what,
        expected="numbers that lie in this file",
        hint="copy them into it, if it is yours (h5repack, or h5py)",
    )


def _rows(samples: int | Sequence[int] | None, count: int) -> list[int]:
    rows = (
        list(range(count if samples is None else samples))
        if samples is None or isinstance(samples, int)
        else list(samples)
    )
    if not rows or min(rows) < 0 or max(rows) >= count:
        raise InputError("samples", given=samples, expected=f"some of 0..{count - 1}")
    return rows


def _take(data: Any, rows: list[int], reduce_x: int, reduce_t: int, axes: int) -> np.ndarray:
    """Rows of (N, T, X, ...), one at a time: h5py's fancy indexing is far slower than whole chunks."""
    cut = (slice(None, None, reduce_t), *(slice(None, None, reduce_x) for _ in range(axes)))
    return np.stack([data[(i, *cut)] for i in rows])


def _values(
    file: Any, layout: str, rows: list[int], names: list[str], reduce_x: int, reduce_t: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    if layout == "tensor":
        data = file["tensor"]
        return _take(data, rows, reduce_x, reduce_t, data.ndim - 2)[..., None], ("u",)
    if layout == "cfd":
        channels = tuple(c for c in _CFD if c in file)
        parts = [_take(file[c], rows, reduce_x, reduce_t, file[c].ndim - 2) for c in channels]
        return np.stack(parts, -1), channels
    if layout == "flow":
        return _take(file["velocity"], rows, reduce_x, reduce_t, 2), ("Vx", "Vy")
    first = file[names[rows[0]]]["data"]
    cut = (slice(None, None, reduce_t), *(slice(None, None, reduce_x) for _ in range(first.ndim - 2)))
    u = np.stack([file[names[i]]["data"][cut] for i in rows])
    return u, tuple("uvw"[: u.shape[-1]]) if u.shape[-1] > 1 else ("u",)


def _coords(
    file: Any, layout: str, names: list[str], u: np.ndarray, reduce_x: int, reduce_t: int
) -> dict[str, np.ndarray]:
    if layout == "seeds":
        found = {k: np.asarray(file[names[0]]["grid"][k]) for k in ("t", *_AXES) if k in file[names[0]]["grid"]}
    else:
        found = {k: np.asarray(file[f"{k}-coordinate"]) for k in ("t", *_AXES) if f"{k}-coordinate" in file}
    if layout == "flow" and "t" not in found and "t" in file:
        found["t"] = np.asarray(file["t"]).reshape(-1)
    coords = {}
    for axis, (name, step) in enumerate((("t", reduce_t), *((a, reduce_x) for a in _AXES[: u.ndim - 3]))):
        size = u.shape[1 + axis]
        values = found.get(name)
        # their time axis is one longer than the frames in some files: the edges of the steps
        values = np.arange(size, dtype=float) if values is None else values[::step][:size]
        if len(values) != size:
            raise InputError(
                f"coordinate {name}", given=f"{len(values)} values", expected=f"{size}, as frames or points"
            )
        coords[name] = values
    return coords


def _params(file: Any, n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    numbers = {
        k: float(v) for k, v in dict(file.attrs).items() if isinstance(v, int | float | np.floating | np.integer)
    }
    return np.tile(list(numbers.values()), (n, 1)) if numbers else np.zeros((n, 0)), tuple(numbers)


def write_pdebench(data: PDEDataset, path: Path | str, layout: str | None = None) -> Path:
    """Write float32, in the layout that suits the data (or the one asked for).

    The layouts have one value a parameter for the whole file: parameters that differ between trajectories aren't kept.

    Args:
        data: trajectories.
        path: the file.
        layout: of `LAYOUTS`.

    Raises:
        InputError: a layout that can't hold the data.
    """
    h5py = _h5py()
    chosen = layout or _layout_for(data)
    if chosen not in LAYOUTS or not _holds(chosen, data):
        expected = f"one of {', '.join(LAYOUTS)} that holds {data.channels} on {data.dim} axes"
        raise InputError("layout", given=repr(layout), expected=expected)

    def fill(stream: BinaryIO) -> None:
        with h5py.File(stream, "w") as file:
            _write(file, data, chosen)

    return write_atomic(path, fill)


def _layout_for(data: PDEDataset) -> str:
    """The layout that suits the data."""
    return next(layout for layout in ("cfd", "flow", "tensor", "seeds") if _holds(layout, data))


def _holds(layout: str, data: PDEDataset) -> bool:
    if layout == "tensor":
        return data.u.shape[-1] == 1 and data.dim == 1
    if layout == "cfd":
        return {"density", "pressure", "Vx"} <= set(data.channels) <= set(_CFD)
    return layout == "seeds" or (data.channels == ("Vx", "Vy") and data.dim == 2)


def _write(file: Any, data: PDEDataset, layout: str) -> None:
    u = data.u.astype(np.float32)
    if layout == "seeds":
        for i in range(len(u)):
            group = file.create_group(f"{i:04d}")
            group["data"] = u[i]
            for k, v in data.coords.items():
                group[f"grid/{k}"] = v.astype(np.float32)
    else:
        channels = {c: u[..., i] for i, c in enumerate(data.channels)}
        parts = {"tensor": {"tensor": u[..., 0]}, "cfd": channels, "flow": {"velocity": u}}
        for k, v in parts[layout].items():
            file[k] = v
        for k, v in data.coords.items():
            file[f"{k}-coordinate"] = v.astype(np.float32)
    if len(data.params) and (data.params == data.params[:1]).all():
        for k, value in zip(data.param_names, data.params[0]):
            file.attrs[k] = value
