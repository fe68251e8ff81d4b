"""How often a network names each class under Gaussian noise: the counts that certificates are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.adversarial.aim import Aim, loss_name, may_have_classes, require_task
from deepwright.adversarial.probing import forward_of, probed
from deepwright.adversarial.rounding import working_dtype
from deepwright.core.devices import device_of, dtype_of
from deepwright.core.errors import InputError
from deepwright.core.inference import frozen, require_float_images
from deepwright.core.randomness import Streams
from deepwright.core.tasks import Task

_BLOCK = 50  # draws that are numbered together: numbers don't depend on how many inputs go through at once


def require_inputs(x: object, ids: Tensor | None) -> None:
    """Refuse what can't have noise, and identities that aren't one an input.

    Args:
        x: what was given.
        ids: (N,) whole numbers, or None.

    Raises:
        InputError: either.
    """
    if not isinstance(x, Tensor) or x.ndim < 2 or len(x) == 0:
        given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError("x", given=given, expected="a tensor (N, ...) of one input or more")
    require_float_images(x)
    if ids is not None and (tuple(ids.shape) != (len(x),) or ids.is_floating_point() or ids.is_complex()):
        raise InputError("ids", given=f"{ids.dtype} of shape {tuple(ids.shape)}", expected=f"whole numbers ({len(x)},)")


class Voter:
    """Counts of classes under noise, for batches of inputs.

    Args:
        model: frozen, and asked in its own dtype.
        x: some inputs, from which is told what outputs are.
        task: what they mean; None for classes.
        sigma: deviation of the noise.
        seed: of the noise.
        batch_size: noisy inputs of one pass.

    Raises:
        InputError: outputs that are no one class a sample, or a random model.
    """

    def __init__(
        self, model: nn.Module, x: Tensor, task: Task | None, sigma: float, seed: int, batch_size: int
    ) -> None:
        require_task(task)
        if not may_have_classes(task):
            assert task is not None
            raise InputError("task", given=task.kind, expected="one class a sample: what noise votes on")
        self.sigma, self.seed, self.batch_size = sigma, seed, batch_size
        self.device = device_of(model)
        work = x.to(self.device, working_dtype(x.dtype))
        forward = forward_of(model, (), dtype_of(model, x.dtype))
        aim, read, self.forward = probed(Aim(task, loss_name(task, None, "ce"), None, False), forward, work, None, 1)
        logits = aim.class_logits(read)
        if logits is None:
            raise InputError("task", given="outputs of other tasks", expected="one class a sample: what noise votes on")
        self.classes, self._logits = logits.shape[1], self._reader(aim)

    def _reader(self, aim: Aim) -> Callable[[Tensor], Tensor]:
        def logits(noisy: Tensor) -> Tensor:
            out: Any = aim.class_logits(aim.read(self.forward(noisy), len(noisy)))
            return out

        return logits

    def named(self, inputs: Tensor) -> Tensor:
        """The class of each input; one past the last where outputs aren't finite, which is a vote for nobody.

        Args:
            inputs: noisy ones.
        """
        z = self._logits(inputs)
        return torch.where(torch.isfinite(z).all(1), z.argmax(1), self.classes)

    def counts(self, x: Float[Tensor, "n ..."], ids: Int64[Tensor, " n"], draws: int, what: str) -> Tensor:
        """(N, classes) votes; draws that gave no finite outputs are missing from them.

        Args:
            x: inputs.
            ids: of their noise.
            draws: of each.
            what: names the noise: another word is other noise.
        """
        x = x.to(self.device, working_dtype(x.dtype))
        found = torch.zeros(len(x), self.classes + 1, dtype=torch.long, device=self.device)
        at_once = max(1, self.batch_size // _BLOCK)
        for start in range(0, len(x), at_once):
            rows = slice(start, start + at_once)
            for block, done in enumerate(range(0, draws, _BLOCK)):
                noise = Streams(self.seed, ids[rows], what, block, device=self.device).normal(_BLOCK, *x.shape[1:])
                noise = noise[:, : draws - done].to(x)
                noisy = (x[rows, None] + self.sigma * noise).flatten(0, 1)
                classes = torch.cat([self.named(part) for part in noisy.split(self.batch_size)])
                classes = classes.view(noise.shape[:2])
                found[rows].scatter_add_(1, classes, torch.ones_like(classes))
        return found[:, : self.classes]


def classes_of(model: nn.Module, x: Float[Tensor, "n ..."], task: Task | None) -> int:
    """How many classes a network tells apart.

    Args:
        model: left as found.
        x: some inputs.
        task: what its outputs mean; None for classes.
    """
    require_inputs(x, None)
    with frozen(model), torch.no_grad():
        return Voter(model, x, task, 1.0, 0, 1).classes


def counted(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    task: Task | None,
    *,
    sigma: float,
    seed: int,
    batch_size: int,
    ids: Tensor | None,
    draws: dict[str, int],
) -> list[Int64[Tensor, "n classes"]]:
    """Votes on each input, on the CPU, of several kinds of noise.

    Args:
        model: left as found.
        x: inputs.
        task: what outputs mean; None for classes.
        sigma: deviation of the noise.
        seed: of the noise.
        batch_size: noisy inputs of one pass.
        ids: (N,) identity of each input's noise; 0..N-1 by default.
        draws: the name of each kind of noise -> how many.
    """
    require_inputs(x, ids)
    ids = torch.arange(len(x)) if ids is None else ids.cpu()
    with frozen(model), torch.no_grad():
        voter = Voter(model, x, task, sigma, seed, batch_size)
        return [voter.counts(x, ids, n, name).cpu() for name, n in draws.items()]
