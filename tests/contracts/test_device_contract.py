"""One contract for every public entry: work happens where the model lives, results are where the data were.

Each call in `entries/` runs on the CPU and on a second device that refuses to mix with CPU tensors (CUDA with
`-m gpu`); nothing may mix, and the numbers must be the CPU's.
"""

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import Placed
from torch import Tensor, nn

import second_device

ROOMS = sorted(p.stem for p in (Path(__file__).parent / "entries").glob("[!_]*.py"))
ENTRIES = {
    f"{room}: {entry.name}": entry for room in ROOMS for entry in importlib.import_module(f"entries.{room}").ENTRIES
}
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * entry.slow) for name, entry in ENTRIES.items()]
IN_DTYPES = [(name, dtype) for name, entry in ENTRIES.items() for dtype in entry.dtypes]

needs_second = pytest.mark.skipif(not second_device.available(), reason="this torch has no backends from Python")


def leaves(value, path="result"):
    """(path, leaf) of nested results; dataclasses are opened."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{i}]")
    elif isinstance(value, Placed):
        yield f"{path} placed", value.value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), f"{path}.{field.name}")
    else:
        yield path, value


def tensors_of(module):
    return [*module.parameters(), *module.buffers()]


def check_places(result, entry, device):
    """Tensors where the data were, modules whole on the device."""
    for path, leaf in leaves(result):
        if isinstance(leaf, Tensor):
            wanted = "cpu" if entry.returns == "cpu" else device.type
            assert leaf.device.type == wanted, f"{path} came back on {leaf.device}"
        if isinstance(leaf, nn.Module):
            strayed = {str(t.device) for t in tensors_of(leaf) if t.device.type != device.type}
            assert not strayed, f"{path} lives in part on {strayed}"


def check_numbers(result, reference, tolerance):
    found, expected = list(leaves(result)), list(leaves(reference))
    assert [p for p, _ in found] == [p for p, _ in expected], "results of another structure than on the CPU"
    for (path, a), (_, b) in zip(found, expected):
        if isinstance(a, nn.Module) or path.endswith(" placed"):
            continue
        if not isinstance(a, Tensor | np.ndarray | int | float):
            assert a == b, f"{path} differs: {a!r}, on the CPU {b!r}"
            continue
        a, b = (torch.view_as_real(t) if torch.is_complex(t) else t for t in map(torch.as_tensor, (a, b)))
        a, b = a.detach().cpu().double(), b.detach().cpu().double()
        assert a.shape == b.shape, f"{path} has shape {tuple(a.shape)}, on the CPU {tuple(b.shape)}"
        size = float(b[b.isfinite()].abs().max()) if bool(b.isfinite().any()) else 1.0
        assert torch.allclose(a, b, rtol=0, atol=tolerance * max(size, 1e-12), equal_nan=True), f"{path} differs"


def check_dtypes(result, dtype):
    for path, leaf in leaves(result):
        found = tensors_of(leaf) if isinstance(leaf, nn.Module) else [leaf] if isinstance(leaf, Tensor) else []
        others = {t.dtype for t in found if t.is_floating_point() and t.dtype != dtype}
        assert not others, f"{path} holds {others}"


def hold(entry, device):
    """The contract for one entry on one device."""
    reference = entry.call(torch.device("cpu"))
    try:
        with second_device.strict():
            result = entry.call(device)
        check_places(result, entry, device)
        if not (entry.random and device.type == "cuda"):
            check_numbers(result, reference, entry.tolerance)
    except Exception:
        if entry.fails:
            pytest.xfail(entry.fails)
        raise
    assert not entry.fails, f"holds now: take `fails` off ({entry.fails})"


@needs_second
@pytest.mark.parametrize("name", NAMES)
def test_second_device(name):
    hold(ENTRIES[name], second_device.enable())


@needs_second
@pytest.mark.parametrize(("name", "dtype"), IN_DTYPES, ids=[f"{n} {d}" for n, d in IN_DTYPES])
def test_dtype_is_kept(name, dtype):
    device = second_device.enable()
    with second_device.strict():
        result = ENTRIES[name].call(device, dtype)
    check_dtypes(result, dtype)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_cuda(name):
    hold(ENTRIES[name], torch.device("cuda"))
