"""Tables, figures and the sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.studies._frame import banded, cells, columns, over_trials
from deepwright.studies.mindset.claims import DOSES_SHOWN, JUDGED_SHOWN, LAYERS_SHOWN, READ_SHOWN, TILT_SHOWN
from deepwright.studies.mindset.found import LEAST_R2, Found
from deepwright.studies.mindset.trials import (
    BINS,
    BOX,
    DECODED,
    FEATURES,
    JUDGED,
    LAYERS,
    MULLER_LYER,
    NETWORKS,
    PIXELS,
    RANDOM,
    REAL,
    STRENGTHS,
    TILT,
    WIDTH,
)

LIMITS = (
    "One network of ImageNet, EfficientNet-Lite0, beside itself with random weights; no ResNet-152, no transformer.",
    "Pictures of 96 pixels a side (Müller-Lyer: 128), below the 224 that the network was trained at.",
    "What a linear read-out errs by is no report of what a network sees: another read-out may err otherwise.",
    "Read-outs of the trained and of the random network are judged each at its deepest readable layer of five; those "
    "were chosen on held-out pictures of the same seeds.",
    "People's data are directions alone: no person was measured, and sizes of effects aren't compared with theirs.",
    "Drawings are our own: no published item of NAP and MP lines, no picture of the data set was used.",
    "Five seeds: small effects may stay undecided.",
)


def tables_of(found: Found) -> list[Table]:
    """All of them, the main one first.

    Args:
        found: the trials.
    """
    return [_read(found), _judged(found), _layers(found), _doses(found), _tilt(found)]


def _read(found: Found) -> Table:
    rows: list[list[Any]] = []
    for name in DECODED:
        for kind in NETWORKS:
            layer = found.layer(name, kind)
            rows.append(_read_row(found, name, kind, layer, f"{kind}, {LAYERS[layer]}"))
        rows += [_read_row(found, name, REAL, trivial, trivial) for trivial in (PIXELS, BOX)]
    heads = ["illusion", "observer", "seeds", "R2", *columns("effect"), "d", "unit"]
    caption = (
        f"{READ_SHOWN}: mean error on the kind of picture that people exaggerate less that on the other, above 0 as in "
        f"people; each network at its deepest layer with an R2 of {LEAST_R2} or more; no effect where there is none"
    )
    return Table(heads, rows, caption)


def _read_row(found: Found, name: str, kind: str, layer: str, words: str) -> list[Any]:
    runs = found.decoded[name, kind]
    r2, bias = found.r2(name, kind, layer), found.bias(name, kind, layer)
    measured = not any(math.isnan(value) for value in bias)
    effect = list(cells(over_trials(bias))) if measured else [None, None, None]
    d = sum(row["d"][layer] for row in runs) / len(runs) if measured else None
    known = None if any(math.isnan(value) for value in r2) else sum(r2) / len(r2)
    return [name, words, len(runs), known, *effect, d, runs[0]["unit"]]


def _judged(found: Found) -> Table:
    rows: list[list[Any]] = []
    for name in JUDGED:
        for kind in NETWORKS:
            for layer, words in LAYERS.items():
                plain, rest = (found.judgement(name, kind, layer, what) for what in ("effect", "controlled"))
                known = not any(math.isnan(value) for value in rest)
                equal = cells(over_trials(rest)) if known else (None, None, None)
                rows.append([name, kind, words, *cells(over_trials(plain)), *equal])
        pixels = found.judgement(name, REAL, PIXELS)
        rows.append([name, "pixels", "", *cells(over_trials(pixels)), None, None, None])
    seeds, items = len(found.judged[JUDGED[0], REAL]), found.judged[JUDGED[0], REAL][0]["items"]
    heads = ["experiment", "observer", "layer", *columns("effect", "at an equal change of pixels")]
    caption = (
        f"{JUDGED_SHOWN}: (a - b) / (a + b) of the two distances of an item, above 0 as in people, {seeds} seeds of "
        f"{items} items"
    )
    return Table(heads, rows, caption)


def _layers(found: Found) -> Table:
    rows: list[list[Any]] = []
    for name in DECODED:
        for kind in NETWORKS:
            for layer, words in LAYERS.items():
                r2 = over_trials(found.r2(name, kind, layer))
                raw = over_trials([row["effect"][layer] for row in found.decoded[name, kind]])
                rows.append([name, kind, words, *cells(r2), *cells(raw)])
    heads = ["illusion", "network", "layer", *columns("R2", "effect, whatever R2 is")]
    return Table(heads, rows, f"{LAYERS_SHOWN}: on held-out pictures, and the effect of each read-out")


def _doses(found: Found) -> Table:
    rows: list[list[Any]] = []
    for kind in NETWORKS:
        for strength in STRENGTHS:
            values = [row["doses"][str(strength)][FEATURES] for row in found.decoded[MULLER_LYER, kind]]
            rows.append([kind, strength, *cells(over_trials(values))])
    heads = ["network", "length of the fins", *columns("outward less inward")]
    return Table(heads, rows, f"{DOSES_SHOWN}: read from the features, in canvas sides")


def _tilt(found: Found) -> Table:
    rows: list[list[Any]] = []
    for kind in NETWORKS:
        layer = found.layer(TILT, kind)
        for k, low in enumerate(BINS):
            values = [row["curves"][layer][k] for row in found.decoded[TILT, kind]]
            known = [value for value in values if value is not None]
            turn = cells(over_trials(known)) if known else (None, None, None)
            rows.append([kind, LAYERS[layer], f"{low} to {low + WIDTH}", *turn])
    heads = ["network", "layer", "context (degrees)", *columns("centre's turn (degrees)")]
    caption = (
        f"{TILT_SHOWN}: away from the context is repulsion, which people show up to 50 degrees, most at 15 to 20, and "
        "weak attraction near 75 to 80"
    )
    return Table(heads, rows, caption)


def figures_of(found: Found) -> list[Figure]:
    """Drawings as data.

    Args:
        found: the trials.
    """
    return [_depth(found), _effects(found), _dose_curve(found), _tilt_curve(found), _sheet(found)]


def _depth(found: Found) -> Figure:
    """How similarities order pairs from the input to the features."""
    series = []
    places = list(range(len(LAYERS) + 1))
    for name in JUDGED:
        for kind in NETWORKS:
            points = [found.judgement(name, kind, layer) for layer in (PIXELS, *LAYERS)]
            one = banded(f"{name}, {kind}", places, points)
            series.append(one if kind == REAL else {**one, "dashed": True})
    return Figure(
        "line",
        "Do distances order pairs as people do?",
        series,
        x_label="pixels, then " + ", ".join(LAYERS.values()),
        y_label="(a - b) / (a + b), above 0 as in people",
    )


def _effects(found: Found) -> Figure:
    """The size of each illusion beside its own scatter over items."""
    series = []
    for kind in (*NETWORKS, PIXELS):
        points = []
        for name in DECODED:
            own = REAL if kind == PIXELS else kind
            layer = PIXELS if kind == PIXELS else found.layer(name, kind)
            readable = not any(math.isnan(v) for v in found.bias(name, own, layer))
            points.append([row["d"].get(layer, 0.0) if readable else 0.0 for row in found.decoded[name, own]])
        series.append(banded(kind, [name.removesuffix("_illusion") for name in DECODED], points))
    return Figure(
        "bar",
        "Illusions of read-outs (0 where unreadable)",
        series,
        y_label="effect over its deviation across items",
    )


def _dose_curve(found: Found) -> Figure:
    series = []
    for kind in NETWORKS:
        runs = found.decoded[MULLER_LYER, kind]
        points = [[row["doses"][str(s)][FEATURES] for row in runs] for s in STRENGTHS]
        series.append(banded(kind, STRENGTHS, points))
    return Figure(
        "line",
        "Müller-Lyer: the longer the fins, the larger the illusion?",
        series,
        x_label="length of the fins, of its own",
        y_label="outward less inward (canvas sides)",
    )


def _tilt_curve(found: Found) -> Figure:
    series = []
    middles = [low + WIDTH / 2 for low in BINS]
    for kind in NETWORKS:
        layer, runs = found.layer(TILT, kind), found.decoded[TILT, kind]
        points = [[row["curves"][layer][k] or 0.0 for row in runs] for k in range(len(BINS))]
        series.append(banded(f"{kind}, {LAYERS[layer]}", middles, points))
    return Figure(
        "line",
        "Tilt: how far is an upright centre turned by its context?",
        series,
        x_label="context (degrees); people: away from it up to 50, most at 15 to 20",
        y_label="centre's turn as read (degrees)",
    )


def _sheet(found: Found) -> Figure:
    series = [
        {
            "name": name,
            "pictures": [{"png": code, "caption": kind} for code, kind in zip(shown["codes"], shown["kinds"])],
        }
        for name, shown in found.sheet.items()
    ]
    return Figure("strips", "What the networks were shown: one item of each experiment", series)


def _without(found: Found, names: Sequence[str]) -> str:
    """Which of the effects are as large where nothing was learnt, with both numbers."""
    rows = []
    for name in names:
        ours = over_trials(found.judgement(name, REAL, FEATURES)).value
        beside = {
            "random weights": found.judgement(name, RANDOM, FEATURES),
            "bare pixels": found.judgement(name, REAL, PIXELS),
        }
        for what, values in beside.items():
            other = over_trials(values).value
            if other >= ours:
                rows.append(f"{name} in {what}, {other:+.3f} against {ours:+.3f}")
    return f", as large without any training for {'; '.join(rows)}" if rows else ""


def summary_of(found: Found) -> str:
    """The sentence on top.

    Args:
        found: the trials.
    """
    ours = over_trials(found.bias(MULLER_LYER, REAL, FEATURES))
    judged = {name: over_trials(found.judgement(name, REAL, FEATURES)) for name in JUDGED}
    human = [name for name, value in judged.items() if value.low > 0]
    read = {name: over_trials(found.bias(name, REAL, found.layer(name, REAL))) for name in DECODED}
    as_people = [name for name, value in read.items() if value.low > 0]
    other = [name for name, value in read.items() if value.high < 0]
    return (
        f"EfficientNet-Lite0's features order pairs of pictures as people do in {len(human)} of {len(JUDGED)} "
        f"experiments ({', '.join(human) or 'none'}){_without(found, human)}. Linear read-outs err as people do in "
        f"{len(as_people)} of {len(DECODED)} illusions ({', '.join(as_people) or 'none'}) and the other way in "
        f"{len(other)} ({', '.join(other) or 'none'}). Müller-Lyer: outward less inward {ours.value:+.3f} of a canvas "
        f"side [{ours.low:+.3f}, {ours.high:+.3f}] over decoders on disjoint draws."
    )
