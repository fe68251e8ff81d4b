"""Run the tests with the lowest or with the newest versions that pyproject.toml allows.

    python scripts/versions.py lowest                           # every direct dependency at the bottom of its range
    python scripts/versions.py newest                           # ... at the newest that pip finds
    python scripts/versions.py lowest -- tests/compress -x      # what follows `--` goes to pytest
    python scripts/versions.py newest --dry-run                 # only print what would be asked for

A range is true where its two ends were run. The environment lies outside the repository by default and is kept, so that
a second run installs only what changed. What the last run of each end gave is in docs/release.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
# Pages are built by CI with the pinned tools, so those tools have no lowest version of their own to test.
UNTESTED_EXTRAS = ("docs",)


def direct_requirements(pyproject: Path, skip: Iterable[str] = UNTESTED_EXTRAS) -> dict[str, Requirement]:
    """Every package that pyproject.toml names itself, base and extras, by canonical name.

    Args:
        pyproject: the file.
        skip: extras that are left out.

    Raises:
        ValueError: one package has two different ranges, so that neither is the range.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    texts = list(project["dependencies"])
    for extra, members in project["optional-dependencies"].items():
        if extra not in skip:
            texts += members
    found: dict[str, Requirement] = {}
    for requirement in map(Requirement, texts):
        name = canonicalize_name(requirement.name)
        if name == canonicalize_name(project["name"]):
            continue  # an extra made of other extras: they are here already
        if name in found and found[name].specifier != requirement.specifier:
            raise ValueError(f"{name} has two ranges: {found[name].specifier} and {requirement.specifier}")
        found[name] = requirement
    return found


def lowest(requirement: Requirement) -> Version:
    """The version at the bottom of a range.

    Raises:
        ValueError: the range has no bottom, or several.
    """
    bottoms = [Version(s.version) for s in requirement.specifier if s.operator in (">=", "==", "~=")]
    if len(bottoms) != 1:
        raise ValueError(f"{requirement} must name exactly one lowest version")
    return bottoms[0]


def make_environment(folder: Path, requirements: dict[str, Requirement], end: str) -> Path:
    """A virtual environment with the repository (editable) and its dependencies at one end of their ranges.

    Args:
        folder: where the environment lies or will lie.
        requirements: what `direct_requirements` found.
        end: `"lowest"` or `"newest"`.

    Returns:
        The environment's Python.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    asked = {name: f"=={lowest(r)}" if end == "lowest" else str(r.specifier) for name, r in requirements.items()}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.writelines(f"{name}{versions}\n" for name, versions in asked.items())
        constraints.flush()
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-compile"]
        # `--upgrade` alone would leave a dependency's dependency as an earlier run installed it.
        upgrade = ["--upgrade", "--upgrade-strategy", "eager"] if end == "newest" else []
        command = [*pip, *upgrade, "-c", constraints.name, *map(str, requirements.values()), "-e", str(ROOT)]
        if subprocess.run(command, check=False).returncode:
            raise SystemExit(f"versions.py: pip found no set of {end} versions (its message is above)")
    return python


def installed_versions(python: Path) -> dict[str, Version]:
    """What an environment holds, by canonical name."""
    listed = subprocess.run([str(python), "-m", "pip", "list", "--format", "json"], check=True, stdout=subprocess.PIPE)
    return {canonicalize_name(row["name"]): Version(row["version"]) for row in json.loads(listed.stdout)}


def differences(requirements: dict[str, Requirement], installed: dict[str, Version]) -> list[str]:
    """Where an environment isn't at the bottom of the ranges; a build tag such as `+cpu` is no difference."""
    wrong = []
    for name, requirement in requirements.items():
        found = installed.get(name)
        if found is None or Version(found.public) != lowest(requirement):
            wrong.append(f"{name}: {found}, asked for {lowest(requirement)}")
    return wrong


def run_tests(python: Path, arguments: list[str]) -> int:
    """The tests, or the part that `arguments` name, on the repository's own source; pytest's exit code."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "VIRTUAL_ENV")}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main(argv: list[str] | None = None) -> int:
    """Make the environment, say what is in it, run the tests."""
    own, *rest = _split(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog="After `--`: arguments of pytest.")
    parser.add_argument("end", choices=["lowest", "newest"])
    parser.add_argument("--where", type=Path, help="folder of the environment")
    parser.add_argument("--dry-run", action="store_true", help="only print the versions that would be asked for")
    options = parser.parse_args(own)
    requirements = direct_requirements(ROOT / "pyproject.toml")
    if options.dry_run:
        for name, requirement in sorted(requirements.items()):
            print(f"{name}=={lowest(requirement)}" if options.end == "lowest" else f"{name}{requirement.specifier}")
        return 0
    where = options.where or Path(tempfile.gettempdir()) / f"deepwright-versions-{options.end}"
    python = make_environment(where, requirements, options.end)
    installed = installed_versions(python)
    python_version = re.sub(r"\s.*", "", sys.version)
    print(
        f"{options.end} on Python {python_version}: " + ", ".join(f"{n} {installed[n]}" for n in sorted(requirements))
    )
    if options.end == "lowest" and (wrong := differences(requirements, installed)):
        print("not at the bottom of the ranges: " + "; ".join(wrong), file=sys.stderr)
        return 2
    return run_tests(python, rest)


def _split(arguments: list[str]) -> list:
    """This program's arguments as one list, then pytest's."""
    if "--" not in arguments:
        return [arguments]
    at = arguments.index("--")
    return [arguments[:at], *arguments[at + 1 :]]


if __name__ == "__main__":
    raise SystemExit(main())
