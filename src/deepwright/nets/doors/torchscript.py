"""TorchScript files: opened only where the user trusts the file by name, for code in them runs as they are read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from torch import nn

from deepwright.core.errors import InputError, first_line
from deepwright.core.zips import DAMAGE, open_zip


def is_torchscript(path: Path | str) -> bool:
    """Whether a file is an archive of `torch.jit.save`.

    Args:
        path: of a file, or of nothing.
    """
    if not zipfile.is_zipfile(path):
        return False
    try:
        with open_zip(path) as opened:
            names = [name.partition("/")[2] for name in opened.namelist()]
    except (InputError, *DAMAGE):
        return False
    return "constants.pkl" in names and any(name.startswith("code/") for name in names)


def weights_hidden(model: nn.Module) -> bool:
    """Whether a network holds a frozen TorchScript program, whose weights are constants of its code.

    Args:
        model: any network.
    """
    return any(isinstance(m, torch.jit.ScriptModule) and not hasattr(m, "training") for m in model.modules())


def load_torchscript(path: Path | str, *, trust_file: bool = False) -> nn.Module:
    """A TorchScript program, in eval mode, on the CPU.

    Its code runs in TorchScript's own interpreter, `__setstate__` while the file is read already, with every operator
    that torch has, among them those that read and write files by name. Nothing can be checked before.

    Args:
        path: a file of `torch.jit.save`.
        trust_file: run the code in it.

    Raises:
        InputError: a file that nobody trusted, or that torch can't read.
    """
    if not is_torchscript(path):
        given = str(path) if Path(path).exists() else f"{path} does not exist"
        raise InputError("network", given=given, expected="a file of torch.jit.save")
    if not trust_file:
        raise InputError(
            f"the TorchScript file {path}",
            given="code that runs with your rights, while it is read already",
            expected="a file that you trust",
            hint="--trust-file (trust_file=True from Python) if you would run it as a program; "
            "or export the module: torch.export.save(torch.export.export(module, (example,)), 'network.pt2')",
        )
    try:
        found = torch.jit.load(str(path), map_location="cpu")
        return found if weights_hidden(found) else found.eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(f"cannot load {path}", given=first_line(error), expected="a file of torch.jit.save") from error
