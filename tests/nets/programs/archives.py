"""Programs on disk, and the same with something changed."""

import copy
import io
import json
import zipfile

import torch
from torch import nn
from torch.export import Dim, export

DESCRIPTION = "models/model.json"


class Sizes(nn.Module):
    """Sizes in arithmetic, a condition, and keys in the output."""

    def forward(self, x):
        rows, columns = x.shape
        shifted = torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))
        return {"a": shifted[:, : columns // 2].reshape(rows * (columns // 2)), "b": x.mean() * (rows / columns)}


def save(path, network=None, inputs=None, shapes=({0: Dim.AUTO, 1: Dim.AUTO},)):
    """A program of sizes, or of another network."""
    inputs = (torch.ones(4, 6),) if inputs is None else inputs
    torch.export.save(export((network or Sizes()).eval(), inputs, dynamic_shapes=shapes), path)
    return path


def members(path):
    """Name without the archive's own folder -> content."""
    with zipfile.ZipFile(path) as source:
        return {name.partition("/")[2]: source.read(name) for name in source.namelist()}


def write(path, files, **options):
    """An archive of such files."""
    with zipfile.ZipFile(path, "w", **options) as target:
        for name, content in files.items():
            target.writestr(f"program/{name}", content)
    return path


def edited(files, edit, name=DESCRIPTION):
    """The files, with one that is JSON edited in place."""
    data = copy.deepcopy(json.loads(files[name]))
    edit(data)
    return {**files, name: json.dumps(data).encode()}


def packed(value):
    """What `torch.save` makes of a value."""
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def everywhere(data, name):
    """All dicts in a tree of JSON that have such a field."""
    if isinstance(data, dict):
        if name in data:
            yield data
        for inner in data.values():
            yield from everywhere(inner, name)
    elif isinstance(data, list):
        for inner in data:
            yield from everywhere(inner, name)
