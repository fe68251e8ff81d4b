"""`torch.export` programs as modules: their one mode is fixed, and a batch size that is fixed in them is filled up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError, first_line
from deepwright.core.taps import unseen
from deepwright.nets.fixed_batches import in_full_batches
from deepwright.nets.programs import RefusedProgram, read_program

if TYPE_CHECKING:
    from torch.export import ExportedProgram


class Exported(nn.Module):
    """A `torch.export` program as a module; train and eval mode are fixed in it.

    A program that was exported for one batch size gets batches of that size: the last one is filled up with copies of
    its last sample, whose outputs are dropped.

    Args:
        graph: the program's module.
        batch: the only batch size that it takes; None where it takes any.
    """

    def __init__(self, graph: nn.Module, batch: int | None = None) -> None:
        super().__init__()
        self.graph, self.batch = graph, batch
        self.training = False

    @classmethod
    def of(cls, program: ExportedProgram) -> Exported:
        """A program's module, with its batch size.

        Args:
            program: takes one tensor.

        Raises:
            InputError: several inputs, or none.
        """
        sizes = _input_sizes(program)
        if len(sizes) != 1:
            raise InputError(
                "an exported program",
                given=f"{len(sizes)} inputs",
                expected="one tensor (N, ...)",
                hint="export a module whose forward takes one tensor",
            )
        first = sizes[0][0] if sizes[0] else None
        return cls(program.module(), first if isinstance(first, int) else None)

    def forward(self, x: Tensor) -> Any:
        """The program's output."""
        if self.batch is None:
            return self._called(x)
        hint = "export it with a free batch size: dynamic_shapes=({0: torch.export.Dim('batch')},)"
        with unseen():  # a tap would take a piece for the whole where their sizes happen to agree
            return in_full_batches(x, self.batch, self._called, "a program", hint)

    def _called(self, x: Tensor) -> Any:
        try:
            return self.graph(x)
        except torch.OutOfMemoryError:
            raise
        except AssertionError as error:  # torch's guards on the sizes for which it was exported
            raise _misfit(x, first_line(error)) from error
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise _misfit(x, f"what it was exported for: {first_line(error)[:200]}") from error

    def train(self, mode: bool = True) -> Exported:
        """Do nothing: an exported program has one mode."""
        return self


def _misfit(x: Tensor, expected: str) -> InputError:
    given = f"{x.dtype} of shape {tuple(x.shape)}".removeprefix("torch.")
    return InputError("input of the exported program", given=given, expected=expected)


def fixed_batch(model: nn.Module) -> int | None:
    """The only batch size that a network computes, whatever it is given; None where that is any.

    Args:
        model: a program, or a network around one.
    """
    return next((m.batch for m in model.modules() if isinstance(m, Exported) and m.batch is not None), None)


def _input_sizes(program: ExportedProgram) -> list[tuple[Any, ...]]:
    """The sizes of each input: numbers where they are fixed, symbols where they aren't."""
    wanted = set(program.graph_signature.user_inputs)
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    found = [node.meta.get("val") for node in nodes]
    return [tuple(val.shape) if isinstance(val, Tensor) else () for val in found]


def load_exported(path: Path | str) -> Exported:
    """A `torch.export.save`d program.

    Args:
        path: a `.pt2` file.

    Raises:
        InputError: no such file, or one that holds what could run (see `deepwright.nets.programs`).
    """
    if not Path(path).exists():
        raise InputError("network", given=f"{path} does not exist", expected="a .pt2 file of torch.export.save")
    try:
        return Exported.of(read_program(path))
    except RefusedProgram as error:
        raise InputError(f"cannot load {path}", given=error.given, expected=error.expected, hint=error.hint) from error
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"cannot load {path}", given=first_line(error), expected="a program of torch.export.save"
        ) from error
