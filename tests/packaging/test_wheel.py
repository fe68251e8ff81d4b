"""What `make dist` builds is whole, holds no junk, and works where nothing but the wheel and its dependencies is."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from deepwright.checks import BUILTIN
from deepwright.core.version import __version__

ROOT = Path(__file__).resolve().parents[2]
JUNK = re.compile(
    r"__pycache__|\.py[cod]$|\.egg-info|\.(venv|git|mypy_cache|ruff_cache|pytest_cache|deepwright)(/|$)|\.DS_Store"
)
UNKEPT = re.compile(r"docs/results/((quick|check|seeds-[^/]*)/|[^/]*\.html$)")  # what runs leave there, ignored by git
LARGEST = 4 * 2**20  # bytes of one file: bundled weights of one megabyte are the largest thing that belongs here


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist and the wheel made from it, by the build tools that are installed (no downloads)."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return out


@pytest.fixture
def wheel(built):
    return next(built.glob("*.whl"))


@pytest.fixture
def sdist(built):
    return next(built.glob("*.tar.gz"))


def inside_sdist(path):
    """What an sdist holds, without its own top folder, with sizes."""
    with tarfile.open(path) as archive:
        return {str(PurePosixPath(*PurePosixPath(m.name).parts[1:])): m.size for m in archive if m.isfile()}


def inside_wheel(path):
    with zipfile.ZipFile(path) as archive:
        return {i.filename: i.file_size for i in archive.infolist()}


def source_files(folder):
    """The files of the checkout under a folder, without what interpreters and tools leave there."""
    found = (p.relative_to(ROOT).as_posix() for p in (ROOT / folder).rglob("*") if p.is_file())
    return {name for name in found if not JUNK.search(name) and not UNKEPT.match(name)}


def clean_environment():
    """The environment without anything that would let the checkout be imported."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DEEPWRIGHT")) and k != "VIRTUAL_ENV"}


def test_file_names_carry_the_version(wheel, sdist):
    expected = (f"deepwright-{__version__}-py3-none-any.whl", f"deepwright-{__version__}.tar.gz")
    assert (wheel.name, sdist.name) == expected


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel):
    held = {name for name in inside_wheel(wheel) if ".dist-info/" not in name}
    assert held == {name.removeprefix("src/") for name in source_files("src/deepwright")}


def test_the_wheel_is_marked_as_typed(wheel):
    assert "deepwright/py.typed" in inside_wheel(wheel)


@pytest.mark.parametrize("folder", ["src", "tests", "docs", "scripts", "benchmarks"])
def test_the_sdist_holds_what_tests_and_pages_need(sdist, folder):
    assert source_files(folder) <= set(inside_sdist(sdist))


@pytest.mark.parametrize("name", ["Makefile", "constraints.txt", "LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"])
def test_the_sdist_holds_the_files_beside_the_source(sdist, name):
    assert name in inside_sdist(sdist)


def test_nothing_built_is_junk(wheel, sdist):
    assert [n for n in {**inside_wheel(wheel), **inside_sdist(sdist)} if JUNK.search(n)] == []


def test_nothing_built_is_large(wheel, sdist):
    assert {n: s for n, s in {**inside_wheel(wheel), **inside_sdist(sdist)}.items() if s > LARGEST} == {}


def test_the_citation_names_the_version():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_changelog_has_the_version():
    assert f"\n## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_version_is_written_once():
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dynamic"]


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The `bin` folder of a new environment that holds the wheel and its pinned dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wheel = next(built.glob("*.whl"))
    command = [*pip, "-c", str(ROOT / "constraints.txt"), str(wheel)]
    ended = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder / "bin"


@pytest.mark.slow
def test_the_installed_wheel_audits_in_a_foreign_folder(installed, tmp_path):
    command = [
        str(installed / "deepwright"),
        "audit",
        "--limit",
        "32",
        "--attack-limit",
        "4",
        "--corruption-limit",
        "4",
    ]
    ended = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=900, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "report" / "index.html").stat().st_size > 10_000
    findings = json.loads((tmp_path / "report" / "report.json").read_text())["findings"]
    assert [f["check"] for f in findings] == list(BUILTIN)


@pytest.mark.slow
def test_the_installed_package_is_the_one_from_the_wheel(installed, tmp_path):
    ended = subprocess.run(
        [str(installed / "python"), "-c", "import deepwright; print(deepwright.__file__, deepwright.__version__)"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    path, version = ended.stdout.split()
    assert Path(path).is_relative_to(installed.parent)
    assert version == __version__


@pytest.mark.slow
def test_the_sdist_alone_collects_every_test(sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / f"deepwright-{__version__}"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    environment = clean_environment() | {"PYTHONPATH": str(folder / "src")}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
