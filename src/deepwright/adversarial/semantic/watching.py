"""One pass of a network with the dense maps of chosen layers, differentiable where gradients are on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import evaluating, failed_on
from deepwright.core.requirements import require_network
from deepwright.core.taps import Tap
from deepwright.core.tasks.reading import unwrap

if TYPE_CHECKING:
    from deepwright.core.tasks import Task

_BLOCK = re.compile(r"(.*\.)?layer\d+")  # as residual networks name what one resolution has
_FEW = 4  # layers that are taken of a network with a single resolution


@dataclass(frozen=True)
class Seen:
    """What one pass left behind, where the network lives.

    Attributes:
        x: the inputs.
        out: the network's output as the task reads it (as it is without a task).
        logits: (N, classes, *positions), float32; None where samples and positions have no classes.
        maps: name -> (N, channels, *positions) of a layer, or (N, channels) where it has none; float32.
    """

    x: Tensor
    out: Any
    logits: Tensor | None
    maps: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.x)


class Watch:
    """Run a network and look at some layers.

    Args:
        model: any module.
        layers: names as `core.taps.Tap` takes them. "auto": `layer1`, `layer2`, ... of residual networks; else the last
            pre-activation of each resolution, or four over the depth where there is one resolution only (tokens,
            vectors).
        task: how to read the output; None takes (N, classes) or (N, classes, *positions) as they are, out of a tuple or
            dict too, and one column as the logit of the second of two classes.
    """

    def __init__(self, model: nn.Module, layers: str | Sequence[str] = "auto", task: Task | None = None) -> None:
        require_network(model)
        if isinstance(layers, str) and layers != "auto":
            raise InputError("layers", given=repr(layers), expected="'auto' or names", hint=f"layers=[{layers!r}]")
        if len(layers) == 0:
            raise InputError("layers", given="none", expected="'auto' or one name at least")
        self.model, self.task = model, task
        self._names: tuple[str, ...] | None = None if layers == "auto" else tuple(layers)

    @property
    def layers(self) -> str | tuple[str, ...]:
        """The names, or "auto" as long as no input was seen."""
        return "auto" if self._names is None else self._names

    def names(self, x: Float[Tensor, "n ..."]) -> tuple[str, ...]:
        """The layers that are looked at.

        Args:
            x: inputs, of which two are tried the first time.

        Raises:
            InputError: nothing of the network can be seen.
        """
        if self._names is None:
            with torch.no_grad(), evaluating(self.model):
                self._names = self._chosen(self._run(to_model(x[:2], self.model), "auto")[1], x)
        return self._names

    def __call__(self, x: Float[Tensor, "n ..."]) -> Seen:
        """One pass.

        Args:
            x: inputs; brought to the network, gradients flow through.
        """
        names = self.names(x)
        with evaluating(self.model):
            x = to_model(x, self.model)
            out, maps = self._run(x, names)
        for name in names:
            if name not in maps:
                raise unknown_name("layer", name, [n for n, _ in self.model.named_modules() if n])
        read = out if self.task is None else self.task.read(out, strict=False)
        return Seen(x, read, self._logits(read), {name: maps[name] for name in names})

    def logits(self, x: Float[Tensor, "n ..."]) -> Tensor:
        """The class logits of another pass without a look at layers.

        Args:
            x: inputs, beside the network.

        Raises:
            InputError: outputs without classes.
        """
        with evaluating(self.model):
            out = self.model(x)
        read = out if self.task is None else self.task.read(out, strict=False)
        return required(self._logits(read))

    def _run(self, x: Tensor, layers: str | tuple[str, ...]) -> tuple[Any, dict[str, Tensor]]:
        with Tap(self.model, layers, reduce=_whole, attached=True) as tap:
            tap.reset(x.shape[0])  # len() would fix a free batch size
            try:
                out = self.model(x)
            except (RuntimeError, IndexError, TypeError, ValueError) as error:
                if isinstance(error, InputError):
                    raise
                raise failed_on(x, error, hint="check shape and preprocessing") from error
            tap.finish(out)
        return out, tap.layers

    def _chosen(self, found: dict[str, Tensor], x: Tensor) -> tuple[str, ...]:
        blocks = tuple(name for name, _ in self.model.named_modules() if _BLOCK.fullmatch(name))
        if len(blocks) > 1:
            seen = self._run(to_model(x[:2], self.model), blocks)[1]
            if all(name in seen for name in blocks):
                return blocks
        if not found:
            raise InputError(
                "layers", given="a network of which no activation is seen", expected="names", hint="layers=[...]"
            )
        maps = {name: tuple(m.shape[2:]) for name, m in found.items() if m.ndim > 2} or dict.fromkeys(found, ())
        last = {shape: name for name, shape in maps.items()}
        if len(last) > 1:
            return tuple(name for name in maps if name in last.values())
        names = list(maps)
        places = {round((i + 1) * len(names) / _FEW) - 1 for i in range(_FEW)} if len(names) > _FEW else None
        return tuple(names if places is None else (names[i] for i in sorted(places)))

    def _logits(self, read: Any) -> Tensor | None:
        task = self.task
        if task is None:
            z = read if isinstance(read, Tensor) else _named(read)
            z = z if z is not None and z.ndim > 1 and z.is_floating_point() else None
        elif task.kind == "segmentation":
            z = read
        elif task.kind == "multi-label classification":
            z = read[:, None]
        else:
            z = task.class_logits(read)
        if z is None:
            return None
        z = z.float()
        return torch.cat([torch.zeros_like(z), z], 1) if z.shape[1] == 1 else z


def _named(out: Any) -> Tensor | None:
    """Class outputs (N, classes) or (N, classes, rows, columns) of a tuple, a dict or an object with `.logits`.

    None where several could be meant, and for candidates of a detector (N, boxes, classes).
    """
    try:
        z = unwrap(out, None, lambda t: t.is_floating_point() and t.ndim in (2, 4), "class outputs")
    except InputError:
        return None
    return z if z.ndim in (2, 4) else None


def required(logits: Tensor | None) -> Tensor:
    """Logits, refused where there are none.

    Args:
        logits: of `Seen`.

    Raises:
        InputError: none.
    """
    if logits is None:
        raise InputError(
            "the network's outputs",
            given="no classes",
            expected="classes: uncertainty and squeezing need them",
            hint="DenseFeatureDetector(scores=('image', 'dense')) needs none",
        )
    return logits


def _whole(pre: Float[Tensor, "n c *positions"]) -> Float[Tensor, "n c *positions"]:
    """A copy: what follows in the network may write into the map."""
    return pre.float().clone() if pre.dtype == torch.float32 else pre.float()
