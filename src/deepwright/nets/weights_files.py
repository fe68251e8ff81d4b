"""Weights from files that nobody trusts: safetensors, or plain state dicts read without unpickling code."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.files import require_plain_file, write_bytes
from deepwright.core.zips import open_zip


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """A state dict from safetensors, or from a `torch.save` file without unpickling code.

    Args:
        path: a `.safetensors` file, or one of `torch.save`.

    Raises:
        InputError: no such file, one that holds more than tensors, or no state dict.
    """
    path = Path(path)
    require_plain_file(path, f"cannot read {path}")
    if not path.is_file():
        given = f"{path}, a folder" if path.is_dir() else f"{path} does not exist"
        raise InputError("weights", given=given, expected="a .safetensors or .pt file")
    if zipfile.is_zipfile(path):
        open_zip(path, "a file of torch.save").close()
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
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        given = "nothing" if state == {} else type(state).__name__
        raise InputError(f"weights {path}", given=given, expected="a state dict of tensors")
    for key, value in state.items():
        _require_plain(path, key, value)
    return state


def _require_plain(path: Path, key: object, value: Tensor) -> None:
    """Refuse names that no module has, and tensors that aren't just numbers in memory."""
    if not isinstance(key, str):
        raise InputError(f"weights {path}", given=f"the key {key!r}", expected="names of parameters")
    kinds = {"sparse": value.layout != torch.strided, "quantised": value.is_quantized, "without numbers": value.is_meta}
    for kind, is_it in kinds.items():
        if is_it:
            hint = "save value.to_dense() or value.dequantize()" if kind != "without numbers" else None
            raise InputError(
                f"{key!r} of weights {path}", given=f"a tensor that is {kind}", expected="numbers", hint=hint
            )


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
        _require_numbers(path, key, state[key], value)
    extra = next((k for k in state if k not in own), None)
    if extra is not None:
        raise InputError(
            f"weights {path} do not match the network",
            given=f"unexpected key {extra!r}",
            expected="only the network's own keys",
        )
    model.load_state_dict(state)


def _require_numbers(path: Path | str, key: str, given: Tensor, own: Tensor) -> None:
    """Refuse numbers of another kind (torch would cast int8 or bool into float), and those that aren't any."""
    kinds = [(t.is_complex(), t.is_floating_point(), t.dtype == torch.bool) for t in (given, own)]
    if kinds[0] != kinds[1]:
        raise InputError(
            f"weights {path} do not match the network",
            given=f"{key!r} of {given.dtype}",
            expected=f"{own.dtype}",
            hint="quantised numbers need their scale: save the weights before they are quantised",
        )
    if (given.is_floating_point() or given.is_complex()) and bool(torch.isnan(given).any()):
        raise InputError(f"weights {path}", given=f"NaN in {key!r}", expected="numbers", hint="the training diverged")
