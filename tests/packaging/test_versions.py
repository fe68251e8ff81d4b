"""The script that runs both ends of the dependencies' ranges reads the ranges as they are written."""

import importlib.util
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def versions():
    spec = importlib.util.spec_from_file_location("versions_script", ROOT / "scripts" / "versions.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def pyproject(tmp_path):
    def write(base, **extras):
        lines = [f"{name} = {members!r}" for name, members in extras.items()]
        text = "\n".join(
            ["[project]", 'name = "deepwright"', f"dependencies = {base!r}", "[project.optional-dependencies]", *lines]
        )
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path / "pyproject.toml"

    return write


def test_base_and_extras_are_read(versions, pyproject):
    found = versions.direct_requirements(pyproject(["torch>=2.1"], a=["Scikit_Learn>=1.4"]))
    assert {name: str(r.specifier) for name, r in found.items()} == {"torch": ">=2.1", "scikit-learn": ">=1.4"}


def test_an_extra_made_of_extras_adds_nothing(versions, pyproject):
    found = versions.direct_requirements(pyproject([], a=["h5py>=3"], all=["deepwright[a]"]))
    assert set(found) == {"h5py"}


def test_one_package_with_two_ranges_is_refused(versions, pyproject):
    with pytest.raises(ValueError, match="h5py has two ranges"):
        versions.direct_requirements(pyproject(["h5py>=3"], a=["h5py>=4"]))


@pytest.mark.parametrize(
    ("text", "bottom"),
    [("a>=1.2", "1.2"), ("a>=1.2,<3,!=1.4", "1.2"), ("a[x]~=2.0.1", "2.0.1"), ("a==7", "7")],
)
def test_the_bottom_of_a_range(versions, text, bottom):
    assert versions.lowest(Requirement(text)) == Version(bottom)


@pytest.mark.parametrize("text", ["a", "a<3", "a>1"])
def test_a_range_without_a_bottom_is_refused(versions, text):
    with pytest.raises(ValueError, match="exactly one lowest version"):
        versions.lowest(Requirement(text))


def test_a_build_tag_is_no_difference(versions):
    assert versions.differences({"a": Requirement("a>=1.2")}, {"a": Version("1.2.0+cpu")}) == []


def test_a_higher_version_is_a_difference(versions):
    assert versions.differences({"a": Requirement("a>=1.2")}, {"a": Version("1.3")}) == ["a: 1.3, asked for 1.2"]


def test_a_missing_package_is_a_difference(versions):
    assert versions.differences({"a": Requirement("a>=1.2")}, {}) == ["a: None, asked for 1.2"]


def test_every_range_of_ours_has_a_bottom(versions):
    for requirement in versions.direct_requirements(ROOT / "pyproject.toml", skip=()).values():
        versions.lowest(requirement)


def test_pytest_gets_what_follows_the_dashes(versions):
    assert versions._split(["lowest", "--", "tests/core", "-x"]) == [["lowest"], "tests/core", "-x"]
