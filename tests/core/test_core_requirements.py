"""What numbers an option may be: each kind of number at its ends, and the words where it isn't one."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import (
    require_network,
    require_number,
    require_positive,
    require_whole,
    require_within,
)

NO_NUMBERS = [True, np.True_, math.nan, np.float32("nan"), "1", None, 1j, np.complex64(1), torch.tensor(1.0), [1]]
KINDS = [int, float, np.int64, np.float32, np.float64, Fraction]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize(
    "require",
    [
        require_whole,
        lambda **x: require_whole(0, **x),
        lambda **x: require_number(infinite=True, **x),
        lambda **x: require_positive(infinite=True, **x),
        lambda **x: require_within(-10, 10, **x),
    ],
    ids=["whole", "whole at least", "number", "positive", "within"],
)
def test_what_is_no_number_is_refused_by_name(require, value):
    with pytest.raises(InputError, match="share; given:"):
        require(share=value)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_every_type_are_numbers(kind):
    require_number(2, x=kind(2))
    require_positive(x=kind(2))
    require_within(2, 3, x=kind(2))


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers_of_every_type_are_counts(value):
    require_whole(3, steps=value)


@pytest.mark.parametrize("value", [3.0, np.float64(3), 2])
def test_a_fraction_and_too_few_are_no_counts(value):
    with pytest.raises(InputError, match=r"steps; given: .*; expected: a whole number, 3 or more"):
        require_whole(3, batches=5, steps=value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, np.float32("inf")])
def test_infinity_is_refused_unless_allowed(value):
    for require in (require_number, require_positive):
        with pytest.raises(InputError, match=r"t; given: .*inf.*; expected: a finite number"):
            require(t=value)
    with pytest.raises(InputError, match=r"a number in \[0, inf\]"):
        require_within(0, math.inf, t=value)
    require_number(infinite=True, t=value)


def test_an_integer_beyond_every_float_is_a_number():
    require_positive(x=10**400)
    require_whole(0, x=10**400)


@pytest.mark.parametrize(
    ("ends", "taken"), [("[]", [0, 1]), ("()", []), ("(]", [1]), ("[)", [0])], ids=lambda value: str(value)
)
def test_ends_of_a_range_are_in_it_where_the_bracket_says_so(ends, taken):
    require_within(0, 1, ends=ends, x=0.5)
    for end in (0, 1):
        if end in taken:
            require_within(0, 1, ends=ends, x=end)
            continue
        with pytest.raises(InputError) as refusal:
            require_within(0, 1, ends=ends, x=end)
        assert f"a number in {ends[0]}0, 1{ends[1]}" in str(refusal.value)


def test_zero_is_not_negative_but_not_positive():
    require_number(0, x=0, y=-0.0)
    with pytest.raises(InputError, match="x; given: 0; expected: a finite number above 0"):
        require_positive(x=0)
    with pytest.raises(InputError, match=r"y; given: -0.5; expected: a finite number, 0 or more"):
        require_number(0, x=0, y=-0.5)


def test_a_class_is_no_network():
    require_network(nn.Identity())
    with pytest.raises(InputError, match=r"small; given: Identity; expected: an nn.Module.*not the class"):
        require_network(nn.Identity, "small")
