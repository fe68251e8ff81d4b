"""Permutations in cycle notation, as GAP writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

_LONGEST, _MOST_POINTS = 1_000_000, 100_000
_TOKEN = re.compile(r"\s*(?:(\d{1,9})|([(),\[\]]))")


def read_cycles(text: str | Sequence[str], points: int | None = None) -> list[list[int]]:
    """Generators from cycles: "[(1,2,3)(4,5), (1,5)]", or one text a generator; points count from 1, `()` does nothing.

    The k-th permutation brings what is in place i to the place that its cycle names after i, so that words are read
    from the left, as in GAP. Of `PermutationDomain`, whose places take what was elsewhere, that is the inverse list.

    Args:
        text: at most a million characters.
        points: how many there are; the largest that is named where not given.

    Raises:
        InputError: what isn't a list of permutations, with the column; a point twice, or one above `points`.

    Example:
        >>> read_cycles("(1,2,3)(4,5), ()")
        [[2, 0, 1, 4, 3], [0, 1, 2, 3, 4]]
    """
    parts = [text] if isinstance(text, str) else list(text)
    if sum(map(len, parts)) > _LONGEST:
        raise InputError("cycles", given=f"{sum(map(len, parts))} characters", expected=f"at most {_LONGEST}")
    found = [cycles for part in parts for cycles in _permutations(part)]
    named = max((point for cycles in found for cycle in cycles for point in cycle), default=0)
    n = named if points is None else points
    require_whole(1, points=n)
    if named > n or n > _MOST_POINTS:
        raise InputError("cycles", given=f"point {named} of {n}", expected=f"at most {min(n, _MOST_POINTS)}")
    return [_places(cycles, n) for cycles in found]


def _permutations(text: str) -> list[list[list[int]]]:
    """Each as its cycles. Permutations are separated by commas, in brackets or not."""
    tokens = _tokens(text)
    if tokens and tokens[0][1] == "[":
        if tokens[-1][1] != "]":
            raise _odd(tokens[-1], "a closing bracket at the end")
        tokens = tokens[1:-1]
    found: list[list[list[int]]] = []
    fresh, at = True, 0
    while at < len(tokens):
        if tokens[at][1] == "," and not fresh:
            fresh, at = True, at + 1
            continue
        cycle, at = _cycle(tokens, at)
        if fresh:
            found.append([])
        found[-1].append(cycle)
        fresh = False
    if fresh:
        raise InputError("cycles", given=repr(text[:60]), expected="permutations as (1,2,3)(4,5), separated by commas")
    return found


def _cycle(tokens: list[tuple[int, str]], at: int) -> tuple[list[int], int]:
    if tokens[at][1] != "(":
        raise _odd(tokens[at], "an opening parenthesis")
    points: list[int] = []
    for number in range(at + 1, len(tokens)):
        token, inside = tokens[number], number - at - 1
        if token[1] == ")" and (inside % 2 or not inside):
            return points, number + 1
        if inside % 2:
            if token[1] != ",":
                raise _odd(token, "a comma, or a closing parenthesis")
        elif not token[1].isdigit() or token[1].lstrip("0") == "":
            raise _odd(token, "a point, counted from 1")
        else:
            points.append(int(token[1]))
    raise _odd(tokens[at], "a closing parenthesis after it")


def _tokens(text: str) -> list[tuple[int, str]]:
    """With their columns, counted from 1."""
    tokens, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _odd((at + 1, text[at]), "numbers, commas and parentheses")
        token = match[1] or match[2]
        tokens.append((match.end() - len(token) + 1, token))
        at = match.end()
    return tokens


def _odd(token: tuple[int, str], expected: str) -> InputError:
    return InputError(f"cycles, column {token[0]}", given=repr(token[1]), expected=expected)


def _places(cycles: list[list[int]], n: int) -> list[int]:
    """What comes to each place, counted from 0."""
    points = [point for cycle in cycles for point in cycle]
    if len(set(points)) < len(points):
        twice = next(point for point in points if points.count(point) > 1)
        raise InputError("cycles", given=f"point {twice} twice in a permutation", expected="disjoint cycles")
    source = list(range(n))
    for cycle in cycles:
        for here, there in zip(cycle, cycle[1:] + cycle[:1]):
            source[there - 1] = here - 1
    return source
