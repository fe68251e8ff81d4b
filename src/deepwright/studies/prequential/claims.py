"""What is claimed of forecasts by code lengths, and why what doesn't hold doesn't."""

from __future__ import annotations

import operator
from itertools import pairwise

import numpy as np

from deepwright.core.results import Claim
from deepwright.core.statistics import Interval
from deepwright.studies.prequential.measures import RULES, Drawn, gap, miss, octaves
from deepwright.studies.prequential.shown import (
    COSTS_SHOWN,
    LEAD_SHOWN,
    RULES_SHOWN,
    SWITCHES_SHOWN,
    TAKEN_SHOWN,
    WATERMARKS_SHOWN,
    Found,
)

_BOOT = "seeds, resampled together everywhere"
_CODE = (
    "The network turns to the digit while the digit's loss is still falling: much of what the digit costs is paid for "
    "samples beyond the switch (see what it had cost by 256 samples)."
)


def claims_of(found: Found) -> list[Claim]:
    """All of them.

    Args:
        found: everything.
    """
    return [*_orders(found), *_sizes(found), *_costs(found), *_drops(found), *_watermarks(found)]


_LATER = 0.1  # octaves: what counts as later


def _claim(text: str, drawn: Drawn, bar: float, n: int, least: bool) -> Claim:
    make = Claim.at_least if least else Claim.at_most
    found: Interval = drawn.interval
    return make(text, found, bar, n=n, basis=_BOOT)


def _orders(found: Found) -> list[Claim]:
    """Whether the switches, seen and foretold, come in the order of the colour's reliability."""
    most, n = found.largest, len(found.colours)
    seen = {p: octaves(s["observed"], most) for p, s in found.shares.items()}
    claims = []
    shares = list(found.shares)
    for a, b in pairwise(shares):
        text = (
            f"the network drops colour earlier where it is wrong in {b:.0%} than in {a:.0%}: octaves of the observed "
            "switch (one beyond the largest size counts as that size)"
        )
        claim = _claim(text, gap(seen[a], seen[b]), 0.0, n, least=True)
        claims.append(claim.because("Resamples of so few seeds move the switch by as much.", SWITCHES_SHOWN))
    for word, losses in (("", "raw"), (" calibrated", "calibrated")):
        told = {p: octaves(s[f"forecast{word}"], 2.0**20) for p, s in found.shares.items()}
        for a, b in pairwise(shares[1:]):
            text = f"the forecast ({losses} losses) comes earlier at {b:.0%} than at {a:.0%}: octaves between them"
            claim = _claim(text, gap(told[a], told[b]), 0.0, n, least=True)
            claims.append(claim.because("Costs are differences of areas under few noisy curves.", SWITCHES_SHOWN))
    if len(shares) < 2:  # a quick run, of the middle one
        return claims
    first = found.shares[shares[0]]
    draws = np.append(first["forecast"].draws, first["forecast"].value)
    text = (
        f"where colour is wrong in {shares[0]:.0%} the forecast isn't known to lie within the measured sizes: "
        f"share of resamples in which there is none, or one beyond {most:.0f}"
    )
    share = float((draws > most).mean())
    claims.append(
        Claim.at_least(text, share, 0.025, basis=f"share of {len(draws)} resamples of {n} seeds").because(
            "The forecast lies within the measured sizes, and its interval does.", SWITCHES_SHOWN
        )
    )
    return claims


def _sizes(found: Found) -> list[Claim]:
    """Whether the size itself is foretold, and better than by plain rules."""
    most, n = found.largest, len(found.colours)
    claims = []
    for p, setting in list(found.shares.items())[1:]:
        ours = miss(setting["forecast"], setting["observed"], most)
        text = f"where colour is wrong in {p:.0%} the forecast is within one octave of the observed switch"
        claims.append(_claim(text, ours, 1.0, n, least=False).because(_CODE, COSTS_SHOWN))
        for rule in ("forecast calibrated", "stopped", "stopped calibrated"):
            off = miss(setting[rule], setting["observed"], most)
            text = f"within one octave of the switch where colour is wrong in {p:.0%}: {RULES[rule]}"
            claims.append(_claim(text, off, 1.0, n, least=False).because(_CODE, COSTS_SHOWN))
        stopped = miss(setting["stopped calibrated"], setting["observed"], most)
        for rule in ("forecast calibrated", "crossing"):
            lead = gap(stopped, miss(setting[rule], setting["observed"], most))
            text = (
                f"code length with networks that stop early (calibrated) is nearer to the switch than the rule "
                f"'{RULES[rule]}', where colour is wrong in {p:.0%}: octaves by which it is further off"
            )
            claim = _claim(text, lead, 0.0, n, least=False)
            claims.append(claim.because("Both miss it by about as much.", RULES_SHOWN))
        for rule in ("crossing", "speed", "coin"):
            lead = gap(ours, miss(setting[rule], setting["observed"], most))
            text = (
                f"the forecast (raw losses) is nearer to the switch than the rule '{RULES[rule]}', colour wrong "
                f"in {p:.0%}: octaves by which it is further off"
            )
            claims.append(
                _claim(text, lead, 0.0, n, least=False).because(
                    "The plain rule, which charges less or nothing, names a size that is no worse.",
                    RULES_SHOWN,
                )
            )
    return claims


def _costs(found: Found) -> list[Claim]:
    n = len(found.colours)
    claims = []
    for p, s in found.shares.items():
        quotient = s["cost colour calibrated"].map(operator.truediv, s["cost digit calibrated"])
        text = f"colour, wrong in {p:.0%}, costs less than a quarter of what the digit costs (calibrated losses)"
        claims.append(
            _claim(text, quotient, 0.25, n, least=False).because("Noise of few samples is paid as cost.", COSTS_SHOWN)
        )
    return claims


def _drops(found: Found) -> list[Claim]:
    """What the network relies on with few samples and with many."""
    claims = []
    shares = list(found.shares)
    for p in shares[:2]:
        early = [-lead for lead in found.leads(p, 64)] if found.has(64) else []
        if early:
            text = f"with 64 samples the network relies on colour, wrong in {p:.0%}, more than on the digit: accuracy"
            claims.append(Claim.at_least(text, early, 0.05).because("Both are learnt in part.", LEAD_SHOWN))
    for p in shares[1:]:
        late = found.leads(p, int(found.largest))
        text = (
            f"with {found.largest:.0f} samples the network relies on the digit more than on colour, wrong in {p:.0%}: "
            "accuracy"
        )
        claims.append(Claim.at_least(text, late, 0.05).because("Colour is still used.", LEAD_SHOWN))
    return claims


def _watermarks(found: Found) -> list[Claim]:
    most, n = found.largest, len(found.marks)
    claims = []
    banks = list(found.banks)
    for a, b in pairwise(banks):
        left, right = found.banks[a], found.banks[b]
        text = f"watermarks of {b} patterns an environment cost more than those of {a}: bits (calibrated losses)"
        dearer = gap(right["cost watermark calibrated"], left["cost watermark calibrated"])
        claims.append(
            _claim(text, dearer, 0.0, n, least=True).because(
                "The larger bank isn't learnt from so few samples.", WATERMARKS_SHOWN
            )
        )
        text = f"the network turns from digit to watermark later with {b} patterns than with {a}: octaves"
        later = gap(octaves(right["observed back"], most), octaves(left["observed back"], most))
        claims.append(
            _claim(text, later, 0.0, n, least=True).because(
                "With few samples it relies on neither, and which is ahead by how little is noise.", TAKEN_SHOWN
            )
        )
        text = f"the forecast of that turn is later with {b} patterns than with {a}: octaves (calibrated losses)"
        told = gap(*(octaves(s["forecast back calibrated"], most) for s in (right, left)))
        claims.append(  # of two that are foretold at once 0 is no later
            _claim(text, told, _LATER, n, least=True).because(
                "Both are foretold from the smallest size on.", WATERMARKS_SHOWN
            )
        )
    return claims
