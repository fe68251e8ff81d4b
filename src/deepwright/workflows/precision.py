"""A network where it is asked for, in the precision that is asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepwright.core.copies import copied
from deepwright.core.devices import device_of, dtype_of, resolve, resolve_precision

_TRUE = {
    "16-true": torch.float16,
    "bf16-true": torch.bfloat16,
    "32-true": torch.float32,
    "64-true": torch.float64,
}
_MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


class Mixed(nn.Module):
    """A network whose products run in half precision, as they will in production (`torch.autocast`).

    Args:
        network: with parameters in float32.
        dtype: of the products.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, x: Tensor) -> Tensor:
        """Outputs in float32."""
        with torch.autocast(x.device.type, self.dtype):
            out = self.network(x)
        return out.float() if isinstance(out, Tensor) else out


def placed(model: nn.Module, device: str | None, precision: str | None, *, mixed: bool = True) -> nn.Module:
    """A network on a device and in a precision.

    Args:
        model: it stays as it is; where it must be moved or cast, that is done to a copy.
        device: see `core.devices.resolve`; None leaves it where it lives.
        precision: see `core.devices.resolve_precision`; None keeps its own.
        mixed: whether a mixed precision wraps the network; otherwise that is left to its training.

    Returns:
        the network or a copy, wrapped where `mixed` asks for it.

    Raises:
        InputError: a device that isn't here, an unknown precision.
    """
    if device is not None and resolve(device, "device") != device_of(model):
        model = copied(model).to(resolve(device, "device"))
    if precision is None:
        return model
    name = resolve_precision(precision)
    if name in _TRUE:
        return model if dtype_of(model) == _TRUE[name] else copied(model).to(_TRUE[name])
    return Mixed(model, _MIXED[name]).train(model.training) if mixed else model


def true_dtype(precision: str | None, default: torch.dtype) -> torch.dtype:
    """The dtype that a true precision stands for.

    Args:
        precision: "32-true", "64" and so on.
        default: the answer where none is given.
    """
    return default if precision is None else _TRUE[resolve_precision(precision)]


def training_precision(precision: str | None) -> str | None:
    """What `core.devices.Compute` is told: mixed precisions; true ones are the network's own dtype already.

    Args:
        precision: see `core.devices.resolve_precision`.
    """
    name = None if precision is None else resolve_precision(precision)
    return name if name in _MIXED else None
