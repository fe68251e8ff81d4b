"""Commands that only tell import only what they need: nobody waits seconds for a list."""

import subprocess
import sys

import pytest

HEAVY = ("lightning", "lightning_fabric", "matplotlib", "onnx", "pandas", "sklearn", "torchmetrics", "transformers")
LISTS = (("list", "checks"), ("list", "data"), ("list", "models"), ("list", "systems"))
HELPS = (("--help",), ("audit", "--help"), ("list", "--help"), ("shrink", "--help"), ("solve", "--help"))
SCRIPT = """
import sys
from deepwright.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code or 0
else:
    code = 0
print("loaded:", *sys.modules)
raise SystemExit(code)
"""
# Far above what any of these needs on a loaded machine: only a hang or a new heavy import reaches it.
LIMIT_S = 60


def loaded_by(command):
    """The top-level modules that a fresh interpreter holds when the command has ended well."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert ended.returncode == 0, ended.stderr
    line = next(text for text in ended.stdout.splitlines() if text.startswith("loaded:"))
    return {name.split(".")[0] for name in line.split()[1:]}


@pytest.mark.parametrize("command", [*LISTS, *HELPS], ids=" ".join)
def test_no_heavy_package_is_imported(command):
    assert not loaded_by(command) & set(HEAVY)


@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_help_does_not_even_import_torch(command):
    assert "torch" not in loaded_by(command)


def test_the_probe_sees_an_import():
    assert "click" in loaded_by(("--help",))
