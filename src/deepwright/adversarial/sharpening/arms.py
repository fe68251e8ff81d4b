"""The ways to publish a picture that a comparison holds against each other, at equal squared error where they can."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.sharpening.controls import Blur, GaussianNoise
from deepwright.adversarial.sharpening.enhancement import Enhancement
from deepwright.adversarial.sharpening.fidelity import on_grid
from deepwright.adversarial.sharpening.filters import ContrastStretch, Unsharp
from deepwright.core.errors import InputError

NONE = "none"
CONTROLS: dict[str, Callable[[], Enhancement]] = {
    "contrast": ContrastStretch,
    "unsharp mask": Unsharp,
    "noise": GaussianNoise,
    "blur": Blur,
}
"""What changes a picture as much without being the method in question."""
LEVELS = 255


@dataclass
class Arm:
    """A way to publish.

    Attributes:
        name: in the table.
        method: pictures -> published ones; None leaves them alone.
        like: the method whose squared error it is put at, picture by picture; None for none.
    """

    name: str
    method: Callable[[Tensor], Tensor] | None
    like: Enhancement | None = None

    @property
    def control(self) -> bool:
        """Whether it is one of the controls at equal error."""
        return self.like is not None

    @property
    def knows(self) -> tuple[nn.Module, ...]:
        """The networks that it asks."""
        return tuple(getattr(self.method, "knows", ()))

    def publish(self, x: Tensor, then: Callable[[Tensor], Tensor] | None = None) -> Sent:
        """Published pictures on 8-bit levels, and what an attacker makes of them who knows the way.

        Args:
            x: pictures in [0, 1].
            then: what they go through afterwards.
        """
        if self.method is None:
            return Sent(_through(x, then), None, torch.ones(len(x), dtype=torch.bool), 0.0)
        begin = time.process_time()
        strength, met = None, torch.ones(len(x), dtype=torch.bool)
        if isinstance(self.method, Enhancement):
            error = (
                None if self.like is None else (self.like.at(x, _settled(self.like, x)) - x).square().flatten(1).mean(1)
            )
            begin = time.process_time()
            found = self.method.strengths(x, error)
            strength, met = found.strength, found.reached.cpu()
            sent = self.method.at(x, strength)
        else:
            sent = self.method(x)
        seconds = (time.process_time() - begin) / len(x)
        if not isinstance(sent, Tensor) or sent.shape != x.shape:
            given = type(sent).__name__ if not isinstance(sent, Tensor) else f"shape {tuple(sent.shape)}"
            raise InputError(f"method {self.name!r}", given=given, expected=f"pictures of shape {tuple(x.shape)}")
        sent = _through(sent.detach(), then)
        return Sent(sent, self._undone(sent, strength), met, seconds)

    def _undone(self, sent: Tensor, strength: Tensor | None) -> Tensor | None:
        if isinstance(self.method, Enhancement) and strength is not None:
            return self.method.undone(sent, strength)
        back = getattr(self.method, "reconstruct", None)
        return None if back is None else back(sent).clamp(0, 1)


def _through(x: Tensor, then: Callable[[Tensor], Tensor] | None) -> Tensor:
    return on_levels(x) if then is None else on_levels(then(on_levels(x)))


def _settled(method: Enhancement, x: Tensor) -> Tensor:
    return method.strengths(x).strength


@dataclass
class Sent:
    """Published pictures.

    Attributes:
        pictures: on 8-bit levels.
        restored: what they were, as an attacker finds out who knows the way; None where nobody can.
        met: (N,) whether the picture is at the error that it was to be put at.
        seconds: of CPU for each picture.
    """

    pictures: Tensor
    restored: Tensor | None
    met: Tensor
    seconds: float


def on_levels(x: Tensor) -> Tensor:
    """What is published is what is measured: rounded to 8 bits.

    Args:
        x: pictures in [0, 1].
    """
    return on_grid(x, x, LEVELS, None).clamp(0, 1)


def arms_of(methods: Any, equal_mse: bool) -> list[Arm]:
    """No method, the methods, and controls at the error of the first that has a strength.

    Args:
        methods: name -> what publishes pictures.
        equal_mse: whether controls are added.

    Raises:
        InputError: no methods, names that the table has already, what can't be called.
    """
    if not isinstance(methods, dict) or not methods:
        expected = 'at least one, as {"sharpened": LaplacianSharpen(0.25)}'
        raise InputError("methods", given=repr(methods)[:60], expected=expected)
    taken = [name for name in methods if name in (NONE, *CONTROLS) or not isinstance(name, str)]
    if taken:
        raise InputError("methods", given=f"one named {taken[0]!r}", expected="names that the table hasn't already")
    for name, method in methods.items():
        if not callable(method) or isinstance(method, type):
            raise InputError(f"method {name!r}", given=repr(method)[:60], expected="pictures -> published pictures")
    found = [Arm(NONE, None), *(Arm(name, method) for name, method in methods.items())]
    first = next((m for m in methods.values() if isinstance(m, Enhancement)), None)
    if equal_mse and first is not None:
        found += [Arm(name, make(), first) for name, make in CONTROLS.items()]
    return found
