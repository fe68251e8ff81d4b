"""An HDF5 file of a stranger reads no other file."""

import h5py
import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import read_pdebench

U = np.random.default_rng(0).random((2, 3, 8)).astype(np.float32)


def linked(file, other):
    file["tensor"] = h5py.ExternalLink(other, "tensor")


def linked_deeper(file, other):
    file["tensor"] = U
    file.create_group("more")["again"] = h5py.ExternalLink(other, "/")


def external_storage(file, other):
    file.create_dataset("tensor", U.shape, np.float32, external=[(str(other), 0, U.nbytes)])


def virtual(file, other):
    layout = h5py.VirtualLayout(U.shape, np.float32)
    layout[:] = h5py.VirtualSource(str(other), "tensor", U.shape)
    file.create_virtual_dataset("tensor", layout)


@pytest.mark.parametrize("make", [linked, linked_deeper, external_storage, virtual])
def test_what_lies_in_another_file_is_refused(make, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["tensor"] = U
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file, tmp_path / "other.h5")
    with pytest.raises(InputError, match="numbers that lie in this file"):
        read_pdebench(tmp_path / "a.h5")


def test_a_group_that_holds_itself_is_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tensor"], file["t-coordinate"], file["x-coordinate"] = U, np.arange(4.0), np.arange(8.0)
        loop = file.create_group("loop")
        loop["self"] = loop
        file["soft"] = h5py.SoftLink("/tensor")
    assert np.array_equal(read_pdebench(tmp_path / "a.h5").u[..., 0], U)


def test_groups_that_are_held_many_times_are_looked_at_once(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tensor"], file["t-coordinate"], file["x-coordinate"] = U, np.arange(4.0), np.arange(8.0)
        group = file.create_group("first")
        for _ in range(60):  # 2^60 ways to the last one
            held = group.create_group("a")
            group["b"] = held
            group = held
    assert np.array_equal(read_pdebench(tmp_path / "a.h5").u[..., 0], U)
