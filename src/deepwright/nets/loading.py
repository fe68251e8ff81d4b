"""A network from what the user has: one word names it, and what the word is tells how it is opened.

Nothing is ever unpickled, and no file runs code but one that the user trusts by name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from deepwright.core.errors import InputError
from deepwright.nets import zoo
from deepwright.nets.doors.exported import load_exported
from deepwright.nets.doors.hugging_face import is_pretrained
from deepwright.nets.doors.hugging_face_folder import fill, is_folder, load_hugging_face
from deepwright.nets.doors.objects import as_network
from deepwright.nets.doors.torchscript import is_torchscript, load_torchscript
from deepwright.nets.factories import named_network
from deepwright.nets.onnx_files import open_onnx
from deepwright.nets.weights_files import load_weights

Opener = Callable[[str, bool], nn.Module]


def _scripted(source: str, trust_file: bool) -> nn.Module:
    if Path(source).is_file() and not is_torchscript(source):
        raise InputError(
            "model",
            given=f"{source}, a file of weights",
            expected="a network",
            hint="package.module:factory builds it, and --weights gives it this file",
        )
    return load_torchscript(source, trust_file=trust_file)


def _refused(what: str, hint: str) -> Opener:
    def opener(source: str, trust_file: bool) -> nn.Module:
        raise InputError("model", given=f"{source}, {what}", expected="a network that this version opens", hint=hint)

    return opener


_WEIGHTS = "package.module:factory builds the network, and --weights gives it this file"
_PICKLE = "a pickle, which can run code when it is read"
_ESTIMATOR = (
    "write an ONNX file (skl2onnx does it for scikit-learn), or name package.module:function, a function of your own "
    "that loads and returns the estimator"
)
_OPENERS: dict[str, Opener] = {
    ".pt2": lambda source, trust_file: load_exported(source),
    **dict.fromkeys((".pt", ".pth", ".ts", ".torchscript"), _scripted),
    ".safetensors": _refused("a file of weights", _WEIGHTS),
    ".json": _refused("an index or a configuration", "name the folder that it is in"),
    ".ckpt": _refused("a checkpoint", _WEIGHTS),
    ".onnx": lambda source, trust_file: open_onnx(source),
    ".skops": _refused("a file of skops", _ESTIMATOR),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), _refused(_PICKLE, _ESTIMATOR)),
    ".bin": _refused(_PICKLE, _WEIGHTS),
}
"""How a file is opened, by its suffix; each is given the path, and whether the user trusts the file."""


def is_own(source: str) -> bool:
    """Whether a word names something of the user's: a factory, a file or a folder; the zoo's names are all else.

    Args:
        source: as `load` takes it.
    """
    if source in {each.name for each in zoo.ENTRIES}:
        return False
    return ":" in source or Path(source).suffix in _OPENERS or Path(source).is_dir()


def load(source: str, weights: Path | str | None = None, *, trust_file: bool = False) -> nn.Module:
    """A network in eval mode.

    Args:
        source: a zoo name, `package.module:factory` (the current folder is searched too), a `torch.export` .pt2 file,
            an .onnx file, a Hugging Face folder of `save_pretrained`, or a TorchScript file.
        weights: for a factory's network; see `read_weights`.
        trust_file: run the code in a TorchScript file.

    Raises:
        InputError: unknown name, import errors, pickled weights, weights that don't match, code that nobody trusted.
    """
    own = is_own(source)
    opener = _OPENERS.get(Path(source).suffix) if own and ":" not in source else None
    scripted = opener is _scripted
    if trust_file and not scripted:
        raise InputError(
            "--trust-file", given=f"beside {source!r}", expected="a TorchScript file, which alone needs it"
        )
    if own and ":" in source:
        model = named_network(source)
        if weights is not None:
            (fill if is_pretrained(model) else load_weights)(model, weights)
        return as_network(model.eval()).network
    if weights is not None:
        what = f"{weights} beside {source!r}, which has its own"
        raise InputError("--weights", given=what, expected="package.module:factory")
    if opener is not None and not Path(source).is_dir():
        return opener(source, trust_file)
    return _folder(source) if own else zoo.entry(source).build()


def _folder(source: str) -> nn.Module:
    if not is_folder(source):
        raise InputError(
            "model", given=f"{source}, a folder without config.json", expected="a folder of save_pretrained"
        )
    return load_hugging_face(source)
