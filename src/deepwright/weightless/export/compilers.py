"""The machine's own C compiler and Verilog simulator, where it has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from deepwright.core.files import write_bytes, write_text
from deepwright.weightless.export.plain import ExportMismatch

_FLAGS = ("-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-O1")
_SECONDS = 600


def compiler() -> str | None:
    """The C compiler: the one that `CC` names, else `cc`, `gcc` or `clang`, else None."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found is not None:
            return found
    return None


def ran_c(header: str, body: str, inputs: list[np.ndarray]) -> bytes:
    """What a program writes that includes `network.h`.

    Args:
        header: the text of `network.h`.
        body: the text of the program; its arguments are the file to write and two files to read.
        inputs: the contents of the files to read, up to two.

    Raises:
        ExportMismatch: it doesn't compile without a warning, or doesn't end well.
    """
    program = compiler()
    if program is None:
        raise ExportMismatch("no C compiler was found")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_text(folder / "network.h", header)
        write_text(folder / "main.c", body)
        for i in range(2):
            write_bytes(folder / f"in{i}", inputs[i].tobytes() if i < len(inputs) else b"")
        run([program, *_FLAGS, "main.c", "-o", "program"], folder)
        run([str(folder / "program"), "out", "in0", "in1"], folder)
        return (folder / "out").read_bytes()


def simulator() -> tuple[str, str] | None:
    """Icarus Verilog's two programs, or None."""
    compiles, runs = shutil.which("iverilog"), shutil.which("vvp")
    return (compiles, runs) if compiles is not None and runs is not None else None


def ran_verilog(module: Path, bench: Path) -> str:
    """What Icarus says of a module under its testbench.

    Args:
        module: its file.
        bench: the testbench's file.

    Raises:
        ExportMismatch: it isn't installed, or the files aren't Verilog to it.
    """
    programs = simulator()
    if programs is None:
        raise ExportMismatch("Icarus Verilog was not found")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run([programs[0], "-g2001", "-Wall", "-o", "bench.vvp", str(module), str(bench)], folder)
        return run([programs[1], "-N", "bench.vvp"], folder)


def run(command: list[str], folder: Path) -> str:
    """Run a program of this machine in a folder and give what it printed.

    Args:
        command: the program and its arguments.
        folder: where it runs.

    Raises:
        ExportMismatch: it failed, with the last lines that it said.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportMismatch(f"{command[0]} didn't run: {error}") from None
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise ExportMismatch(f"{command[0]} ended with {done.returncode}: {said}")
    return done.stdout
