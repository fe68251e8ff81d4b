"""Files of trained models: weights with the channels, equations and settings that they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepwright.core.errors import InputError
from deepwright.core.files import load_state, save_state

if TYPE_CHECKING:
    from deepwright.physics.unifluids.model import UniFluids

PARTS = ("registry", "pdes", "settings", "weights")


def save(model: UniFluids, path: Path | str) -> Path:
    """Write a model.

    Args:
        model: trained or not.
        path: the file.
    """
    return save_state(path, {**_made(model), "weights": model.state_dict()})


def read(path: Path | str) -> dict[str, Any]:
    """What a file holds: registry, pdes, settings and weights.

    Args:
        path: a file of `save`.

    Raises:
        InputError: a file that isn't one.
    """
    state = load_state(path)
    if not set(PARTS) <= set(state):
        raise InputError(f"{path}", given=", ".join(map(str, state)), expected="a file written by UniFluids.save")
    return state


def options(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a file as arguments of `UniFluids`.

    Args:
        settings: as `UniFluids.settings`.
    """
    size = settings["size"] if isinstance(settings["size"], str) else tuple(settings["size"])
    return {**settings, "size": size, "patch": {int(d): tuple(p) for d, p in settings["patch"].items()}}


def load(model: UniFluids, path: Path | str) -> None:
    """Weights into a model that was made alike.

    Args:
        model: with the same channels, equations and settings.
        path: a file of `save`.

    Raises:
        InputError: another model's.
    """
    state, mine = read(path), _made(model)
    other = [k for k, v in mine.items() if state[k] != v]
    if other:
        expected = ", ".join(f"{k} {mine[k]}" for k in other)
        hint = "UniFluids.read makes the model that a file needs"
        raise InputError(f"{path}", given="another " + ", ".join(other), expected=expected, hint=hint)
    model.load_state_dict(state["weights"])


def _made(model: UniFluids) -> dict[str, Any]:
    return {"registry": list(model.registry.names), "pdes": list(model.pdes), "settings": model.settings}
