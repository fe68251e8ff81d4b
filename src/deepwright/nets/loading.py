"""A network from what the user has: a zoo name, `package.module:factory` with weights, or a `torch.export` program.

Nothing is ever unpickled: weights come from safetensors or through `torch.load(weights_only=True)`.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from deepwright.core.errors import InputError, first_line
from deepwright.nets import zoo
from deepwright.nets.factories import named_network
from deepwright.nets.onnx_files import open_onnx
from deepwright.nets.programs import RefusedProgram, read_program
from deepwright.nets.weights_files import load_weights

PICKLES = (".pkl", ".pickle", ".joblib")


def load(source: str, weights: Path | str | None = None) -> nn.Module:
    """A network in eval mode.

    Args:
        source: a zoo name, `package.module:factory` (the current folder is searched too), a `.pt2` or an `.onnx` file.
        weights: a state dict for a factory's network.

    Raises:
        InputError: unknown name, import errors, pickled weights, weights that don't match.
    """
    if source.endswith(".pt2"):
        if weights is not None:
            raise InputError("--weights", given=str(weights), expected="none: an exported program holds its own")
        return load_exported(source)
    if source.endswith(".onnx"):
        if weights is not None:
            raise InputError("--weights", given=str(weights), expected="none: an ONNX file holds its own")
        return open_onnx(source)
    if source.endswith(PICKLES):
        raise InputError(
            "model",
            given=f"{source}, a pickle, which can run code when it is read",
            expected="a file that holds numbers only, or code of yours",
            hint="write an ONNX file (skl2onnx does it for scikit-learn), or name package.module:function, a function "
            "of your own that loads and returns the estimator",
        )
    if ":" in source:
        model = named_network(source)
        if weights is not None:
            load_weights(model, weights)
        return model.eval()
    if weights is not None:
        raise InputError(
            "--weights", given=f"{weights} with the zoo network {source!r}", expected="package.module:factory"
        )
    return zoo.entry(source).build()


class Exported(nn.Module):
    """A `torch.export` program as a module; train and eval mode are fixed in it.

    Args:
        graph: the program's module.
    """

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: Tensor) -> Tensor:
        """The program's output."""
        return self.graph(x)

    def train(self, mode: bool = True) -> Exported:
        """Do nothing: an exported program has one mode."""
        return self


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
        return Exported(read_program(path).module())
    except RefusedProgram as error:
        raise InputError(f"cannot load {path}", given=error.given, expected=error.expected, hint=error.hint) from error
    except Exception as error:
        raise InputError(
            f"cannot load {path}", given=first_line(error), expected="a program of torch.export.save"
        ) from error
