"""Tables, figures and the sentence on top."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Arm, Figure, Table
from deepwright.core.statistics import most_conformal_alarms
from deepwright.studies._frame import Runs, banded, columns, ends
from deepwright.studies.semantic.claims import PHOTOGRAPHS, PROMISED, TOLD, WHO_KNOWS, area, knowing
from deepwright.studies.semantic.detectors import JOINT, MADE, OURS, RATE, SQUEEZING
from deepwright.studies.semantic.trials import FITTED, KNOWING, STEPS

LIMITS = (
    "Road scenes are drawn, not filmed, and their network is small; CIFAR-10 has one network, so its intervals speak "
    "of images alone. No Cityscapes, no ImageNet, no ResNet-18 or ResNet-50, and no video.",
    "One budget on each data set, L-inf alone, and frames that are attacked as a whole: no patches.",
    "Detectors stand at their default settings; nothing was selected, and each might gain from it. Local dimension and "
    "class distances are published with weights learnt from attacked images: here layers count alike.",
    "An attacker who knows the detector was given forty steps: more find more. Where it is seen, that shows nothing.",
    "The paper could be read in its abstract only: what is called image features is the house's own reading of it.",
)
_SCENES, _PHOTOS = ("PGD", "SegPGD", "sign noise"), ("PGD", "PGD, margin", "sign noise")


def tables_of(scenes: Runs, drawn: Runs | None) -> list[Table]:
    """The main table first: who knows the detector wins.

    Args:
        scenes: trials on road scenes.
        drawn: on photographs, or None.
    """
    tables = [
        _who_knows(
            scenes, f"{WHO_KNOWS}: road scenes, {KNOWING} steps, eps 4/255; share of its images that alarm", "mIoU"
        ),
        *_told(scenes, _SCENES, f"{TOLD}: road scenes, {STEPS} steps, eps 4/255"),
        _quality(scenes, "miou", "mIoU of the network on road scenes"),
        _promised(scenes, f"{PROMISED}: road scenes"),
        _learnt(scenes, "Weights learnt from attacked road scenes: AUROC, an upper bound where the attack is known"),
    ]
    if drawn is not None:
        tables += [
            _who_knows(
                drawn,
                f"{PHOTOGRAPHS}, who knows the detector: {KNOWING} steps, eps 8/255; share that alarms",
                "accuracy",
            ),
            *_told(drawn, _PHOTOS, f"{PHOTOGRAPHS}, attacks that know nothing of detectors: {STEPS} steps, eps 8/255"),
            _quality(drawn, "accuracy", f"{PHOTOGRAPHS}, accuracy of ResNet-20"),
            _promised(drawn, f"{PHOTOGRAPHS}, false alarms"),
            _learnt(drawn, f"{PHOTOGRAPHS}, weights learnt from attacked images: AUROC"),
        ]
    return tables


def _cells(runs: Runs, read: Any) -> list[Any]:
    found = runs.interval(read)
    return [found.value, *ends(found)]


def _who_knows(runs: Runs, caption: str, quality: str) -> Table:
    rows: list[list[Any]] = []
    for attack in runs[0]["adaptive"]:
        cells = [cell for d in (OURS, SQUEEZING, JOINT) for cell in _cells(runs, knowing(attack, d))]
        rows.append([attack, *_cells(runs, knowing(attack, "", "quality")), *cells])
    names = columns(quality, f"{OURS} alarm", f"{SQUEEZING} alarms", "both alarm")
    watched = runs[0]["sizes"]["watched"]
    return Table(["the attacker knows", *names], rows, f"{caption}; {watched} images a seed, {len(runs)} seeds")


def _told(runs: Runs, attacks: tuple[str, ...], caption: str) -> list[Table]:
    """AUROC, and what alarms, of every detector."""
    tables = []
    for what, words in (("auroc", "AUROC"), ("alarmed", "share that alarms at a rate of 5 %")):
        rows: list[list[Any]] = []
        for detector in MADE:
            rows.append([detector, *(cell for a in attacks for cell in _cells(runs, area(detector, a, what)))])
        rows.sort(key=lambda row: -row[1])
        tables.append(Table(["detector", *columns(*attacks)], rows, f"{caption}; {words}, {len(runs)} seeds"))
    return tables


def _quality(runs: Runs, key: str, caption: str) -> Table:
    rows: list[list[Any]] = [[name, *_cells(runs, lambda row, name=name: row[key][name])] for name in runs[0][key]]
    return Table(["images", *columns("value")], rows, caption)


def _promised(runs: Runs, caption: str) -> Table:
    n, b = (runs[0]["sizes"][key] for key in ("clean", "calibrated"))
    most = most_conformal_alarms(b, n, RATE)
    rows: list[list[Any]] = []
    for detector in MADE:
        found = runs.values(lambda row, d=detector: row["detectors"][d]["false alarms"])
        rows.append([detector, *_cells(runs, lambda row, d=detector: row["detectors"][d]["false alarms"]), max(found)])
    text = (
        f"{caption}, calibrated on {b} at 5 %, among {n} clean images: by chance at most {most / n:.3f} of them (99 %)"
    )
    return Table(["detector", *columns("share that alarms"), "worst seed"], rows, text)


def _learnt(runs: Runs, caption: str) -> Table:
    rows: list[list[Any]] = [
        [name, *_cells(runs, lambda row, name=name: row["supervised"][name])] for name in runs[0]["supervised"]
    ]
    return Table(["learnt from", *columns("AUROC")], rows, caption)


def figures_of(scenes: Runs, drawn: Runs | None) -> list[Figure]:
    """What alarms, by who knows what; and how well attacks are told that know nothing.

    Args:
        scenes: trials on road scenes.
        drawn: on photographs, or None.
    """
    figures = []
    for runs, where in ((scenes, "road scenes"), (drawn, "CIFAR-10")):
        if runs is None:
            continue
        knows = ["nobody", OURS, SQUEEZING, JOINT]
        series = [
            banded(d, [f"knows {k}" for k in knows], [runs.values(knowing(k, d)) for k in knows])
            for d in (OURS, SQUEEZING, JOINT)
        ]
        note = "" if len(runs) > 1 else "one seed: no intervals"
        title = f"Share that is seen, by what the attacker knows: {where}"
        figures.append(
            Figure("bar", title, series, y_label="share of attacked images that alarm", y_range=(0, 1), note=note)
        )
    attacks = list(_SCENES)
    shown = (OURS, "dense features", "margin", SQUEEZING, "neighbours in features")
    series = [banded(d, attacks, [scenes.values(area(d, a)) for a in attacks]) for d in shown]
    note = "road scenes; 0.5 is chance" if len(scenes) > 1 else "one seed: no intervals; 0.5 is chance"
    figures.append(Figure("bar", "Attacks that know nothing of detectors", series, y_label="AUROC", note=note))
    return figures


def arms_of(drawn: Runs | None) -> list[Arm]:
    """Every detector, at its default setting.

    Args:
        drawn: trials on photographs, or None.
    """
    groups = ["road scenes"] if drawn is None else ["road scenes", "CIFAR-10"]
    budget = f"one fit on {FITTED} clean images"
    return [
        Arm(name, "default setting, nothing selected", budget=budget, group=group) for group in groups for name in MADE
    ]


def summary_of(scenes: Runs, drawn: Runs | None) -> str:
    """The sentence on top: who knows the detector first.

    Args:
        scenes: trials on road scenes.
        drawn: on photographs, or None.
    """
    words = [_evaded(scenes, "road scenes", "mIoU")]
    if drawn is not None:
        words.append(_evaded(drawn, "CIFAR-10", "accuracy"))
    told = scenes.mean(area(OURS, "PGD"))
    squeezed, noise = scenes.mean(area(SQUEEZING, "PGD")), scenes.mean(area(OURS, "sign noise"))
    words.append(
        f"Against PGD that knows nothing of detectors, image features have an AUROC of {told:.3f} on road scenes "
        f"(feature squeezing {squeezed:.3f}, at three passes instead of one) and {noise:.3f} on noise of the same size"
    )
    return ". ".join(words) + "."


def _evaded(runs: Runs, where: str, quality: str) -> str:
    before, after = runs.mean(knowing("nobody", OURS)), runs.mean(knowing(OURS, OURS))
    plain, quiet = runs.mean(knowing("nobody", "", "quality")), runs.mean(knowing(OURS, "", "quality"))
    both, squeezed = runs.mean(knowing(JOINT, JOINT)), runs.mean(knowing(SQUEEZING, SQUEEZING))
    held = min(after, squeezed, both) >= 0.5
    verdict = (
        "an attacker who knows the detector is seen in half of its images or more"
        if held
        else ("no detector is to be relied on against an attacker who knows it")
    )
    return (
        f"On {where} {verdict}: image features alarm on {before:.1%} of plain PGD's images and on {after:.1%} of those "
        f"of an attacker who knows them, at {quality} {plain:.3f} and {quiet:.3f}; feature squeezing alarms on "
        f"{squeezed:.1%} of those of one who knows it, and both together, attacked together, on {both:.1%}"
    )
