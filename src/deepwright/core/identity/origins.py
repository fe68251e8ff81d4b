"""Whose code a module is."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

USER = "the user's"


def origin(module: str) -> str:
    """Whose code a module is: the user's, or the name under which a library's (or our own) is known."""
    root = module.partition(".")[0]
    found = sys.modules.get(module)
    path = getattr(found, "__file__", None)
    if root == "deepwright" and path is not None:
        return f"{module} {text_of(module)}"
    if root in sys.stdlib_module_names and root != "__main__":
        return module
    if path is not None and {"site-packages", "dist-packages"} & set(Path(path).parts):
        version = "" if root in ("torch", "numpy") else getattr(sys.modules.get(root), "__version__", "")
        return f"{module} {version}".strip()
    return USER


def text_of(module: str) -> str:
    """A hash of a module's file."""
    path = getattr(sys.modules.get(module), "__file__", None)
    return "" if path is None else hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()
