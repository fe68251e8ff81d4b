"""Where work happens: on the model's device and in its dtype; results come back where the data were.

Nothing is moved to the CPU without a word. A function that takes a model and data brings the data to the model
(`to_model`), works there, makes whatever it needs there (`device=`, `randomness.generator(..., device=)`), and hands
its results back to where the data came from (`home` before the work, `back_to` after it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.copies import copied
from deepwright.core.errors import InputError

Place = Tensor | nn.Module | torch.device | str

# Lightning Fabric's names, and the short ones that people type.
_PRECISIONS = ("16-true", "16-mixed", "bf16-true", "bf16-mixed", "32-true", "64-true")
_SHORT = {"64": "64-true", "32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}
_TRUE = {
    torch.float16: "16-true",
    torch.bfloat16: "bf16-true",
    torch.float32: "32-true",
    torch.float64: "64-true",
}
_BACKENDS = ("cuda", "mps", "xpu")


def device_of(model: nn.Module) -> torch.device:
    """Where a module's first parameter or buffer lives (CPU when it has none)."""
    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def dtype_of(model: nn.Module, default: torch.dtype = torch.float32) -> torch.dtype:
    """The dtype of a module's first floating parameter or buffer.

    Args:
        model: any module.
        default: the answer for a module without floating tensors.
    """
    return _float_dtype(model) or default


def _float_dtype(model: nn.Module) -> torch.dtype | None:
    tensors = chain(model.parameters(), model.buffers())
    return next((t.dtype for t in tensors if t.is_floating_point()), None)


def to_model(x: Any, model: nn.Module) -> Any:
    """Data brought to a model: every tensor to its device, floating ones in its dtype. Gradients flow through.

    A module without floating tensors has no dtype to ask for: its data keep theirs.

    Args:
        x: a tensor, or tuples, lists and mappings of tensors; anything else in them stays as it is.
        model: where to.
    """
    device, dtype = device_of(model), _float_dtype(model)

    def bring(t: Tensor) -> Tensor:
        return t.to(device, dtype) if dtype is not None and t.is_floating_point() else t.to(device)

    return _each(bring, x)


def home(*given: Any, default: torch.device | str = "cpu") -> torch.device:
    """Where the user's data are: the device of the first tensor among what was given.

    Args:
        given: data as the user gave them, nested or not.
        default: the answer where no tensor is among them (arrays, numbers).
    """
    first = next((t for x in given for t in _tensors(x)), None)
    return torch.device(default) if first is None else first.device


def back_to(x: Any, like: Place) -> Any:
    """Results handed back: every tensor moved to where `like` is, its dtype kept.

    Args:
        x: a tensor, or tuples, lists and mappings of tensors.
        like: a tensor, a module, or a device.
    """
    device = like.device if isinstance(like, Tensor) else device_of(like) if isinstance(like, nn.Module) else like
    return _each(lambda t: t.to(device), x)


def _each(change: Any, x: Any) -> Any:
    """`change` of every tensor in nested tuples (named ones too), lists and mappings."""
    if isinstance(x, Tensor):
        return change(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(_each(change, e) for e in x))
    if isinstance(x, list | tuple):
        return type(x)(_each(change, e) for e in x)
    if isinstance(x, Mapping):
        return {k: _each(change, v) for k, v in x.items()}
    return x


def _tensors(x: Any) -> Iterator[Tensor]:
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, list | tuple | Mapping):
        for element in x.values() if isinstance(x, Mapping) else x:
            yield from _tensors(element)


def present() -> list[str]:
    """The devices of this machine, as `--device` takes them."""
    return ["cpu", *(f"{kind}:{i}" for kind in _BACKENDS for i in range(_count(kind)))]


def _count(kind: str) -> int:
    """How many devices of a kind there are (0 for a kind that this torch doesn't have)."""
    try:
        module = torch.get_device_module(kind)
        return int(module.device_count()) if module.is_available() else 0
    except (RuntimeError, AttributeError):
        return 0


def resolve(device: torch.device | str, name: str = "--device") -> torch.device:
    """The device that a word names.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps", any other device that torch knows, or "auto" for the best there is.
        name: what to call the argument in an error.

    Raises:
        InputError: no such device here; what there is is listed.
    """
    if device == "auto":
        return torch.device(next((kind for kind in _BACKENDS if _count(kind)), "cpu"))
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise _absent(name, device) from error
    if wanted.type == "cpu":
        return torch.device("cpu")
    if (wanted.index or 0) >= _count(wanted.type):
        raise _absent(name, device)
    return wanted


def _absent(name: str, device: object) -> InputError:
    hint = "a GPU is called 'cuda', or 'cuda:1' for the second one" if str(device).startswith("gpu") else None
    expected = "'auto' or one of " + ", ".join(present())
    return InputError(name, given=repr(str(device)), expected=expected, hint=hint)


def resolve_precision(precision: str | None, dtype: torch.dtype = torch.float32) -> str:
    """Lightning Fabric's name of a precision.

    Args:
        precision: "32", "bf16-mixed" and so on; None for the model's own.
        dtype: the model's floating dtype.

    Raises:
        InputError: an unknown name, or a dtype that no precision keeps.
    """
    if precision is None:
        if dtype not in _TRUE:
            raise InputError("the model's dtype", given=dtype, expected=", ".join(map(str, _TRUE)))
        return _TRUE[dtype]
    name = _SHORT.get(str(precision), str(precision))
    if name not in _PRECISIONS:
        raise InputError("precision", given=repr(precision), expected="one of " + ", ".join((*_PRECISIONS, *_SHORT)))
    return name


@dataclass(frozen=True)
class Compute:
    """Where and how something is trained.

    Args:
        device: a device or its name ("auto" for the best there is); None for where the model lives.
        devices: how many devices of that kind; more than one is data-parallel (gloo on the CPU, NCCL on CUDA).
        strategy: Lightning Fabric's: "auto", "ddp", "fsdp" and so on.
        precision: see `resolve_precision`; None for the model's own dtype.
    """

    device: str | torch.device | None = None
    devices: int = 1
    strategy: str = "auto"
    precision: str | None = None

    def target(self, model: nn.Module) -> torch.device:
        """The device on which `model` will be trained."""
        return device_of(model) if self.device is None else resolve(self.device, "device")

    def fabric(self, model: nn.Module) -> dict[str, Any]:
        """Lightning Fabric's arguments for `model`: accelerator, devices, strategy and precision.

        Raises:
            InputError: devices that aren't there, or settings that contradict each other.
        """
        device = self.target(model)
        # "32-true" is Fabric's word for leaving every tensor in its own dtype; "64-true" would cast the whole module.
        precision = "32-true" if self.precision is None else resolve_precision(self.precision, dtype_of(model))
        self.require(device, precision)
        if self.precision is not None and precision == "32-true" and dtype_of(model) != torch.float32:
            given = f"{self.precision} for a model in {dtype_of(model)}"
            hint = "leave precision out (the model's own dtype), or convert it first: model.float()"
            raise InputError("precision", given=given, expected="one that the model has", hint=hint)
        if device.type in ("cuda", "mps"):
            first = device.index or 0
            which: Any = list(range(first, first + self.devices)) if device.type == "cuda" else 1
            return {"accelerator": device.type, "devices": which, "strategy": self.strategy, "precision": precision}
        if device.type == "cpu":
            return {"accelerator": "cpu", "devices": self.devices, "strategy": self.strategy, "precision": precision}
        return {"strategy": _alone_on(device), "precision": precision}

    def require(self, device: torch.device, precision: str) -> None:
        """Refuse what this machine, or Fabric, hasn't.

        Args:
            device: the first.
            precision: of the numbers, as Fabric names it.

        Raises:
            InputError: devices that aren't there, a strategy or a precision that doesn't fit them.
        """
        if self.devices < 1:
            raise InputError("devices", given=self.devices, expected="1 or more")
        if device.type == "cuda" and (device.index or 0) + self.devices > _count("cuda"):
            given = f"{self.devices} from {device} on"
            raise InputError("devices", given=given, expected=f"at most the {_count('cuda')} that there are")
        if device.type not in ("cpu", "cuda") and self.devices > 1:
            raise InputError("devices", given=f"{self.devices} on {device.type}", expected="1")
        if device.type != "cuda" and "fsdp" in self.strategy:
            raise InputError("strategy", given=f"{self.strategy!r} on {device.type}", expected="CUDA devices, or 'ddp'")
        if device.type not in ("cpu", "cuda") and self.strategy != "auto":
            raise InputError("strategy", given=f"{self.strategy!r} on {device.type}", expected="'auto'")
        if device.type == "cpu" and precision == "16-mixed":  # Fabric would take bf16-mixed instead
            raise InputError("precision", given="16-mixed on the CPU", expected="bf16-mixed or 32-true")


def _alone_on(device: torch.device) -> Any:
    """Fabric's strategy for one device of a kind that Fabric has no accelerator for."""
    from lightning_fabric.accelerators import CPUAccelerator
    from lightning_fabric.strategies import SingleDeviceStrategy

    class Anywhere(CPUAccelerator):
        def setup_device(self, device: torch.device) -> None:
            """Nothing to set up: the model lives there already."""

    return SingleDeviceStrategy(device=device, accelerator=Anywhere())


def copy_on_cpu(model: nn.Module) -> nn.Module:
    """A copy whose parameters and buffers are on the CPU, for files; tied ones stay tied.

    Args:
        model: which is given back as it is where it lives there.
    """
    if device_of(model).type == "cpu":
        return model
    found = copied(model)
    moved: dict[int, nn.Parameter] = {}
    for module in found.modules():
        for name, p in list(module.named_parameters(recurse=False)):
            setattr(module, name, moved.setdefault(id(p), nn.Parameter(p.detach().cpu(), p.requires_grad)))
        for name, b in list(module.named_buffers(recurse=False)):
            setattr(module, name, b.cpu())
    return found
