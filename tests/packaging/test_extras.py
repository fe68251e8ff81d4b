"""What a message or a page tells people to install exists: the extra is declared and holds the package."""

import ast
import importlib.metadata
import re
import sys
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


def requirement_calls():
    """Every `require(module, extra, purpose)` of optional packages: file, line, module, extra."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words = (
                [a.value for a in getattr(node, "args", []) if isinstance(a, ast.Constant)] if _is_call(node) else []
            )
            if len(words) == 3 and all(isinstance(word, str) for word in words):
                yield path.relative_to(ROOT), node.lineno, words[0], words[1]


def _is_call(node):
    return isinstance(node, ast.Call) and _name(node.func) == "require_package"


def imported_packages():
    """Top-level name of every module of others that the source imports -> the files that do."""
    found = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], []).append(str(path.relative_to(ROOT)))
    return {name: files for name, files in found.items() if name not in sys.stdlib_module_names | {"deepwright"}}


CALLS = list(missing_extra_calls())
REQUIRED = list(requirement_calls())
# An extra by its name, in prose: "the extra `hdf5`", "deepwright[hdf5]".
NAMED = re.compile(r"extras? [`'\"]([a-z0-9]+)[`'\"]|deepwright\[([a-z0-9,]+)\]")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
INSTALL_TEXTS = [
    (path.relative_to(ROOT), extra.strip())
    for path in [*PAGES, *sorted((ROOT / "src").rglob("*.py")), ROOT / "Makefile"]
    for match in INSTALL.finditer(path.read_text(encoding="utf-8"))
    for extra in match.group(1).split(",")
]


NAMED_TEXTS = [
    (path.relative_to(ROOT), extra.strip())
    for path in [*PAGES, *sorted((ROOT / "src").rglob("*.py"))]
    for match in NAMED.finditer(path.read_text(encoding="utf-8"))
    for extra in (match.group(1) or match.group(2)).split(",")
]
BASE = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}


def test_the_scans_find_requirements_and_names_in_prose():
    assert {module for _, _, module, _ in REQUIRED} >= {"onnxruntime", "torchao"}
    assert (Path("src/deepwright/nets/zoo.py"), "pretrained") in NAMED_TEXTS


@pytest.mark.parametrize(("path", "line", "module", "extra"), REQUIRED, ids=lambda v: str(v))
def test_what_is_required_is_in_its_extra(path, line, module, extra):
    distributions = importlib.metadata.packages_distributions().get(module.partition(".")[0], [module])
    assert {canonicalize_name(d) for d in distributions} & packages_of(canonicalize_name(extra)), f"{path}:{line}"


@pytest.mark.parametrize(("path", "extra"), NAMED_TEXTS, ids=lambda v: str(v))
def test_prose_names_declared_extras(path, extra):
    assert canonicalize_name(extra) in EXTRAS, f"{path} names the extra {extra!r}"


def test_every_import_is_declared():
    """In the base or in an extra for users: no message can name a package that nothing installs."""
    declared = BASE | set().union(*(packages_of(e) for e in EXTRAS if e not in ("dev", "docs")))
    known = importlib.metadata.packages_distributions()
    undeclared = {
        name: files
        for name, files in imported_packages().items()
        if not {canonicalize_name(d) for d in known.get(name, [name])} & declared
        and not all("/studies/" in file for file in files)  # they may look at what only developers have
    }
    assert undeclared == {}


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
    services = {"ray", "dask", "mlflow", "wandb", "carla"}  # clients of what a user has or hasn't
    for_users = set(EXTRAS) - {"all", "dev", "docs", "peers"} - services
    assert packages_of("all") == set().union(*map(packages_of, for_users))


def test_the_developers_extra_installs_everything_that_tests_use():
    """But for CARLA's client, which tests stand in for, and MLflow, whose limits on packages the pinned ones exceed."""
    others = ("docs", "mlflow", "carla")
    assert packages_of("dev") >= set().union(*(packages_of(e) for e in EXTRAS if e not in others))
