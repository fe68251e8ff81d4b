"""What the room's face costs: libraries that one class needs come with that class."""

import subprocess
import sys

import pytest

import deepwright.risk


def _loaded(code):
    program = f"import sys\n{code}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("library", ["torchmetrics", "sklearn", "matplotlib", "transformers"])
def test_importing_the_room_leaves_out(library):
    assert library not in _loaded("import deepwright.risk")


@pytest.mark.parametrize("name", deepwright.risk.__all__)
def test_every_name_is_there(name):
    assert getattr(deepwright.risk, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Fragile"):
        deepwright.risk.Fragile  # noqa: B018
