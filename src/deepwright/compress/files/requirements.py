"""What writing files needs beside torch: asked for before any work is done, so that nothing fails at its end."""

from __future__ import annotations

import importlib.util

from deepwright.core.errors import InputError
from deepwright.core.packages import require_package

QUANTISERS = ("torchao", "onnxruntime")


def require_export(int8: bool = False, quantiser: str | None = None) -> None:
    """Refuse where ONNX files can't be written and run here.

    Args:
        int8: whether 8-bit files are wanted too.
        quantiser: "torchao" or "onnxruntime", for 8-bit files; by default the first that is installed.

    Raises:
        MissingExtraError: a package is missing, or too old for what is needed; names the extra that brings it.
        InputError: an unknown quantiser.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require_package(package, "export", "writing and checking ONNX files")
    if int8 and chosen_quantiser(quantiser) == "torchao":
        require_torchao()


def chosen_quantiser(quantiser: str | None) -> str:
    """The quantiser asked for, or the first that is installed.

    Args:
        quantiser: "torchao", "onnxruntime" or None.

    Raises:
        InputError: an unknown name.
    """
    if quantiser not in (None, *QUANTISERS):
        raise InputError("quantiser", given=repr(quantiser), expected=" or ".join(map(repr, QUANTISERS)))
    return quantiser or ("torchao" if importlib.util.find_spec("torchao") else "onnxruntime")


def require_torchao() -> None:
    """Refuse where torchao is missing or has no PT2E flow yet.

    Raises:
        MissingExtraError: it is missing or too old.
    """
    require_package("torchao", "quant", "int8 quantisation")
    require_package("torchao.quantization.pt2e", "quant", "int8 quantisation")
