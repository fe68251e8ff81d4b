"""Pipes and symlinks in the place of files: a pipe is refused by name, a symlink is followed."""

import os
import stat

import numpy as np
import pytest

from deepwright.checks import read_report
from deepwright.core.errors import InputError
from deepwright.core.files import load_state, write_json
from deepwright.core.journal import stored_rows
from deepwright.core.results import StudyResult
from deepwright.core.zips import open_zip
from deepwright.data import load_npz
from deepwright.data.files.archives import ImageSource
from deepwright.nets.programs import read_program
from deepwright.nets.weights_files import read_weights
from deepwright.physics.pde_data import PDEDataset, read_pdebench, write_pdebench


@pytest.fixture
def pipe(tmp_path):
    """A pipe that nobody writes to: to open it for reading would wait for ever."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_write_leaves_a_pipe(pipe):
    with pytest.raises(InputError, match=r"cannot write .*no plain file"):
        write_json(pipe, {})
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(pipe.parent.iterdir()) == [pipe]


def test_write_follows_a_symlink(tmp_path):
    target, link = tmp_path / "kept" / "target.json", tmp_path / "link.json"
    link.symlink_to(target)  # the target isn't there yet
    for value in (1, 2):
        assert write_json(link, value) == link
        assert link.is_symlink()
        assert target.read_text() == f"{value}\n"


def test_write_refuses_a_symlink_to_a_pipe(pipe, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(pipe)
    with pytest.raises(InputError, match="no plain file"):
        write_json(link, {})


def test_write_refuses_a_symlink_to_itself(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(InputError, match="cannot write"):
        write_json(link, {})
    assert link.is_symlink()


@pytest.mark.parametrize("read", [read_report, load_state, stored_rows])
def test_read_refuses_a_pipe(pipe, read):
    with pytest.raises(InputError, match="no plain file"):
        read(pipe)


def idx(folder):
    from deepwright.data.named.embedded import read_idx_labels

    return read_idx_labels(folder, "t10k")


def cifar(folder):
    from deepwright.data.named.cifar import _from_batches

    return _from_batches(folder)


def voc(folder):
    from deepwright.data.files.detection import _read_voc

    return _read_voc(folder / "a.xml", 0)


READERS = {
    "net.safetensors": lambda folder: read_weights(folder / "net.safetensors"),
    "net.pt": lambda folder: read_weights(folder / "net.pt"),
    "net.pt2": lambda folder: read_program(folder / "net.pt2"),
    "study.json": lambda folder: StudyResult.from_json(folder / "study.json"),
    "all.zip": lambda folder: open_zip(folder / "all.zip"),
    "data.npz": lambda folder: load_npz(folder / "data.npz"),
    "t10k-labels-idx1-ubyte": idx,
    "data_batch_1": cifar,
    "a.xml": voc,
    "waves.hdf5": lambda folder: read_pdebench(folder / "waves.hdf5"),
    "a.png": lambda folder: ImageSource(folder).read("a.png"),
}


@pytest.mark.parametrize("name", READERS)
def test_no_reader_waits_at_a_pipe(tmp_path, name):
    if name == "waves.hdf5":
        pytest.importorskip("h5py")
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=r"no plain file|does not exist|no picture|no image"):
        READERS[name](tmp_path)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_trajectories_get_the_mode_that_the_umask_asks_for(tmp_path, umask):
    pytest.importorskip("h5py")
    u = np.random.default_rng(0).standard_normal((2, 3, 4, 1)).astype(np.float32)
    data = PDEDataset(
        u, {"t": np.arange(3.0), "x": np.arange(4.0)}, np.zeros((2, 0)), "made up", "periodic", (), ("u",)
    )
    before = os.umask(umask)
    try:
        path = write_pdebench(data, tmp_path / "new" / "waves.hdf5")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert [p.name for p in path.parent.iterdir()] == ["waves.hdf5"]
    assert np.array_equal(read_pdebench(path).u, u)
