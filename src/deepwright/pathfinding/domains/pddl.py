"""PDDL as text: what of it is STRIPS with types, negative preconditions and equality. Nothing of it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from deepwright.core.errors import InputError

Atom = tuple[str, ...]  # a predicate and its arguments
_LONGEST, _DEEPEST = 1_000_000, 50
_KNOWN = {":strips", ":typing", ":negative-preconditions", ":equality"}
_TOKEN = re.compile(r"[()]|[^\s()]+")


@dataclass(frozen=True)
class Schema:
    """An action with variables.

    Attributes:
        name: of the action.
        parameters: each variable with its type.
        true: atoms that must hold.
        false: atoms that must not.
        added: atoms that hold afterwards.
        removed: atoms that don't, unless they are added.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    true: tuple[Atom, ...]
    false: tuple[Atom, ...]
    added: tuple[Atom, ...]
    removed: tuple[Atom, ...]


@dataclass(frozen=True)
class Task:
    """A domain and a problem of it.

    Attributes:
        name: of both.
        objects: by type, those of its subtypes among them.
        schemas: the actions.
        init: atoms that hold at first.
        true: atoms that are to hold.
        false: atoms that are not to hold.
    """

    name: str
    objects: dict[str, tuple[str, ...]]
    schemas: tuple[Schema, ...]
    init: frozenset[Atom]
    true: tuple[Atom, ...]
    false: tuple[Atom, ...]


@dataclass
class _Group:
    """A list in brackets, with the line where it begins."""

    line: int
    items: list[Any] = field(default_factory=list)

    def word(self, at: int = 0) -> str:
        """A word in it, "" where there is none."""
        return self.items[at] if len(self.items) > at and isinstance(self.items[at], str) else ""


def read_task(domain: str, problem: str) -> Task:
    """A task as its texts say it.

    Args:
        domain: text of the domain, at most a million characters.
        problem: text of the problem.

    Raises:
        InputError: what isn't PDDL, or more than STRIPS, with the line; names that nothing declares.
    """
    outer, inner = _parsed(domain, "domain"), _parsed(problem, "problem")
    parts, told = _sections(outer, "domain"), _sections(inner, "problem")
    _require_known(parts, told)
    types = _types(parts.get(":types"))
    arity = _predicates(parts.get(":predicates"))
    placed: dict[str, str] = {}
    for section in (parts.get(":constants"), told.get(":objects")):
        for name, kind in _typed(section.items[1:] if section else [], section):
            placed[name] = kind
    for name, kind in placed.items():
        _require(kind in types, inner, f"type {kind!r} of {name}", "one of :types")
    objects = {kind: tuple(n for n, k in placed.items() if kind in _above(k, types)) for kind in types}
    schemas = tuple(_schema(group, arity, types, placed) for group in _actions(outer))
    _require(bool(schemas), outer, "no :action", "one or more")
    for needed in (":init", ":goal"):
        _require(needed in told, inner, f"no {needed}", f"({needed} ...)")
    init = [_atom(item, arity, placed, told[":init"]) for item in told[":init"].items[1:]]
    goal = told[":goal"]
    _require(len(goal.items) == 2, goal, f"{len(goal.items) - 1} formulas in :goal", "one")
    true, false = _literals(goal.items[1], arity, placed, goal)
    _require("=" not in {a[0] for a in (*init, *true, *false)}, goal, "= in :init or :goal", "facts that can change")
    return Task(f"{_name(outer)}.{_name(inner)}", objects, schemas, frozenset(init), true, false)


def _parsed(text: str, what: str) -> _Group:
    """Brackets as lists, without recursion."""
    if not isinstance(text, str):
        raise InputError(f"PDDL of the {what}", given=type(text).__name__, expected="text")
    if len(text) > _LONGEST:
        raise InputError(f"PDDL of the {what}", given=f"{len(text)} characters", expected=f"at most {_LONGEST}")
    stack = [_Group(0)]
    for number, line in enumerate(text.splitlines(), 1):
        for token in _TOKEN.findall(line.split(";")[0].lower()):
            if token == "(":
                stack.append(_Group(number))
                _require(len(stack) <= _DEEPEST, stack[-1], f"{len(stack)} brackets in each other", "fewer")
            elif token == ")":
                _require(len(stack) > 1, _Group(number), "a bracket that closes nothing", "one that opens before")
                closed = stack.pop()
                stack[-1].items.append(closed)
            else:
                stack[-1].items.append(token)
    _require(len(stack) == 1, stack[-1], "a bracket that isn't closed", "its end")
    tops = stack[0].items
    fits = len(tops) == 1 and isinstance(tops[0], _Group) and tops[0].word() == "define"
    _require(fits, _Group(1), "something else", f"(define ({what} ...) ...)")
    found: _Group = tops[0]
    return found


def _require(fine: bool, where: _Group, given: str, expected: str) -> None:
    if not fine:
        raise InputError(f"PDDL, line {where.line}", given=given, expected=expected)


def _sections(define: _Group, what: str) -> dict[str, _Group]:
    """By keyword; actions are read by `_actions`."""
    head = define.items[1] if len(define.items) > 1 else None
    _require(isinstance(head, _Group) and head.word() == what, define, "another head", f"({what} NAME)")
    found: dict[str, _Group] = {}
    for item in define.items[2:]:
        _require(isinstance(item, _Group) and item.word().startswith(":"), define, f"{item!r:.60}", "(:keyword ...)")
        if item.word() != ":action":
            _require(item.word() not in found, item, f"{item.word()} twice", "once")
            found[item.word()] = item
    return found


def _name(define: _Group) -> str:
    return str(define.items[1].word(1)) or "unnamed"


def _actions(define: _Group) -> Iterator[_Group]:
    return (item for item in define.items[2:] if item.word() == ":action")


def _require_known(domain: dict[str, _Group], problem: dict[str, _Group]) -> None:
    wanted = domain.get(":requirements")
    for word in wanted.items[1:] if wanted else ():
        _require(word in _KNOWN, wanted or _Group(1), f"requirement {word}", "none but " + " ".join(sorted(_KNOWN)))
    for sections, known in (
        (domain, {":requirements", ":types", ":constants", ":predicates"}),
        (problem, {":domain", ":objects", ":init", ":goal", ":requirements"}),
    ):
        for word, group in sections.items():
            _require(word in known, group, word, "one of " + " ".join(sorted(known)))


def _typed(items: list[Any], where: _Group | None) -> list[tuple[str, str]]:
    """`a b - kind c` as pairs; `object` where no type is named."""
    at, found, waiting = where or _Group(0), [], list[str]()
    rest = iter(items)
    for item in rest:
        _require(isinstance(item, str), at, "a bracket (an `either`?)", "names, each with one type")
        if item == "-":
            kind = next(rest, None)
            _require(isinstance(kind, str) and bool(waiting), at, "a dash without names or type", "names - type")
            found += [(name, str(kind)) for name in waiting]
            waiting = []
        else:
            waiting.append(item)
    return found + [(name, "object") for name in waiting]


def _types(section: _Group | None) -> dict[str, str | None]:
    """Each type and the one above it."""
    found: dict[str, str | None] = {"object": None}
    for name, above in _typed(section.items[1:] if section else [], section):
        if name != "object":
            found[name] = above
    for above in [a for a in found.values() if a is not None]:
        found.setdefault(above, "object")
    for name in found:
        _require(len(set(_above(name, found))) <= len(found), section or _Group(0), f"{name} above itself", "a tree")
    return found


def _above(kind: str, types: dict[str, str | None]) -> list[str]:
    """A type and all above it; one too many where they go round."""
    found, now = list[str](), kind
    while now is not None and len(found) <= len(types):
        found.append(now)
        now = types.get(now)  # type: ignore[assignment]
    if len(found) > len(types):
        raise InputError("PDDL, :types", given=f"{kind} above itself", expected="a tree")
    return found


def _predicates(section: _Group | None) -> dict[str, int]:
    found = {"=": 2}
    for item in section.items[1:] if section else ():
        _require(isinstance(item, _Group) and bool(item.word()), section or _Group(0), "no predicate", "(name ?x ...)")
        found[item.word()] = len(_typed(item.items[1:], item))
    return found


def _atom(item: Any, arity: dict[str, int], names: dict[str, str], where: _Group) -> Atom:
    _require(isinstance(item, _Group) and all(isinstance(x, str) for x in item.items), where, "no atom", "(name x ...)")
    word = item.word()
    _require(word in arity, item, f"predicate {word!r}", "one of :predicates")
    _require(len(item.items) - 1 == arity[word], item, f"{len(item.items) - 1} arguments", f"{arity[word]} of {word}")
    for name in item.items[1:]:
        _require(name in names, item, f"{name!r}", "a parameter or an object")
    return tuple(item.items)


def _literals(
    item: Any, arity: dict[str, int], names: dict[str, str], where: _Group
) -> tuple[tuple[Atom, ...], tuple[Atom, ...]]:
    """Atoms that hold and atoms that don't, of a conjunction."""
    true, false, waiting = list[Atom](), list[Atom](), [item]
    while waiting:
        one = waiting.pop(0)
        _require(isinstance(one, _Group), where, repr(one), "a formula in brackets")
        if not one.items:
            continue
        if one.word() == "and":
            waiting = one.items[1:] + waiting
        elif one.word() == "not":
            _require(len(one.items) == 2, one, f"{len(one.items) - 1} formulas in `not`", "one atom")
            false.append(_atom(one.items[1], arity, names, one))
        else:
            expected = "atoms, `and` and `not` before an atom: no quantifiers, numbers or conditions"
            _require(one.word() in arity, one, f"{one.word()!r}", expected)
            true.append(_atom(one, arity, names, one))
    return tuple(true), tuple(false)


def _schema(group: _Group, arity: dict[str, int], types: dict[str, str | None], placed: dict[str, str]) -> Schema:
    words = dict(zip(group.items[2::2], group.items[3::2]))
    for word in words:
        _require(word in (":parameters", ":precondition", ":effect"), group, f"{word!r:.40}", ":parameters and so on")
    listed = words.get(":parameters", _Group(group.line))
    _require(isinstance(listed, _Group), group, "no list of parameters", "(?x - type ...)")
    parameters = tuple(_typed(listed.items, group))
    for name, kind in parameters:
        _require(name.startswith("?") and kind in types, group, f"{name} - {kind}", "?variable - one of :types")
    _require(len(dict(parameters)) == len(parameters), group, "a parameter twice", "each once")
    names = placed | dict(parameters)
    true, false = _literals(words.get(":precondition", _Group(group.line)), arity, names, group)
    _require(":effect" in words, group, "no :effect", "one")
    added, removed = _literals(words[":effect"], arity, names, group)
    _require("=" not in {a[0] for a in (*added, *removed)}, group, "an effect on =", "effects on predicates")
    return Schema(group.word(1), parameters, true, false, added, removed)
