"""Whose code a module is."""

from __future__ import annotations

import functools
import hashlib
import sys
import sysconfig
from pathlib import Path

USER = "the user's"


def origin(module: str) -> str:
    """Whose code a module is: the user's, or the name under which a library's (or our own) is known."""
    root = module.partition(".")[0]
    found = sys.modules.get(module)
    path = getattr(found, "__file__", None)
    if root == "deepwright" and path is not None:
        return f"{module} {text_of(module)}"
    if root in sys.stdlib_module_names and root != "__main__" and _comes_with_python(path):
        return module
    if path is not None and {"site-packages", "dist-packages"} & set(Path(path).parts):
        if root in ("torch", "numpy"):
            return module
        version = getattr(sys.modules.get(root), "__version__", None)
        return f"{module} {version or text_of(module)}"
    return USER


@functools.lru_cache(maxsize=4096)
def _comes_with_python(path: str | None) -> bool:
    """Whether a module is the standard library's own, and no file of the user's that has its name."""
    if path is None:  # built into the interpreter
        return True
    homes = {Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib")}
    return any(home in Path(path).resolve().parents for home in homes)


def text_of(module: str) -> str:
    """A hash of a module's file; nothing for one that has none (or whose file is gone)."""
    return text_at(getattr(sys.modules.get(module), "__file__", None))


def text_at(path: str | Path | None) -> str:
    """A hash of a file."""
    try:
        return "" if path is None else hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return ""


@functools.cache
def text_of_package(folder: Path = Path(__file__).parents[2]) -> str:
    """A hash of all of a package's source, our own by default: an edited helper far away changes results too.

    Args:
        folder: of the package.
    """
    whole = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*.py")):
        whole.update(f"{path.relative_to(folder).as_posix()} {text_at(path)}\n".encode())
    return whole.hexdigest()
