"""Deepwright: the workshop for people who have a deep network and must answer for it.

`deepwright.audit(model, test=loader)` measures a network; everything else lives in the rooms
(`risk`, `adversarial`, `corruptions`, `ood`, `compress`), each with an example in its docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepwright.core.version import __version__

__all__ = ["InputError", "__version__", "audit", "guard", "load_data", "load_model", "write_report"]

if TYPE_CHECKING:
    from deepwright.checks import audit
    from deepwright.core.errors import InputError
    from deepwright.data import load as load_data
    from deepwright.nets import load as load_model
    from deepwright.report import write_report
    from deepwright.workflows.guarded import guard_network as guard

_LAZY = {
    "audit": ("deepwright.checks", "audit"),
    "guard": ("deepwright.workflows.guarded", "guard_network"),
    "InputError": ("deepwright.core.errors", "InputError"),
    "load_data": ("deepwright.data", "load"),
    "load_model": ("deepwright.nets", "load"),
    "write_report": ("deepwright.report", "write_report"),
}


def __getattr__(name: str) -> Any:
    """Load heavy parts on first use, so that `import deepwright` and `deepwright --help` are quick."""
    if name not in _LAZY:
        raise AttributeError(f"module 'deepwright' has no attribute {name!r}")
    import importlib

    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
