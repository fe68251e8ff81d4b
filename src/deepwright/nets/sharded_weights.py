"""Weights in several safetensors files with an index, and folders that hold weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import reading

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
LARGEST_TEXT = 64 * 2**20  # bytes of an index or a configuration: those of the largest networks have two million
MOST_SHARDS = 10_000
_CONVERT = (
    "in the program that made it: `model.save_pretrained('folder', safe_serialization=True)`, or "
    "`safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')`"
)


def read_json(path: Path) -> dict[str, Any]:
    """A small file of JSON that holds an object.

    Args:
        path: of the file.

    Raises:
        InputError: no such file, one that is too large, or something else than an object.
    """
    if path.is_file() and path.stat().st_size > LARGEST_TEXT:
        raise InputError(f"{path}", given=f"{path.stat().st_size:,} bytes", expected=f"at most {LARGEST_TEXT:,}")
    with reading(f"cannot read {path}", "a file of JSON", path):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except RecursionError as error:
            raise ValueError("nested too deep") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}", given=type(found).__name__, expected="an object {...}")
    return found


def weights_in(folder: Path) -> Path:
    """The file that says what a folder's weights are: one of safetensors, or the index of several.

    Args:
        folder: as `save_pretrained` writes it.

    Raises:
        InputError: no safetensors; pickles are named, with how to convert them.
    """
    for name in (SINGLE, INDEX):
        if (folder / name).is_file():
            return folder / name
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    raise InputError(
        f"the weights in {folder}",
        given=f"{pickled[0]}, a pickle, which can run code when it is read" if pickled else "none",
        expected=f"{SINGLE}, or {INDEX}",
        hint=_CONVERT if pickled else None,
    )


def read_shards(index: Path) -> dict[str, Tensor]:
    """The tensors of all files of an index.

    Args:
        index: `*.safetensors.index.json`.

    Raises:
        InputError: names that are no files beside the index, a file without a tensor that the index puts there, or
            with one that it doesn't.
    """
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise InputError(f"{index}", given="no weight_map of names", expected="an index of safetensors files")
    files = sorted(set(places.values()))
    if len(files) > MOST_SHARDS:
        raise InputError(f"{index}", given=f"{len(files)} files", expected=f"at most {MOST_SHARDS}")
    found: dict[str, Tensor] = {}
    for name in files:
        part = read_safetensors(_beside(index, name))
        wanted = {key for key, place in places.items() if place == name}
        if wanted != set(part):
            key = min(wanted ^ set(part))
            given = f"{key!r} {'missing in' if key in wanted else 'also in'} {name}"
            raise InputError(f"{index}", given=given, expected="the tensors that it says are there")
        found |= part
    return found


def _beside(index: Path, name: str) -> Path:
    """A file beside the index; a link out of the folder only into the same repository of Hugging Face's cache."""
    expected = "a .safetensors file beside it"
    if Path(name).name != name or "\\" in name or "\0" in name or not name.endswith(".safetensors"):
        raise InputError(f"{index}", given=f"the file {name!r}", expected=expected)
    path, folder = index.parent / name, index.parent.resolve()
    cache = folder.parent.parent / "blobs" if folder.parent.name == "snapshots" else folder
    if not path.is_file():
        raise InputError(f"{index}", given=f"{name}, which isn't there", expected=expected)
    if not any(path.resolve().is_relative_to(place) for place in (folder, cache)):
        raise InputError(f"{index}", given=f"{name}, a link to {path.resolve()}", expected=expected)
    return path


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file.

    Args:
        path: of the file.

    Raises:
        InputError: a file that isn't one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"cannot read {path}", given=str(error), expected="a safetensors file") from error
