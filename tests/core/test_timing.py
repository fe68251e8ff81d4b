"""Medians of calls that take turns."""

import time

import pytest

from deepwright.core.timing import median_seconds


def test_calls_take_turns_after_one_to_warm_up():
    order = []
    median_seconds({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=3)
    assert "".join(order) == "ab" * 4


def test_the_median_is_not_moved_by_one_slow_call():
    waits = iter([0.0, 0.001, 0.2, 0.001])
    found = median_seconds({"a": lambda: time.sleep(next(waits))}, repeats=3)
    assert found["a"] == pytest.approx(0.001, abs=0.02)
