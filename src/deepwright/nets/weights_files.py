"""Weights from files that nobody trusts: safetensors, or plain state dicts read without unpickling code."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.files import require_plain_file, write_bytes
from deepwright.core.zips import open_zip
from deepwright.nets.sharded_weights import read_safetensors, read_shards, weights_in

_HOW_TO_EXPORT = {
    False: "pickles can run code when they are read; in the program that made the file, save "
    "`safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')` and use that",
    True: "it holds objects of classes beside its tensors (hyperparameters, callbacks), and a pickle of them can run "
    "code when it is read; in the program that made it, save its tensors alone: "
    "`torch.save(torch.load('it.ckpt', weights_only=False)['state_dict'], 'weights.pt')`",
}
"""What to do about a pickle that is refused, by whether it is named as Lightning names its checkpoints."""


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """A state dict from safetensors, or from a `torch.save` file without unpickling code.

    Args:
        path: a `.safetensors` file, the `.safetensors.index.json` of several, a folder of `save_pretrained` with
            either, a checkpoint of Lightning's, or a file of `torch.save`.

    Raises:
        InputError: no such file, one that holds more than tensors, or no state dict.
    """
    path = Path(path)
    if path.is_dir():
        path = weights_in(path)
    require_plain_file(path, f"cannot read {path}")
    if not path.is_file():
        raise InputError("weights", given=f"{path} does not exist", expected="a .safetensors or .pt file")
    if path.name.endswith(".safetensors.index.json"):
        return read_shards(path)
    if zipfile.is_zipfile(path):
        open_zip(path, "a file of torch.save").close()
    if path.suffix == ".safetensors":
        return read_safetensors(path)
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
            hint=_HOW_TO_EXPORT[path.suffix == ".ckpt"],
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
    """Load strictly; one name of a tied tensor is enough.

    Where the network's names stand under one prefix (`module.` of DataParallel, `model.` or `net.` of a Lightning
    module, `_orig_mod.` of a compiled one), that part of the file is taken, and what isn't under it (a loss's weights,
    metrics) is left.

    Args:
        model: takes the weights, where it lives.
        path: see `read_weights`.

    Raises:
        InputError: names the first key that is missing, unexpected or of another shape.
    """
    state = _part_of(model, read_weights(path), path)
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


def _part_of(model: nn.Module, state: dict[str, Tensor], path: Path | str) -> dict[str, Tensor]:
    """What of a state is the network's: all of it, or the part under the prefix that has most of its names and shapes.

    Raises:
        InputError: several parts that could be the network (a teacher and a student, a mean of weights).
    """
    own, first = model.state_dict(), _first_names(model)
    if not own or any(name in state for name in first):
        return state
    ends = tuple(f".{name}" for name in first)
    there = {key[: len(key) - len(end) + 1] for key in state for end in ends if key.endswith(end)}
    shapes = {key: value.shape for key, value in state.items()}
    fit = {prefix: sum(shapes.get(prefix + name) == value.shape for name, value in own.items()) for prefix in there}
    best = sorted(prefix for prefix, count in fit.items() if count == max(fit.values()))
    if len(best) > 1 and not any(fit.values()):
        return state  # another network's
    if len(best) > 1:
        raise InputError(
            f"weights {path}",
            given=f"the network's names under {' and under '.join(map(repr, best))}",
            expected="one network",
            hint="save the one that you mean: model.state_dict() of it",
        )
    if not best:
        return state
    return {key.removeprefix(best[0]): value for key, value in state.items() if key.startswith(best[0])}


def _first_names(model: nn.Module) -> list[str]:
    """The names of the first tensor of a state: several where it is tied."""
    return next(iter(_tied(model)), [])


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
