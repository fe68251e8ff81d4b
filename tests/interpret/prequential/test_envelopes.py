"""Lines, their exact envelope, forecasts and observed switches."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.interpret.prequential import (
    CompressionLine,
    Envelope,
    LossCurve,
    by_accuracy,
    by_coin,
    by_crossing,
    by_separability,
    by_training_speed,
    forecast_switch,
    intermediate_lines,
    memorising,
    observed_switch,
)
from deepwright.interpret.prequential.forecasts import ratio

FIVE = [(0, 1), (12, 0.55), (210, 0.15), (300, 0.5), (900, 0.08)]


def lines(pairs):
    return [CompressionLine(str(i), float(k), float(s), {"rank": float(i)}) for i, (k, s) in enumerate(pairs)]


def test_switches_of_five_lines():
    envelope = Envelope(lines(FIVE))
    found = envelope.switches()
    assert [c.samples for c in found] == pytest.approx([80 / 3, 495, 9857.142857], rel=1e-6)
    assert [(c.before, c.after) for c in found] == [(0, 1), (1, 2), (2, 4)]
    assert [c.bits for c in found] == pytest.approx([80 / 3, 284.25, 1688.5714], rel=1e-5)
    assert envelope.members() == [0, 1, 2, 4]
    assert envelope.members(500, 9000) == [2]
    assert [envelope.best(n) for n in (0, 26, 27, 1000, 1e5)] == [0, 0, 1, 2, 4]
    assert envelope.predict("rank", 1000) == 2.0
    with pytest.raises(InputError, match="rank"):
        envelope.predict("size", 1)


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_the_envelope_is_that_of_brute_force(count):
    rng = np.random.default_rng(count)
    at = np.array([0.0, 0.5, 1.0, 3.3, 17.0, 1e4])
    for _ in range(count):
        m = int(rng.integers(1, 8))
        cost, slope = rng.integers(0, 6, m).astype(float), rng.integers(0, 5, m) / 4  # many equal slopes, duplicates
        envelope = Envelope([CompressionLine("", k, s) for k, s in zip(cost.tolist(), slope.tolist())])
        best = [envelope.best(n) for n in at]
        assert np.allclose((cost[:, None] + slope[:, None] * at).min(0), cost[best] + slope[best] * at)
        starts = [c.samples for c in envelope.switches()]
        assert starts == sorted(set(starts))


def test_lines_carry_their_unit():
    curve = LossCurve.from_arrays([1, 2, 4, 8, 16], [0.7, 0.5, 0.3, 0.1, 0.1], "nats")
    line = CompressionLine.of("a", curve.cost(unit="nats"), 0.1, "nats")
    assert line.slope_bits == pytest.approx(0.1 / math.log(2))
    assert line.cost_bits == pytest.approx(curve.model_cost())
    with pytest.raises(InputError, match="one unit"):
        CompressionLine.of("a", curve.cost(unit="nats"), 0.1, "bits")
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError):
            CompressionLine("a", bad, 0.1)
    with pytest.raises(InputError, match="at least one"):
        Envelope([])
    assert Envelope([memorising(4)]).value(10) == 20.0
    assert Envelope([memorising()]).switches() == []


def test_networks_that_stop_early_are_lines_of_their_own():
    sizes = np.array([1, 2, 4, 8, 16, 32, 64])
    curve = LossCurve.from_arrays(sizes, [1.0, 1.0, 0.8, 0.5, 0.3, 0.2, 0.2], "bits")
    stopped = intermediate_lines(curve, "digit", count=20)
    cost = [line.cost_bits for line in stopped]
    slope = [line.slope_bits for line in stopped]
    assert cost[0] == 0.0
    assert slope[0] == 1.0
    assert cost[-1] == pytest.approx(curve.model_cost(None))
    assert slope[-1] == pytest.approx(0.2)
    assert (np.diff(cost) > 0).all()
    assert (np.diff(slope) <= 0).all()
    whole = Envelope([memorising(), *stopped])
    assert whole.value(1e6) == pytest.approx(cost[-1] + 0.2e6)


def curve(loss, original, runs=6, noise=0.0, seed=0):
    """A feature's curve: its own losses, and the loss on the original data at the end, noisy from run to run."""
    rng = np.random.default_rng(seed)
    sizes = np.array([1.0, 2, 4, 8, 16, 64, 256])
    own = np.tile(loss, (runs, 1))
    theirs = np.tile(np.full(7, original), (runs, 1)) + noise * rng.standard_normal((runs, 1))
    values = np.stack([own, theirs]) * math.log(2)
    return LossCurve(sizes, ("own", "original"), values, 1 - values)


CHEAP, DEAR = [1, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4], [1, 1, 1, 0.9, 0.8, 0.4, 0.1]
TESTS = {"own": "own", "original": "original", "cut": None, "bootstrap": 300}


def test_a_forecast_is_the_quotient_of_differences():
    cheap, dear = curve(CHEAP, 0.5), curve(DEAR, 0.2)
    found = forecast_switch(dear, cheap, ("digit", "colour"), **TESTS)
    assert (found.cheap.name, found.dear.name) == ("colour", "digit")
    wanted = (dear.model_cost(None) - cheap.model_cost(None)) / 0.3
    assert found.samples.value == pytest.approx(wanted)
    assert found.verdict == "switch"
    assert ("extrapolated" in found.words) == (wanted > 256)
    envelope = Envelope(
        [CompressionLine("c", found.cheap.cost.value, 0.5), CompressionLine("d", found.dear.cost.value, 0.2)]
    )
    assert envelope.switches()[0].samples == pytest.approx(wanted)
    one = forecast_switch(curve(CHEAP, 0.5, runs=1), curve(DEAR, 0.2, runs=1), ("a", "b"), **TESTS)
    assert one.words.endswith("of one run") or "extrapolated" in one.words
    assert not one.samples.known


def test_no_forecast_where_it_isnt_known_which_leaves_less():
    noisy = forecast_switch(curve(CHEAP, 0.21, noise=0.1), curve(DEAR, 0.2, noise=0.1, seed=1), ("a", "b"), **TESTS)
    assert noisy.verdict == "no forecast"
    assert noisy.samples.high == math.inf
    assert "no forecast" in noisy.words
    dominated = forecast_switch(curve(CHEAP, 0.1), curve(DEAR, 0.2), ("a", "b"), **TESTS)
    assert dominated.verdict == "none"
    assert dominated.samples.value == math.inf
    with pytest.raises(InputError, match="runs"):
        forecast_switch(curve(CHEAP, 0.1), curve(DEAR, 0.2, runs=2), ("a", "b"), **TESTS)


def test_observed_switches_are_crossings_in_log_n():
    sizes = np.array([1.0, 10.0, 100.0, 1000.0])
    cheap = np.array([[0.4, 0.4, 0.2, 0.0]] * 3)
    found = observed_switch(sizes, cheap, 0.4 - cheap)
    assert found.samples.value == pytest.approx(100.0)
    assert found.samples.known
    twice = observed_switch(sizes, np.array([[0.1, 0.0, 0.2, 0.1]]), np.array([[0.0, 0.1, 0.1, 0.2]]))
    assert len(twice.crossings) == 2
    assert twice.samples.value == pytest.approx(10**2.5)
    assert "last of 2" in twice.words
    never = observed_switch(sizes, cheap + 0.5, 0.4 - cheap)
    assert (never.samples.value, never.words) == (math.inf, "> 1000")
    always = observed_switch(sizes, cheap - 1, cheap)
    assert (always.samples.value, always.words) == (0.0, "before the smallest size")
    told = forecast_switch(curve(CHEAP, 0.5), curve(DEAR, 0.2), ("a", "b"), **TESTS)
    assert ratio(told, found) == pytest.approx(told.samples.value / 100)
    assert math.isnan(ratio(told, never))
    with pytest.raises(InputError, match="runs, sizes"):
        observed_switch(sizes, cheap, cheap[:1])


def test_plain_rivals_of_the_forecast():
    cheap, dear = curve(CHEAP, 0.5), curve(DEAR, 0.2)
    assert by_accuracy(cheap, dear, "original") == 0.0
    assert by_accuracy(dear, cheap, "original") == math.inf
    assert by_separability(0.9, 0.8) == math.inf
    assert by_training_speed(dear) == 64.0
    assert by_crossing(cheap, dear, "original") == 0.0
    own = by_crossing(cheap, dear, "own")
    assert own == pytest.approx(64.0)
    assert by_coin(100.0, 0.5, 0.25, 256) == pytest.approx(4 * (100 - 4 - math.log2(math.pi / 2) / 2))
    assert by_coin(100.0, 0.2, 0.25, 256) == math.inf


def test_a_forecast_says_nothing_aloud():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecast_switch(curve(DEAR[::-1], 0.5), curve(DEAR, 0.2), ("a", "b"), **TESTS)
