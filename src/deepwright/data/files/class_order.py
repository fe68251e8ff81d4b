"""Which output is which class: the order of names, lists of a user's, and names matched to a network's own."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepwright.core.errors import InputError
from deepwright.core.files import reading

Named = tuple[str, ...]
"""A class under all its names: `("n01440764", "tench", "Tinca tinca")`."""


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order of their labels: whole numbers by their value, all else as text.

    Args:
        names: of the classes.

    Example:
        >>> in_order(["10", "9", "1"]), in_order(["b10", "b9"])
        (('1', '9', '10'), ('b10', 'b9'))
    """
    names = set(names)
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def order_note(classes: Sequence[str]) -> tuple[str, ...]:
    """Where numbers and text sort otherwise, so that a network may have been trained on the other order.

    Args:
        classes: in the order that is taken.
    """
    text = sorted(classes)
    if list(classes) == text:
        return ()
    return (
        f"classes are in the order of their numbers; a training that sorted them as text ({', '.join(text[:4])}, ...), "
        "as torchvision's ImageFolder does, had other labels: --classes FILE says which order is the network's",
    )


def read_classes(source: Path | str) -> tuple[str, ...]:
    """Class names from a file: one a line, or a list in JSON; the first is the network's first output.

    Args:
        source: the file.

    Raises:
        InputError: no such file, text in another coding, fewer than two names, one that comes twice.
    """
    expected = "a text file with a name a line, or a list in JSON"
    with reading(f"cannot read the classes of {source}", expected, source):
        text = Path(source).read_text(encoding="utf-8-sig")
        names = json.loads(text) if text.lstrip().startswith("[") else text.splitlines()
        found = tuple(str(name).strip() for name in names)
    while found and not found[-1]:
        found = found[:-1]
    return require_names(found, f"classes of {source}")


def require_names(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Refuse lists that can't name the outputs of a network.

    Args:
        names: index = output.
        what: begins the message.

    Raises:
        InputError: fewer than two names, an empty one, one that comes twice.
    """
    if len(names) < 2:
        raise InputError(what, given=f"{len(names)} names", expected="two or more, one an output")
    for i, name in enumerate(names):
        if not name:
            raise InputError(what, given=f"no name in line {i + 1}", expected="one name an output")
        if name in names[:i]:
            raise InputError(what, given=f"{name!r} twice", expected="one name an output")
    return tuple(names)


@dataclass(frozen=True)
class Matched:
    """Names that were found, and the outputs that they are.

    Attributes:
        classes: a name for every output.
        index: found name -> output.
        note: how they were matched, where that isn't plain; else "".
    """

    classes: tuple[str, ...]
    index: dict[str, int]
    note: str = ""


def listed(found: Iterable[str], classes: Sequence[str], what: str) -> Matched:
    """Names that were found, by the user's own list; it may have more of them.

    Args:
        found: as folders or labels are named.
        classes: index = output.
        what: begins the message.

    Raises:
        InputError: a name that isn't in the list.
    """
    index = {name: i for i, name in enumerate(classes)}
    found = in_order(found)
    for name in found:
        if name not in index:
            close = difflib.get_close_matches(name, classes, 1)
            raise InputError(
                f"{what} {name!r}",
                given="it isn't in the list of classes",
                expected=f"one of {_few(classes)}",
                hint=f"did you mean {close[0]!r}?" if close else None,
            )
    return Matched(
        tuple(classes), {name: index[name] for name in found}, _subset(found, classes, "the list of classes")
    )


def matched(found: Iterable[str], outputs: Sequence[Named], what: str) -> Matched | None:
    """Names that were found, by a network's own classes, whatever the case and underscores; None where none fits.

    Args:
        found: as folders are named.
        outputs: each class under all its names, index = output.
        what: begins the message.

    Raises:
        InputError: only some of them fit, or one fits two classes.
    """
    places: dict[str, set[int]] = {}
    for i, names in enumerate(outputs):
        for name in names:
            places.setdefault(_plain(name), set()).add(i)
    found = in_order(found)
    index = {name: places.get(_plain(name), set()) for name in found}
    if not any(index.values()):
        return None
    for name, fits in index.items():
        if len(fits) != 1:
            several = f"it fits {len(fits)} classes of the network" if fits else "it fits no class of the network"
            hint = "name folders by synset, or say --classes FILE with a name an output"
            raise InputError(f"{what} {name!r}", given=several, expected="the name of one of its classes", hint=hint)
    places_of = {name: min(fits) for name, fits in index.items()}
    if len(set(places_of.values())) < len(found):
        raise InputError(what, given="two names of one class", expected="one folder a class")
    plain = list(places_of.values()) == list(range(len(outputs)))
    how = "their synsets" if all(is_synset(name) for name in found) else "their names"
    note = "" if plain else f"class folders are matched to the network's own classes by {how}"
    rest = _subset(found, outputs, "the network's classes")
    return Matched(tuple(shown(each) for each in outputs), places_of, "; ".join(part for part in (note, rest) if part))


def shown(names: Named) -> str:
    """The name that people read: not the synset where there is another.

    Args:
        names: of one class.
    """
    return next((name for name in names if not is_synset(name)), names[0])


def is_synset(name: str) -> bool:
    """Whether a name is a WordNet number as ImageNet's folders have it: `n01440764`.

    Args:
        name: of a folder or file.
    """
    return len(name) == 9 and name[0] == "n" and name[1:].isdigit()


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _subset(found: Sequence[str], classes: Sequence[object], of: str) -> str:
    return "" if len(found) == len(classes) else f"{len(found)} of {of} ({len(classes)}) occur in the data"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])}, ... ({len(names)})"
