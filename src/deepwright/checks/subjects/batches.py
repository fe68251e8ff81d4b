"""What a loader's batch is: inputs and targets, in pairs or under keys, one target a sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from deepwright.core.errors import InputError
from deepwright.core.texts import are_codes, are_tokens, to_codes, to_tokens

INPUTS = (
    "input_ids",
    "pixel_values",
    "image",
    "images",
    "img",
    "input_values",
    "input_features",
    "inputs",
    "input",
    "x",
    "features",
)
TARGETS = ("labels", "label", "targets", "target", "y")
_MASKS = ("attention_mask", "token_type_ids")
_BESIDE_IDS = (
    "bbox",
    "decoder_input_ids",
    "global_attention_mask",
    "inputs_embeds",
    "pixel_values",
    "position_ids",
)
_PAIRS = "batches of (inputs, targets)"
_MAKES = "torch.utils.data.DataLoader(dataset, batch_size=100) makes batches"


def batches_of(loader: Iterable[Any], what: str) -> Iterator[Any]:
    """What a loader gives; a data set gives single samples and is no loader.

    Args:
        loader: of a user.
        what: "train", "validation" or "test", for messages.

    Raises:
        InputError: a data set, a tensor, one batch by itself.
    """
    if isinstance(loader, Dataset) and not isinstance(loader, IterableDataset):
        hint = "torch.utils.data.DataLoader(dataset, batch_size=100)"
        raise InputError(f"{what} loader", given=f"a {type(loader).__name__}", expected="batches", hint=hint)
    if isinstance(loader, str | bytes | Tensor | Mapping) or not hasattr(loader, "__iter__"):
        raise InputError(f"{what} loader", given=type(loader).__name__, expected=_PAIRS)
    yield from loader


def require_keys(keys: object) -> None:
    """Refuse what can't name the inputs and the targets of a batch.

    Args:
        keys: two names, or None.

    Raises:
        InputError: anything else.
    """
    if keys is None:
        return
    if isinstance(keys, str) or not isinstance(keys, Sequence) or len(keys) != 2 or keys[0] == keys[1]:
        raise InputError("keys", given=repr(keys), expected='two names, of inputs and targets: ("image", "label")')


def one_batch(batch: Any, what: str, keys: Sequence[str] | None = None) -> tuple[Tensor, Any]:
    """Inputs on the CPU and targets of a batch, one target a sample; strings are code points.

    Args:
        batch: a pair, or a dict.
        what: "train", "validation" or "test", for messages.
        keys: of inputs and targets in a dict; told from the usual names when None.

    Raises:
        InputError: a batch of another form.
    """
    inputs, y = _pair(batch, what, keys)
    try:
        if _seem_texts(inputs):
            x = to_codes(list(inputs), f"texts of the {what} loader")
        elif isinstance(inputs, Mapping):
            x = _tokens(inputs, what)
        else:
            x = _numbers(inputs)
    except InputError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        given = f"inputs that are a {type(inputs).__name__}: {str(error).splitlines()[0]}"
        raise InputError(f"{what} loader", given=given, expected="dense tensors or arrays of numbers") from error
    labels = len(y) if hasattr(y, "__len__") and getattr(y, "ndim", 1) > 0 else None
    if x.ndim == 0 or labels is None:
        given = f"inputs of shape {tuple(x.shape)} and one target: a single sample"
        raise InputError(f"{what} loader", given=given, expected=_PAIRS, hint=_MAKES)
    if len(x) != labels:
        given = f"a batch of {len(x)} inputs and {labels} targets"
        raise InputError(f"{what} loader", given=given, expected="one target a sample")
    return x, y


def copied(x: Tensor, y: Any) -> tuple[Tensor, Any]:
    """A batch of its own: a loader may fill the same memory again for the next one.

    Args:
        x: inputs.
        y: targets in any form.
    """
    return x.clone(), y.detach().clone() if isinstance(y, Tensor) else deepcopy(y)


def _seem_texts(inputs: Any) -> bool:
    """Whether inputs are meant as strings, though some may be missing or bytes."""
    row = isinstance(inputs, np.ndarray) and inputs.ndim == 1 and inputs.dtype.kind in "USO"
    flat = row or isinstance(inputs, list | tuple)
    return flat and any(each is None or isinstance(each, str | bytes) for each in inputs)


def _numbers(inputs: Any) -> Tensor:
    """Inputs that are no texts: rows of whole numbers don't look like code points, nor like token ids."""
    x = torch.as_tensor(inputs).detach().cpu()
    if x.layout != torch.strided or x.is_quantized or x.is_complex():
        raise TypeError(f"{x.dtype} ({x.layout})")
    return x.double() if are_codes(x) or are_tokens(x) else x


def _pair(batch: Any, what: str, keys: Sequence[str] | None) -> tuple[Any, Any]:
    if isinstance(batch, Mapping):
        names = keys or _told(batch, what)
        missing = [name for name in names if name not in batch]
        if missing:
            seen = f"no {missing[0]!r} among {', '.join(map(repr, batch))}"
            raise InputError(f"{what} loader", given=seen, expected="batches with both keys")
        return (batch if names[0] == "input_ids" else batch[names[0]]), batch[names[1]]
    if keys is not None:
        given = f"{tuple(keys)}, and batches that are a {type(batch).__name__}"
        raise InputError("keys", given=given, expected="none: keys are for dicts")
    if not isinstance(batch, list | tuple) or len(batch) < 2:
        hint = "[(texts, labels)], two lists, is one" if isinstance(batch, str) else None
        raise InputError(f"{what} loader", given=type(batch).__name__, expected=_PAIRS, hint=hint)
    return batch[0], batch[1]


def _tokens(batch: Mapping[str, Any], what: str) -> Tensor:
    """Token ids with their mask and segments; what else would change a network's answers is refused."""
    if "input_ids" not in batch:
        given = f"inputs that are a dict of {', '.join(map(repr, batch))}"
        raise InputError(f"{what} loader", given=given, expected="one tensor, or input_ids with their attention_mask")
    more = sorted(name for name in _BESIDE_IDS if name in batch)
    if more:
        raise InputError(
            f"{what} loader",
            given=f"{', '.join(more)} beside input_ids",
            expected="input_ids, attention_mask and token_type_ids, which a network of one text or pair gets",
        )
    beside = [None if part is None else torch.as_tensor(part).detach().cpu() for part in map(batch.get, _MASKS)]
    return to_tokens(torch.as_tensor(batch["input_ids"]).detach().cpu(), *beside)


def _told(batch: Mapping[str, Any], what: str) -> tuple[str, str]:
    """Which of a batch's keys are inputs and targets, by their usual names."""
    found = [[name for name in usual if name in batch] for usual in (INPUTS, TARGETS)]
    if len(found[0]) == len(found[1]) == 1:
        return found[0][0], found[1][0]
    words = [f"{' or '.join(map(repr, names)) or 'nothing'} as {of}" for names, of in zip(found, ("inputs", "targets"))]
    raise InputError(
        f"{what} loader",
        given=f"dicts of {', '.join(map(repr, batch))}, with {' and '.join(words)}",
        expected="one key of each that is told by its name",
        hint='name both: keys=("image", "label")',
    )


def require_plain(x: Tensor, what: str, wide: bool = False) -> Tensor:
    """Inputs as they are used: uint8 images, token ids, else float32, or float64 where that is asked for.

    Args:
        x: (n, ...) inputs of a batch.
        what: "train", "validation" or "test", for messages.
        wide: keep double precision, for a network in it; whole numbers are then doubles too.

    Raises:
        InputError: uint8 of another shape, NaN or infinity.
    """
    if are_tokens(x):
        return x
    if x.dtype == torch.uint8 and x.ndim != 4:
        given = f"uint8 of shape {tuple(x.shape)}"
        raise InputError(f"{what} inputs", given=given, expected="floats, or images (N, C, H, W)")
    if x.is_floating_point() and not torch.isfinite(x).all():
        raise InputError(f"{what} inputs", given="NaN or infinity", expected="finite numbers")
    if x.dtype == torch.uint8:
        return x
    return x.double() if wide and (x.dtype == torch.float64 or not x.is_floating_point()) else x.float()


def joined(ys: list[Any], what: str) -> Any:
    """Targets of all batches: one tensor, or one list where they are lists of objects.

    Args:
        ys: of each batch.
        what: "train", "validation" or "test", for messages.

    Raises:
        InputError: batches of unlike shapes.
    """
    try:
        if all(isinstance(y, Tensor | np.ndarray | int | float) or _is_numbers(y) for y in ys):
            return torch.cat([torch.atleast_1d(torch.as_tensor(y)).detach().cpu() for y in ys])
        return [each for y in ys for each in y]
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{what} labels", given=str(error).splitlines()[0], expected="batches of one shape, one row a sample"
        ) from error


def _is_numbers(y: Any) -> bool:
    return isinstance(y, list | tuple) and all(isinstance(each, int | float) for each in y)
