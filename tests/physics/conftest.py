"""The same draws in every run, whatever ran before."""

import subprocess
import sys

import pytest
import torch

from deepwright.core.files import load_state


@pytest.fixture(autouse=True)
def _same_draws():
    torch.manual_seed(0)


@pytest.fixture
def two_processes(tmp_path):
    """script -> what each of its two processes saved under f"{sys.argv[1]}-{rank}"."""

    def run(script):
        (tmp_path / "script.py").write_text(script)
        command = [sys.executable, "script.py", str(tmp_path / "w")]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
        return load_state(tmp_path / "w-0"), load_state(tmp_path / "w-1")

    return run
