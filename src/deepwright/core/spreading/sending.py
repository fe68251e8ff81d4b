"""What goes from one process to another: values, errors, and the settings of torch that numbers depend on."""

from __future__ import annotations

import io
import pickle
from typing import Any

import cloudpickle
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError, first_line


class _Packer(cloudpickle.Pickler):
    """Tensors travel through the CPU: where they arrive, the device of their kind may be another one.

    Args:
        stream: to write to.
        whole: keep what is shared between tensors; else a part of a large one goes without the rest of it.
    """

    def __init__(self, stream: io.BytesIO, whole: bool) -> None:
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self.whole = whole

    def reducer_override(self, obj: Any) -> Any:
        """How an object is taken apart.

        Args:
            obj: any.
        """
        if isinstance(obj, Tensor) and obj.device.type != "cpu":
            grown = obj.requires_grad, isinstance(obj, nn.Parameter)
            return _arrived, (obj.detach().cpu(), obj.device.type, *grown)
        if not self.whole and type(obj) is Tensor and _is_a_part(obj):
            return obj.clone(memory_format=torch.contiguous_format).__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        return super().reducer_override(obj)


def _is_a_part(t: Tensor) -> bool:
    """Whether a plain tensor is a view of more numbers than its own, all of which would go along."""
    return t.layout == torch.strided and not t.requires_grad and t.untyped_storage().nbytes() > t.nbytes


def _arrived(t: Tensor, kind: str, wanted: bool, parameter: bool) -> Tensor:
    """A tensor on this process's own device of a kind."""
    there = torch.get_device_module(kind).is_available()
    t = t.to(kind) if there else t
    return nn.Parameter(t, wanted) if parameter else t.requires_grad_(wanted)


def packed(value: Any, whole: bool = False) -> bytes:
    """A value as bytes; functions and classes of scripts and notebooks go along.

    Args:
        value: of this process.
        whole: keep what its tensors share, as those of a network may; else they are cut out of larger ones.
    """
    stream = io.BytesIO()
    _Packer(stream, whole).dump(value)
    return stream.getvalue()


def unpacked(message: bytes) -> Any:
    """What was packed by a process of this very run; nothing else may come here.

    Args:
        message: of it.
    """
    return pickle.loads(message)


def sendable(value: Any, what: str) -> bytes:
    """A value as bytes.

    Args:
        value: of this process.
        what: asks for it, for the message.

    Raises:
        InputError: it can't be sent to another process.
    """
    try:
        return packed(value, whole=True)
    except Exception as error:  # whatever a user's object raises when it is taken apart
        raise InputError(
            what,
            given=f"something that can't be sent to another process ({type(error).__name__}: {first_line(error)})",
            expected="a network and data that can be pickled",
            hint="leave it out to work in one process; open files, locks and connections of a network or a data set "
            "can't go along",
        ) from error


def failed(error: BaseException) -> bytes:
    """An error as bytes; one that can't be sent is told in words.

    Args:
        error: of this process.
    """
    error.__traceback__, error.__cause__, error.__context__ = None, None, None
    try:
        message = packed(error)
        unpacked(message)
        return message
    except Exception:  # of a stranger's class
        return packed(RuntimeError(f"{type(error).__name__}: {first_line(error)}"))


def settings() -> dict[str, Any]:
    """The settings of torch in this process that numbers depend on."""
    return {
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "matmul": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": {name: getattr(torch.backends.cudnn, name) for name in ("deterministic", "benchmark", "allow_tf32")},
    }


def settle(found: dict[str, Any]) -> None:
    """Take over the settings of another process.

    Args:
        found: see `settings`.
    """
    torch.set_num_threads(found["threads"])
    torch.set_default_dtype(found["dtype"])
    torch.set_float32_matmul_precision(found["matmul"])
    if found["deterministic"] != torch.are_deterministic_algorithms_enabled():  # which takes seconds to say
        torch.use_deterministic_algorithms(found["deterministic"])
    for name, value in found["cudnn"].items():
        setattr(torch.backends.cudnn, name, value)
