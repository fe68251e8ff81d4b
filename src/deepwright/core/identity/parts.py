"""The identity of work: its parts by name, so that a refusal can say which of them is another."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from deepwright.core.identity.digests import digest
from deepwright.core.identity.objects import settings, uncompiled
from deepwright.core.identity.origins import text_of_package
from deepwright.core.identity.walk import Digest
from deepwright.core.version import __version__


class Identity(dict[str, str]):
    """Name of a part -> what it was: the value itself where it is short, else a hash."""

    def differences(self, before: Mapping[str, str]) -> list[str]:
        """What differs from an earlier identity, in words: "another training data", "another lr: 0.1, was 0.001"."""
        names = [*self, *(name for name in before if name not in self)]
        return [_told(name, self.get(name), before.get(name)) for name in names if self.get(name) != before.get(name)]

    @property
    def key(self) -> str:
        """One hash of all parts."""
        return digest(dict(self))


def identity(**parts: Any) -> Identity:
    """The fingerprint of what work is made from.

    Args:
        **parts: everything that the result depends on, by the name that a refusal shall use (`training_data` reads
            "training data"). A dataclass of options or a dict with string keys is told by field: `options.lr`.

    Raises:
        InputError: a part that can't be identified.
    """
    found = Identity()
    for name, value in parts.items():
        for part, inner in _opened(name.replace("_", " "), value):
            found[part] = str(inner) if isinstance(inner, Digest) else _short(inner) or str(digest(inner, part))
    found["package version"] = f"{__version__}, Python {sys.version_info.major}.{sys.version_info.minor}"
    found["package source"] = text_of_package()
    return found


def structure(model: nn.Module, name: str = "model") -> dict[str, Any]:
    """What `architecture` hashes, in parts that a refusal can name: the network, and each setting of its own.

    Args:
        model: the network.
        name: what errors call it.

    Returns:
        "network" -> all but the module's own settings; setting, or field of it -> its value, or a hash where it is
        long. Where the module says what it is as a dict (`__resume_identity__`): the entries of that.
    """
    model = uncompiled(model)
    own: Any = getattr(model, "__resume_identity__", dict)()
    if own and type(own) is dict:
        return _hashed(own, name)
    network = digest(model, name, weights=False, bare=model)
    if own or isinstance(model, torch.jit.ScriptModule):
        return {"network": network}
    return {"network": network, **_hashed(settings(model), name)}


def _hashed(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Values by name, those that are long as a hash, without the weights of networks."""
    opened = {part: inner for value in values.items() for part, inner in _opened(*value)}
    return {
        part: digest(inner, f"{name}.{part}", weights=False) if _short(inner) is None else inner
        for part, inner in opened.items()
    }


def _opened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of options, each under a name of its own."""
    if hasattr(value, "__resume_identity__"):
        yield name, value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield name, type(value)
        for field in dataclasses.fields(value):
            yield f"{name}.{field.name}", getattr(value, field.name)
    elif type(value) is dict and value and all(isinstance(key, str) for key in value):
        for key, inner in value.items():
            yield f"{name}.{key}", inner
    else:
        yield name, value


def _short(value: Any) -> str | None:
    """A number or a word as people read it."""
    plain = value is None or type(value) in (bool, int, float, str)
    return repr(value) if plain and len(repr(value)) <= 40 else None


def _told(name: str, now: str | None, before: str | None) -> str:
    hashed = [v is not None and len(v) == 32 and set(v) <= set("0123456789abcdef") for v in (now, before)]
    if all(hashed):
        return f"another {name}"
    new, old = ("nothing" if v is None else "something else" if h else v for v, h in zip((now, before), hashed))
    return f"another {name}: {new}, was {old}"
