"""The room's face: every name is there, systems are imported when asked for, no word is swallowed."""

import importlib
import inspect
import subprocess
import sys

import pytest

import deepwright.physics as physics

MINE = ["deepwright.physics." + n for n in ("derivatives", "solve", "linear_grids", "two_phase")]
LIGHT = """
import sys
import deepwright.physics
heavy = ["scipy", "h5py", "lightning_fabric", "matplotlib", "sklearn", "pandas"]
heavy += ["deepwright.physics." + n for n in ("kinetic", "unifluids", "two_phase", "linear_grids", "pde_data")]
print([name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize("name", physics.__all__)
def test_every_name_of_the_face_is_there(name):
    assert getattr(physics, name).__name__ == name
    assert name in dir(physics)


def test_systems_are_attributes():
    """Without an import of their own, as in `import deepwright.physics as physics; physics.two_phase.droplet()`."""
    systems = ["kinetic", "linear_grids", "pde_data", "two_phase", "unifluids"]
    script = f"import deepwright.physics as p; print([getattr(p, s).__name__ for s in {systems}])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([f"deepwright.physics.{s}" for s in systems])


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="PINN"):
        physics.PINN  # noqa: B018


def test_the_face_imports_no_system():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def surface():
    for face in MINE:
        module = importlib.import_module(face)
        for name in module.__all__:
            thing = getattr(module, name)
            yield f"{face}.{name}", thing
            if inspect.isclass(thing):
                for method, value in vars(thing).items():
                    if inspect.isfunction(value) and not method.startswith("_"):
                        yield f"{face}.{name}.{method}", value


@pytest.mark.parametrize("called", [pytest.param(thing, id=name) for name, thing in surface()])
def test_no_word_is_swallowed(called):
    function = vars(called).get("__init__") if inspect.isclass(called) else called
    if function is None or not inspect.isfunction(function):
        pytest.skip("no signature of its own")
    kinds = {p.kind for p in inspect.signature(function).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
