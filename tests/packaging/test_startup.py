"""Commands that only tell import only what they need: nobody waits seconds for a list."""

import subprocess
import sys

import pytest

HEAVY = ("lightning", "lightning_fabric", "matplotlib", "onnx", "pandas", "sklearn", "torchmetrics", "transformers")
LISTS = (("list", "checks"), ("list", "data"), ("list", "models"), ("list", "systems"))
HELPS = (
    ("--help",),
    *((name, "--help") for name in ("audit", "exits", "guard", "label", "list", "shrink", "solve", "study")),
)
LIGHT = (("list", "checks"), ("list", "systems"))
SCRIPT = """
import sys
import time
from deepwright.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code or 0
else:
    code = 0
print("loaded:", *sys.modules)
print("seconds:", time.process_time())
raise SystemExit(code)
"""
# Far above what any of these needs on a loaded machine: only a hang or a new heavy import reaches it.
LIMIT_S = 60
# Of CPU time, which hardly depends on what else runs; a light command takes a tenth of it.
LIGHT_S = 2


def told_by(command, word):
    """What a fresh interpreter says after a word when the command has ended well."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return next(text for text in ended.stdout.splitlines() if text.startswith(word)).split()[1:]


def loaded_by(command):
    """The top-level modules that it holds then."""
    return {name.split(".")[0] for name in told_by(command, "loaded:")}


@pytest.mark.parametrize("command", [*LISTS, *HELPS], ids=" ".join)
def test_no_heavy_package_is_imported(command):
    assert not loaded_by(command) & set(HEAVY)


@pytest.mark.parametrize("command", [*HELPS, *LIGHT], ids=" ".join)
def test_help_and_light_lists_do_not_even_import_torch(command):
    assert "torch" not in loaded_by(command)


@pytest.mark.parametrize("command", [*HELPS, *LIGHT], ids=" ".join)
def test_help_and_light_lists_take_little_cpu_time(command):
    assert float(told_by(command, "seconds:")[0]) < LIGHT_S


def test_the_probe_sees_an_import():
    assert "click" in loaded_by(("--help",))
