"""The archive of a program: taken apart, checked, and put together again without what torch doesn't need."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._export.serde import schema
from torch.export import ExportedProgram
from torch.export.pt2_archive import PT2ArchiveWriter

from deepwright.core.errors import first_line
from deepwright.core.files import require_plain_file
from deepwright.nets.programs.fields import checked
from deepwright.nets.programs.refusal import RefusedProgram, short
from deepwright.nets.programs.trees import key_fits

_MODEL = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_PAYLOADS = {"data/weights/": "model_weights_config.json", "data/constants/": "model_constants_config.json"}


def read_program(path: Path | str) -> ExportedProgram:
    """A program of `torch.export.save`, where nothing in the file can run.

    Args:
        path: the file.

    Raises:
        RefusedProgram: the file holds something that isn't known to be harmless: expressions that are more than
            arithmetic, operations that do more than compute, pickled or compiled objects, names that are no names.
        OSError: the file can't be read.
        zipfile.BadZipFile: the file is no archive, or a damaged one.
    """
    require_plain_file(path, f"cannot read {path}")
    with zipfile.ZipFile(path) as source:
        parts = _Parts(source, Path(path).stat().st_size)
        clean = io.BytesIO()
        with PT2ArchiveWriter(clean) as target:
            for name, content in _kept(parts):
                target.write_bytes(name, content)
    clean.seek(0)
    return torch.export.load(clean)


class _Parts:
    """The members of an archive, below its one folder."""

    def __init__(self, source: zipfile.ZipFile, size: int) -> None:
        members = source.infolist()
        folders = {member.filename.partition("/")[0] for member in members}
        names = [member.filename.partition("/")[2] for member in members]
        if len(folders) != 1 or len(set(names)) < len(names):
            raise RefusedProgram(f"an archive with {len(folders)} folders, {len(names)} files", "files of one program")
        _require_stored(source, size)
        self._source, self._members = source, dict(zip(names, members))

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """A member's content, against its checksum."""
        if name not in self:
            raise RefusedProgram(f"an archive without {name}", "a program of torch.export.save of torch 2.9 or later")
        return self._source.read(self._members[name])

    def record(self, name: str, kind: Any) -> Any:
        """A member that is JSON, checked."""
        try:
            data = json.loads(self.read(name))
            return checked(kind, data)
        except RefusedProgram as error:
            raise error.within(name) from None
        except (ValueError, RecursionError) as error:
            raise RefusedProgram(f"{name}: {type(error).__name__}", "JSON of ordinary depth") from error


def _require_stored(source: zipfile.ZipFile, size: int) -> None:
    """Files as they are, one after the other, as torch writes them: a small archive must not hold large ones."""
    for member in source.infolist():
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise RefusedProgram(f"{short(member.filename)}, compressed", "files that are stored as they are")
    if sum(member.file_size for member in source.infolist()) > size:
        raise RefusedProgram("an archive whose files lie over each other", "each file in a place of its own")


def _kept(parts: _Parts) -> Any:
    """(name, content) of all that torch needs."""
    yield _MODEL, json.dumps(parts.record(_MODEL, schema.ExportedProgram)).encode()
    yield _SAMPLES, _packed(_samples(parts.read(_SAMPLES)))
    for folder, name in _PAYLOADS.items():
        payloads = parts.record(folder + name, schema.PayloadConfig)
        sizes: dict[str, int] = {}
        for each in payloads["config"].values():
            _require_plain(folder, each)
            sizes[each["path_name"]] = max(sizes.get(each["path_name"], 0), _numbers(each["tensor_meta"]))
        yield folder + name, json.dumps(payloads).encode()
        for path, numbers in sorted(sizes.items()):
            content = parts.read(folder + path)
            if numbers and not content:  # torch would make zeros of them
                raise RefusedProgram(f"{folder}{path}, empty, for {numbers} numbers", "all numbers")
            yield folder + path, content


def _require_plain(folder: str, payload: dict[str, Any]) -> None:
    """Numbers as bytes; subclasses of tensors are pickled, and a pickle is a program."""
    if payload["use_pickle"]:
        raise RefusedProgram(f"{folder}{payload['path_name']}, pickled", "tensors as plain numbers")
    if payload["tensor_meta"] is None:
        raise RefusedProgram(f"{folder}{payload['path_name']} without a shape", "a tensor's shape")


def _numbers(meta: dict[str, Any]) -> int:
    sizes = [size.get("as_int", -1) for size in meta["sizes"]]
    if any(size < 0 for size in sizes):
        raise RefusedProgram(f"sizes {short(meta['sizes'])}", "whole numbers")
    return math.prod(sizes)


def _samples(content: bytes) -> Any:
    """The inputs that the program was traced with; `module()` reads off them what inputs are called."""
    if not content:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            _require_stored(source, len(content))
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except RefusedProgram as error:
        raise error.within(_SAMPLES) from None
    except Exception as error:
        raise RefusedProgram(f"{_SAMPLES}: {first_line(error)}", "tensors and plain data") from error
    return _plain(found)


def _plain(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float):
        return value
    if type(value) in (Tensor, nn.Parameter):
        return value.detach()
    if type(value) in (tuple, list):
        return type(value)(_plain(each) for each in value)
    if type(value) is dict and all(type(key) is str and key_fits(key, named=True) for key in value):
        return {key: _plain(each) for key, each in value.items()}
    if type(value) is str and value.replace("_", "").replace("-", "").isalnum():
        return value
    raise RefusedProgram(f"{_SAMPLES}: {short(value)}", "tensors, numbers and names")


def _packed(samples: Any) -> bytes:
    if samples is None:
        return b""
    stream = io.BytesIO()
    torch.save(samples, stream)
    return stream.getvalue()
