"""One of several outputs of a network, where its task can't tell which is meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_network


class Output(nn.Module):
    """A network of which one output is taken: of a list with auxiliary heads, of a dict, of an object with fields.

    Args:
        network: gives several outputs.
        which: a place in a tuple or list, a key, or the name of a field.

    Raises:
        InputError: no network.
    """

    def __init__(self, network: nn.Module, which: int | str) -> None:
        super().__init__()
        require_network(network)
        self.network, self.which = network, which
        self.training = network.training

    def forward(self, x: Tensor) -> Any:
        """That output.

        Args:
            x: what the network takes.
        """
        out = self.network(x)
        names = list(out) if isinstance(out, Mapping) else list(vars(out)) if hasattr(out, "__dict__") else []
        if isinstance(self.which, str) and self.which in names:
            return out[self.which] if isinstance(out, Mapping) else getattr(out, self.which)
        if isinstance(out, list | tuple) and isinstance(self.which, int) and -len(out) <= self.which < len(out):
            return out[self.which]
        places = f"0..{len(out) - 1}" if isinstance(out, list | tuple) else ", ".join(map(str, names))
        raise InputError(
            "which output", given=repr(self.which), expected=f"one of {places or 'several: it gives a single one'}"
        )
