"""PDEBench's files to the bit, and strange ones."""

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import (
    PDEDataset,
    advection1d,
    compressible,
    diffusion_reaction2d,
    layout_of,
    read_pdebench,
    write_pdebench,
)

FILES = {
    "tensor": advection1d(5, 0.4, nx=32, t=0.2, dt_save=0.1),
    "cfd": compressible(np.ones((2, 16)), np.zeros((2, 16)), np.ones((2, 16)), t=0.1, dt_save=0.05),
    "seeds": diffusion_reaction2d(3, nx=8, t=0.1, dt_save=0.05),
    "flow": PDEDataset(
        np.random.default_rng(0).standard_normal((2, 3, 8, 8, 2)),
        {"t": np.arange(3.0), "x": np.arange(8.0), "y": np.arange(8.0)},
        np.zeros((2, 0)),
        "flow",
        channels=("Vx", "Vy"),
    ),
}


@pytest.mark.parametrize("layout", FILES)
def test_files_round_trip(layout, tmp_path):
    h5py = pytest.importorskip("h5py")
    data = FILES[layout]
    path = write_pdebench(data, tmp_path / "d.hdf5")
    with h5py.File(path) as file:
        assert layout_of(file) == layout
    back = read_pdebench(path)
    order = [back.channels.index(c) for c in data.channels] if layout == "cfd" else slice(None)
    assert np.array_equal(back.u[..., order], data.u.astype(np.float32))
    assert np.array_equal(back.coords["x"], data.coords["x"].astype(np.float32))
    some = read_pdebench(path, reduce_x=2, reduce_t=2, samples=[1, 0])
    assert np.array_equal(some.u[..., order], data.thinned(2, 2).u[[1, 0]].astype(np.float32))
    assert np.array_equal(some.coords["t"], data.coords["t"][::2].astype(np.float32))
    with pytest.raises(InputError, match="some of 0"):
        read_pdebench(path, samples=99)


def test_longer_time_axes_and_strange_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "long.h5", "w") as file:
        file["tensor"] = np.zeros((2, 5, 4), np.float32)
        file["x-coordinate"], file["t-coordinate"] = np.arange(4.0), np.arange(6.0)  # one longer, as theirs
    assert len(read_pdebench(tmp_path / "long.h5").coords["t"]) == 5
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["banana"] = np.zeros(3)
    with pytest.raises(InputError, match="banana"):
        read_pdebench(tmp_path / "other.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(InputError, match="an HDF5 file"):
        read_pdebench(tmp_path / "text.h5")


def test_a_layout_that_cannot_hold_the_data_is_refused(tmp_path):
    pytest.importorskip("h5py")
    for data, layout in ((FILES["tensor"], "flow"), (FILES["flow"], "cfd"), (FILES["seeds"], "tensor")):
        with pytest.raises(InputError, match="layout"):
            write_pdebench(data, tmp_path / "d.hdf5", layout)


def test_one_parameter_for_all_comes_back(tmp_path):
    pytest.importorskip("h5py")
    back = read_pdebench(write_pdebench(FILES["tensor"], tmp_path / "d.hdf5"))
    assert back.param_names == ("beta",)
    assert back.params.tolist() == [[0.4]] * 5
