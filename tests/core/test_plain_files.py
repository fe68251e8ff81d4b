"""Pipes and symlinks in the place of files: a pipe is refused by name, a symlink is followed."""

import os
import stat

import pytest

from deepwright.checks import read_report
from deepwright.core.errors import InputError
from deepwright.core.files import load_state, write_json
from deepwright.core.journal import stored_rows


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
