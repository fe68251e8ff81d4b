"""What a message or a page tells people to install exists: the extra is declared and holds the package."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {
    canonicalize_name(extra): [Requirement(text) for text in members]
    for extra, members in PROJECT["optional-dependencies"].items()
}
# `pip install 'deepwright[a,b]'`, with or without quotes, `-e '.[a,b]'` among them; `{extra}` is filled in at run time.
INSTALL = re.compile(r"pip install[^\n]*?(?:deepwright|\.)\[([^\]{}]+)\]")


def packages_of(extra):
    """The packages that an extra installs beside the base, extras of extras included."""
    found = set()
    for requirement in EXTRAS[extra]:
        if canonicalize_name(requirement.name) == PROJECT["name"]:
            for inner in requirement.extras:
                found |= packages_of(canonicalize_name(inner))
        else:
            found.add(canonicalize_name(requirement.name))
    return found


def missing_extra_calls():
    """Every `MissingExtraError(package, extra, ...)` in the source: file, line, package (None if computed), extra."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) == "MissingExtraError":
                yield path.relative_to(ROOT), node.lineno, *_package_and_extra(node)


def _name(function):
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)


def _package_and_extra(call):
    """The two arguments, positional or by name; None for what isn't a literal."""
    given = dict(zip(("package", "extra", "purpose"), call.args)) | {k.arg: k.value for k in call.keywords}
    literal = {k: v.value for k, v in given.items() if isinstance(v, ast.Constant)}
    return literal.get("package"), literal.get("extra")


CALLS = list(missing_extra_calls())
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
INSTALL_TEXTS = [
    (path.relative_to(ROOT), extra.strip())
    for path in [*PAGES, *sorted((ROOT / "src").rglob("*.py")), ROOT / "Makefile"]
    for match in INSTALL.finditer(path.read_text(encoding="utf-8"))
    for extra in match.group(1).split(",")
]


def test_the_scan_finds_the_calls():
    assert {package for _, _, package, _ in CALLS} >= {"foolbox", "h5py", "ray"}


def test_the_scan_finds_install_texts():
    assert (Path("Makefile"), "pretrained") in INSTALL_TEXTS


@pytest.mark.parametrize(("path", "line", "package", "extra"), CALLS, ids=lambda v: str(v))
def test_missing_extra_names_a_declared_extra(path, line, package, extra):
    assert extra is None or canonicalize_name(extra) in EXTRAS, f"{path}:{line} names the extra {extra!r}"


@pytest.mark.parametrize(
    ("path", "line", "package", "extra"), [c for c in CALLS if None not in c], ids=lambda v: str(v)
)
def test_the_named_extra_holds_the_package(path, line, package, extra):
    assert canonicalize_name(package) in packages_of(canonicalize_name(extra)), f"{path}:{line}"


@pytest.mark.parametrize(("path", "extra"), INSTALL_TEXTS, ids=lambda v: str(v))
def test_install_texts_name_declared_extras(path, extra):
    assert canonicalize_name(extra) in EXTRAS, f"{path} names the extra {extra!r}"


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_extras_of_extras_exist(extra):
    assert packages_of(extra)


def test_the_extra_all_holds_every_extra_for_users():
    for_users = set(EXTRAS) - {"all", "dev", "docs", "peers", "ray", "dask"}
    assert packages_of("all") == set().union(*map(packages_of, for_users))


def test_the_developers_extra_installs_everything_that_tests_use():
    assert packages_of("dev") >= set().union(*(packages_of(e) for e in EXTRAS if e != "docs"))
