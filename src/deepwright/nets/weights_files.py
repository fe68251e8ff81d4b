"""Weights from files that nobody trusts: safetensors, or plain state dicts read without unpickling code."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.files import write_bytes


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """A state dict from safetensors, or from a `torch.save` file without unpickling code.

    Args:
        path: a `.safetensors` file, or one of `torch.save`.

    Raises:
        InputError: no such file, one that holds more than tensors, or no state dict.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("weights", given=f"{path} does not exist", expected="a .safetensors or .pt file")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(f"cannot read {path}", given=str(error), expected="a safetensors file") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        kind = (
            "a pickle that holds more than tensors"
            if zipfile.is_zipfile(path) or path.read_bytes()[:1] == b"\x80"
            else "no state dict"
        )
        raise InputError(
            f"weights {path} refused",
            given=kind,
            expected="a state dict of tensors",
            hint="pickles can run code when they are read; in the program that made the file, save "
            "`safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')` and use that",
        ) from error
    for wrapper in ("state_dict", "model", "model_state_dict"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"weights {path}", given=type(state).__name__, expected="a state dict of tensors")
    return state


def write_weights(path: Path | str, module: nn.Module) -> Path:
    """Write a module's state as safetensors; `load_weights` reads it back.

    A tied tensor is written once, under its first name. Tensors that only share memory are written whole, each.

    Args:
        path: where to; missing folders are made.
        module: anywhere; its state is written as it is, in its own dtypes.

    Raises:
        InputError: a state that holds more than tensors; a place that can't be written.
    """
    from safetensors.torch import save

    first = {names[0] for names in _tied(module)}
    found = {}
    for key, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            raise InputError(f"state {key!r}", given=type(value).__name__, expected="a tensor")
        if key in first:
            found[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    return write_bytes(path, save(found))


def _tied(module: nn.Module) -> list[list[str]]:
    """The names of each tensor of the state: one, or several where it is tied."""
    names: dict[int, list[str]] = {}
    for key, value in module.state_dict(keep_vars=True).items():
        names.setdefault(id(value), []).append(key)
    return list(names.values())


def load_weights(model: nn.Module, path: Path | str) -> None:
    """Load strictly; `module.` prefixes of DataParallel are removed, and one name of a tied tensor is enough.

    Args:
        model: takes the weights, where it lives.
        path: see `read_weights`.

    Raises:
        InputError: names the first key that is missing, unexpected or of another shape.
    """
    state = read_weights(path)
    if state and all(k.startswith("module.") for k in state):
        state = {k.removeprefix("module."): v for k, v in state.items()}
    for names in _tied(model):
        there = [n for n in names if n in state]
        state |= {n: state[there[0]] for n in names if there and n not in state}
    own = model.state_dict()
    for key, value in own.items():
        if key not in state:
            raise InputError(
                f"weights {path} do not match the network",
                given=f"no key {key!r}",
                expected=f"shape {tuple(value.shape)}",
            )
        if state[key].shape != value.shape:
            raise InputError(
                f"weights {path} do not match the network",
                given=f"{key!r} of shape {tuple(state[key].shape)}",
                expected=f"shape {tuple(value.shape)}",
            )
    extra = next((k for k in state if k not in own), None)
    if extra is not None:
        raise InputError(
            f"weights {path} do not match the network",
            given=f"unexpected key {extra!r}",
            expected="only the network's own keys",
        )
    model.load_state_dict(state)
