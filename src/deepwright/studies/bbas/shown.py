"""Tables, figures and the sentence on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.studies._frame import Runs, barred, cells, curve, mean, over_trials
from deepwright.studies.bbas import photographs
from deepwright.studies.bbas.claims import BOXES, BOXES_OOD, FAR_DIGITS, FLAGGED, NEAR, PARTS, PHOTOGRAPHS
from deepwright.studies.bbas.detectors import ABLATIONS, OURS, PUBLISHED, SAME_VARIABLES, Setting
from deepwright.studies.bbas.digits import FAR, NEAREST, SETS
from deepwright.studies.bbas.found import Found, area, gaps_to, mean_area, over_pairs, shared

LIMITS = (
    "Digits with one small convolutional network, and one ResNet-20 on CIFAR-10. No larger network, and no classifier "
    "of ImageNet: of its photographs there is one a class here, which makes no box of a class.",
    "On photographs the seeds draw images, and the network is one: those intervals don't speak of other networks.",
    "Settings were chosen on other networks and seeds, but on the same 5,000 digits and with five of the 45 pairs.",
    "Where a detector's setting is the last of its grid (see the arms), one further out may be better.",
    "boxes_ood is made for boxes, and doesn't say that it takes them: the distance to the nearest training sample, "
    "which has nothing to set, stands beside them there.",
    "CIFAR-100, SVHN and textures aren't among the data here. What is near on photographs are ImageNet's at 32 x 32, "
    "without the classes that resemble one of the ten; these were named by hand.",
)
_SHORT = ("MSP", "KNN", "RMDS", OURS)
_MINUS = [f"{OURS} minus it", "low", "high"]


def tables_of(found: Found) -> list[Table]:
    """The main table first.

    Args:
        found: the trials.
    """
    photos = [] if found.photographs is None else [_photographs(found, found.photographs)]
    return [
        _near(found),
        _far(found),
        *photos,
        _to_neighbours(found),
        _parts(found),
        _flagged(
            found,
            "at_rate",
            f"{FLAGGED} at the false alarms of Outside the Box as published, on the same digits (less of both where a "
            "detector's scores tie there)",
        ),
        _flagged(
            found,
            "flagged",
            "Share flagged by a threshold that accepts 95 % of every second known test digit; none where the highest "
            "scores tie, as those of a monitor that says outside or not",
        ),
        _lengths(found),
        Table(
            ["detector", *(f"seed {s}" for s in found.boxes.seeds), "mean"],
            [[d, *found.boxes.values(d), found.boxes.mean(d)] for d in found.boxes[0]],
            f"{BOXES_OOD}: points of two classes, each in four cubes, and foreign ones between the cubes, made so that "
            "boxes are right (K a class)",
        ),
    ]


def _words(setting: Setting) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in setting.items()
    )


def _sorted(rows: list[list[Any]], column: int) -> list[list[Any]]:
    return sorted(rows, key=lambda row: -row[column])


def _near(found: Found) -> Table:
    rows: list[list[Any]] = []
    for d in shared(found.pairs):
        each = gaps_to(found.pairs, d, "near")
        gap = over_pairs(found.pairs, each)
        near = mean_area(found.pairs, d, "near")
        rows.append([d, _words(found.chosen.digits[d]), near, *cells(gap), min(each), max(each)])
    caption = f"{NEAR}, over {len(found.pairs)} pairs of them, each detector at its chosen setting"
    columns = ["detector", "setting", "near", *_MINUS, "least gap", "largest gap"]
    return Table(columns, _sorted(rows, 2), caption, found.units)


def _far(found: Found) -> Table:
    rows: list[list[Any]] = []
    for d in shared(found.pairs):
        areas = [mean_area(found.pairs, d, name) for name in FAR]
        rows.append([d, *areas, mean([min(area(d, name)(row) for name in FAR) for row in found.pairs])])
    caption = f"{FAR_DIGITS}, means over {len(found.pairs)} networks; and the mean of each network's worst"
    return Table(["detector", *FAR, "worst"], _sorted(rows, 5), caption)


def _photographs(found: Found, runs: Runs) -> Table:
    near, settings = photographs.SETS[0], found.chosen.photographs or {}
    rows: list[list[Any]] = []
    for d in shared(runs):
        gap = over_trials(gaps_to(runs, d, near))
        far = [mean_area(runs, d, name) for name in photographs.FAR]
        rows.append([d, _words(settings[d]), mean_area(runs, d, near), *cells(gap), *far])
    accuracy = runs.mean("accuracy")
    caption = f"{PHOTOGRAPHS}: ResNet-20 on CIFAR-10 ({accuracy:.1%} right), {len(runs)} draws of images"
    return Table(["detector", "setting", near, *_MINUS, *photographs.FAR], _sorted(rows, 2), caption)


def _to_neighbours(found: Found) -> Table:
    """From one box a class to the training samples themselves, and from all layers to the last hidden one."""
    pairs = found.pairs
    rows: list[list[Any]] = []
    for k in (1, 5, 20, 50):
        values = pairs.values(area(f"AggBBAS, K = {k}", "near", "ablations"))
        rows.append([f"boxes of all layers, {k} a class", "deviations", *_against(found, values)])
    for label, d in (
        ("boxes of all layers", OURS),
        ("neighbours in all layers", SAME_VARIABLES),
        ("neighbours in the last hidden layer", "KNN"),
    ):
        rows.append([label, _words(found.chosen.digits[d]), *_against(found, pairs.values(area(d, "near")))])
    caption = f"{BOXES}: AUROC on two unknown digits, over {len(pairs)} pairs"
    columns = ["what is asked", "setting", "near", "it minus KNN", "low", "high"]
    return Table(columns, rows, caption, found.units)


def _against(found: Found, values: list[float]) -> list[Any]:
    gap = over_pairs(found.pairs, [v - k for v, k in zip(values, found.pairs.values(area("KNN", "near")))])
    return [mean(values), *cells(gap)]


def _parts(found: Found) -> Table:
    pairs, base = found.pairs, "AggBBAS, K = 5"
    rows: list[list[Any]] = []
    for name in ABLATIONS:
        gap = over_pairs(pairs, gaps_to(pairs, base, "near", "ablations", name))
        worst = min(mean_area(pairs, name, s, "ablations") for s in FAR)
        rows.append([name, mean_area(pairs, name, "near", "ablations"), *cells(gap), worst])
    caption = (
        f"{PARTS} of AggBBAS is worth: AUROC on two unknown digits, over {len(pairs)} pairs; nothing is chosen here; "
        "K: boxes a class; single: of the predicted class alone, else of all classes by their probability; count: how "
        "many variables are outside, else by how far, in deviations or (widths) in widths of the box"
    )
    return Table(["boxes", "near", f"minus {base}", "low", "high", "worst far set"], rows, caption, found.units)


def _flagged(found: Found, measure: str, caption: str) -> Table:
    rows: list[list[Any]] = [
        [d, *(mean_area(found.pairs, d, name, measure=measure) for name in ("inside", *SETS))]
        for d in shared(found.pairs)
    ]
    return Table(["detector", "known digits", *SETS], _sorted(rows, 2), caption)


def _lengths(found: Found) -> Table:
    rows: list[list[Any]] = []
    for epochs in found.lengths:
        runs = found.at_length(epochs)
        msp, knn = (over_trials(gaps_to(runs, d, "near")) for d in ("MSP", "KNN"))
        areas = [mean_area(runs, d, "near") for d in _SHORT]
        rows.append([epochs, runs.mean("accuracy"), *areas, *cells(msp), *cells(knn)])
    columns = ["epochs", "accuracy", *_SHORT, f"{OURS} minus MSP", "low", "high", f"{OURS} minus KNN", "low ", "high "]
    n = len(found.at_length(found.main))
    caption = f"By length of training: AUROC on two unknown digits, the same {n} pairs and seeds at each"
    return Table(columns, rows, caption, n)


def figures_of(found: Found) -> list[Figure]:
    """Gaps with intervals, pair by pair, and every AUROC at a glance.

    Args:
        found: the trials.
    """
    heat = [_heatmap(found.pairs, SETS, "AUROC on digits")]
    if found.photographs is not None:
        heat.append(_heatmap(found.photographs, photographs.SETS, "AUROC on photographs"))
    return [_gap_bars(found), _gap_curves(found.pairs), *heat]


def _gap_bars(found: Found) -> Figure:
    others = [d for d in shared(found.pairs) if d != OURS]
    digits = {d: over_pairs(found.pairs, gaps_to(found.pairs, d, "near")) for d in others}
    others.sort(key=lambda d: digits[d].value)
    series = [barred("unknown digits", others, [digits[d] for d in others])]
    if found.photographs is not None:
        runs = found.photographs
        both = [d for d in others if d in shared(runs)]
        gaps = [over_trials(gaps_to(runs, d, photographs.SETS[0])) for d in both]
        series.append(barred("other photographs", both, gaps))
    return Figure("bar", "AggBBAS minus each detector on near sets", series, "", "AUROC, 95 % intervals")


def _gap_curves(pairs: Runs) -> Figure:
    """AggBBAS minus its rivals, pair by pair, in the order of the gap to MSP."""
    order = sorted(range(len(pairs)), key=gaps_to(pairs, "MSP", "near").__getitem__)
    places = list(range(1, len(order) + 1))
    series = []
    for rival in ("MSP", "KNN", "MDS"):
        gap = gaps_to(pairs, rival, "near")
        series.append(curve(f"minus {rival}", places, [gap[i] for i in order]))
    words = ("AUROC of AggBBAS minus others'", series, "pairs of unknown digits, by the gap to MSP", "gap")
    return Figure("line", *words, note="one network a pair: the table has the means with their intervals")


def _heatmap(runs: Runs, sets: Sequence[str], title: str) -> Figure:
    names = sorted(shared(runs), key=lambda d: -mean_area(runs, d, sets[0]))
    values = [[mean_area(runs, d, name) for name in sets] for d in names]
    return Figure("heatmap", title, [{"rows": names, "columns": list(sets), "values": values}], y_range=(0.5, 1.0))


def summary_of(found: Found) -> str:
    """What the tables say, with what speaks against boxes.

    Args:
        found: the trials.
    """
    pairs = found.pairs
    near = {d: over_pairs(pairs, gaps_to(pairs, d, "near")) for d in shared(pairs)}
    ahead = [d for d, gap in near.items() if d != OURS and gap.value < 0]
    each = gaps_to(pairs, "MSP", "near")
    worst = {d: min(mean_area(pairs, d, s) for s in FAR) for d in shared(pairs)}
    lengths = ", ".join(f"{mean(gaps_to(found.at_length(n), 'MSP', 'near')):+.3f} after {n}" for n in found.lengths)
    some = len(found.at_length(found.main))
    rate = mean_area(pairs, PUBLISHED, "inside", measure="at_rate")
    flagged = [mean_area(pairs, d, "near", measure="at_rate") for d in (PUBLISHED, OURS, "KNN", "RMDS")]
    strict = [mean_area(pairs, d, "near", measure="flagged") for d in (OURS, "MSP", "KNN", "RMDS")]
    text = (
        f"Every detector at the setting that was best on other networks. On two unknown digits, over {len(pairs)} "
        f"pairs, AggBBAS has AUROC {mean_area(pairs, OURS, 'near'):.3f}: "
    )
    text += ", ".join(f"{near[d]:+.3f} against {d}" for d in ("MSP", "KNN", "RMDS", "MDS", SAME_VARIABLES))
    text += f"; ahead of it in the mean are {_list(ahead)}. " if ahead else ". "
    text += (
        f"Which digits are held out moves the gap to MSP from {min(each):+.3f} to {max(each):+.3f}; on {some} of "
        f"the pairs it is {lengths} epochs of training. By a threshold that accepts 95 % of known digits AggBBAS flags "
        f"{strict[0]:.1%} of the unknown ones, MSP {strict[1]:.1%}, KNN {strict[2]:.1%}, RMDS {strict[3]:.1%}. On its "
        f"worst far set AggBBAS keeps {worst[OURS]:.3f}, MDS {worst['MDS']:.3f}, neighbours in the same variables "
        f"{worst[SAME_VARIABLES]:.3f}, RMDS {worst['RMDS']:.3f}, KNN {worst['KNN']:.3f}, MSP {worst['MSP']:.3f}. "
        f"Outside the Box as published flags {flagged[0]:.1%} of the unknown digits at {rate:.1%} false alarms; at the "
        f"same rate AggBBAS flags {flagged[1]:.1%}, KNN {flagged[2]:.1%}, RMDS {flagged[3]:.1%}."
    )
    boxes = found.boxes
    text += (
        f" On boxes_ood, made for boxes, four a class have {boxes.mean('BBAS K=4'):.4f}, the distance to {NEAREST} "
        f"{boxes.mean(NEAREST):.4f}, MDS {boxes.mean('MDS'):.3f}."
    )
    return text + _on_photographs(found)


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _on_photographs(found: Found) -> str:
    if found.photographs is None:
        return " Without its files, nothing was measured on photographs."
    runs, near = found.photographs, photographs.SETS[0]
    gaps = {d: over_trials(gaps_to(runs, d, near)) for d in shared(runs)}
    ahead = [d for d, gap in gaps.items() if d != OURS and gap.value < 0]
    far = {name: mean_area(runs, OURS, name) for name in photographs.FAR}
    return (
        f" On photographs (CIFAR-10 against other classes of ImageNet) AggBBAS has {mean_area(runs, OURS, near):.3f}: "
        + ", ".join(f"{gaps[d]:+.3f} against {d}" for d in ("MSP", "KNN", "RMDS", "MDS") if d in gaps)
        + (f"; ahead of it in the mean are {_list(ahead)}" if ahead else "")
        + f". Its far sets there go from {min(far.values()):.3f} to {max(far.values()):.3f}."
    )
