"""Which class lies inside which: a chain (background < iris < pupil) or a tree of containment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole


@dataclass(frozen=True)
class ClassOrder:
    """The parent of each class: the one that it lies inside of, and the only one below it that it may touch.

    Two classes are related if one is an ancestor of the other; what isn't related may touch freely.

    Args:
        parents: of each class, -1 for one that lies in none.
        names: of the classes, or none.

    Raises:
        InputError: fewer than two classes, a parent that is no class, or a circle.

    Example:
        >>> ClassOrder.chain(3).distance.tolist()
        [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]]
        >>> ClassOrder.parse("background<iris<pupil", ("iris", "pupil", "background")).levels.tolist()
        [1, 2, 0]
    """

    parents: tuple[int, ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parents", tuple(int(p) for p in self.parents))
        object.__setattr__(self, "names", tuple(self.names))
        if self.classes < 2:
            raise InputError("order", given=f"{self.classes} classes", expected="two or more")
        if self.names and len(self.names) != self.classes:
            given = f"{len(self.names)} names for {self.classes} classes"
            raise InputError("order", given=given, expected="one name a class")
        for k, parent in enumerate(self.parents):
            if not -1 <= parent < self.classes:
                raise InputError("order", given=f"parent {parent}", expected=f"a class of 0..{self.classes - 1}, or -1")
            self._require_no_circle(k)

    def _require_no_circle(self, k: int) -> None:
        seen = [k]
        while (k := self.parents[k]) >= 0:
            if k in seen:
                circle = "<".join(self._name(i) for i in [*reversed(seen), seen[-1]])
                raise InputError("order", given=f"a circle: {circle}", expected="each class inside of others only")
            seen.append(k)

    def _name(self, k: int) -> str:
        return self.names[k] if self.names else str(k)

    @classmethod
    def chain(cls, classes: int | Sequence[str]) -> ClassOrder:
        """Class 1 inside class 0, class 2 inside class 1, and so on.

        Args:
            classes: how many, or their names from the outermost to the innermost.
        """
        if isinstance(classes, str):
            raise InputError("order", given=repr(classes), expected="names in a list", hint="ClassOrder.parse")
        names = () if isinstance(classes, int) else tuple(classes)
        count = classes if isinstance(classes, int) else len(names)
        require_whole(2, classes=count)
        return cls(tuple(range(-1, count - 1)), names)

    @classmethod
    def tree(cls, nested: Mapping[int, Any], names: Sequence[str] = ()) -> ClassOrder:
        """Nested mappings of classes: what stands below a class lies inside it.

        Args:
            nested: such as {0: {1: {2: None}, 3: None}}; every class of 0..K-1 once.
            names: of the classes, or none.

        Raises:
            InputError: a class that is missing or stands there twice.
        """
        found: list[tuple[int, int]] = []

        def walk(part: Mapping[int, Any] | None, parent: int) -> None:
            for k, inside in (part or {}).items():
                found.append((k, parent))
                walk(inside, k)

        walk(nested, -1)
        classes = [k for k, _ in found]
        if sorted(classes) != list(range(len(classes))):
            expected = f"each of 0..{len(classes) - 1} once"
            raise InputError("order", given=f"classes {classes}", expected=expected)
        return cls(tuple(dict(found)[k] for k in range(len(classes))), tuple(names))

    @classmethod
    def parse(cls, text: str, names: Sequence[str]) -> ClassOrder:
        """Chains of names, from the outermost class to the innermost: "road<lane, road<crossing, sky".

        Args:
            text: chains parted by commas. Every class must be named; one that stands alone is related to none.
            names: of the classes, in the order of their numbers.

        Raises:
            InputError: a name that isn't there, a class that is missing, or one inside of two.
        """
        known, parents = {name: k for k, name in enumerate(names)}, dict[int, int]()
        named = set[int]()
        for part in text.split(","):
            chain = [word.strip() for word in part.split("<")]
            if unknown := [word for word in chain if word not in known]:
                raise InputError(
                    "order", given=f"{unknown[0]!r} in {text!r}", expected=f"names of classes: {', '.join(names)}"
                )
            ids = [known[word] for word in chain]
            named |= set(ids)
            for outer, inner in pairwise(ids):
                if parents.setdefault(inner, outer) != outer:
                    both = f"{names[parents[inner]]!r} and {names[outer]!r}"
                    raise InputError("order", given=f"{names[inner]!r} inside of {both}", expected="inside of one")
        if missing := [name for k, name in enumerate(names) if k not in named]:
            raise InputError(
                "order",
                given=f"{text!r}, which lacks {', '.join(missing)}",
                expected="every class",
                hint=f"a class that is related to none stands alone: {text + ', ' + missing[0]!r}",
            )
        return cls(tuple(parents.get(k, -1) for k in range(len(names))), tuple(names))

    @property
    def classes(self) -> int:
        """How many."""
        return len(self.parents)

    @property
    def text(self) -> str:
        """As `parse` takes it, with numbers where the classes have no names."""
        inner = set(self.parents)
        leaves = [k for k in range(self.classes) if k not in inner]
        return ", ".join("<".join(self._name(i) for i in self.path(k)) for k in leaves)

    def path(self, k: int) -> tuple[int, ...]:
        """The classes from the outermost to this one.

        Args:
            k: a class.
        """
        found = [k]
        while self.parents[found[-1]] >= 0:
            found.append(self.parents[found[-1]])
        return tuple(reversed(found))

    @property
    def levels(self) -> Int64[Tensor, " classes"]:
        """How many classes each lies inside of."""
        return _inside(self.parents).sum(1) - 1

    @property
    def inside(self) -> Bool[Tensor, "classes classes"]:
        """[k, j]: whether k lies inside j, or is j."""
        return _inside(self.parents).clone()

    @property
    def related(self) -> Bool[Tensor, "classes classes"]:
        """Whether one of two classes lies inside the other, or they are the same."""
        inside = _inside(self.parents)
        return inside | inside.T

    @property
    def distance(self) -> Float[Tensor, "classes classes"]:
        """Difference of levels of related classes, 0 for others."""
        return (self.levels[:, None] - self.levels).abs().float() * self.related

    @property
    def is_chain(self) -> bool:
        """Whether all classes lie inside one another."""
        return bool(self.related.all())

    @property
    def ranks(self) -> tuple[int, ...]:
        """The classes of a chain from the outermost to the innermost.

        Raises:
            InputError: a tree.
        """
        if not self.is_chain:
            raise InputError("order", given=f"a tree: {self.text}", expected="a chain a<b<c")
        return tuple(self.levels.argsort().tolist())


@lru_cache(maxsize=256)
def _inside(parents: tuple[int, ...]) -> Tensor:
    table = torch.eye(len(parents), dtype=torch.bool)
    for k in range(len(parents)):
        at = parents[k]
        while at >= 0:
            table[k, at] = True
            at = parents[at]
    return table
