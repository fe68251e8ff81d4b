"""Foreign graphs: the network's own confidence, distances of embeddings, prompts, and what statistics alone tell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor

from deepwright.checks.findings.finding import Finding
from deepwright.checks.foreign_areas import (
    area,
    areas_figure,
    areas_table,
    graded_areas,
    judged_sets,
    mean_area,
)
from deepwright.checks.subjects.graphs import GraphNetwork
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import InputError
from deepwright.core.features import extract
from deepwright.core.statistics import Interval
from deepwright.graphs import GraphBatch
from deepwright.ood import DGP, KNN, SSD, DetectorSuite, FiveStatistics, LinearHead, WeisfeilerLehman, embed

_FIT_LIMIT = 1000  # training graphs
_EPOCHS = 15  # of the prompts: seconds
CONFIDENCE, TRIVIAL, COLOURS = "own confidence", "five statistics", "WL + OCSVM"
_NO_NETWORK = (TRIVIAL, COLOURS)
_BY_COST = (*_NO_NETWORK, "SSD", "KNN", "DGP")
_USEFUL, _BETTER = 0.7, 0.02


def foreign_graphs(subject: Subject) -> Finding:
    """What tells foreign graphs: confidence, which is graded, detectors of embeddings, and trivial rivals beside them.

    Distances (SSD, KNN) look at the embeddings of graphs; prompts (DGP) need an encoder that takes weights of edges
    and a training of seconds. Five statistics of a graph and Weisfeiler-Lehman colours look at no network: what they
    tell as well is no merit of a detector.

    Args:
        subject: of graphs.
    """
    model = cast(GraphNetwork, subject.model)
    known = subject.data.test.take(2 * subject.ood_limit, subject.seed)
    sets = {"": known.inputs(), **subject.ood}
    skipped = dict[str, str]()
    scores = {CONFIDENCE: _confidence(subject, sets)}
    scores |= _of_embeddings(subject, model, sets, skipped)
    scores |= _of_graphs(subject, model, sets, skipped)
    areas = {name: {key: area(found[""], found[key]) for key in sets if key} for name, found in scores.items()}
    return _finding(subject, areas, skipped)


def _confidence(subject: Subject, sets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The most probable class's probability, negative."""

    def of(numbers: Tensor) -> Tensor:
        out = subject.read(numbers.split(subject.batch_size))
        logits = subject.task.class_logits(out)
        return -cast(Tensor, logits).double().softmax(1).amax(1).cpu()

    return {key: of(numbers) for key, numbers in sets.items()}


def _of_embeddings(
    subject: Subject, model: GraphNetwork, sets: Mapping[str, Tensor], skipped: dict[str, str]
) -> dict[str, dict[str, Tensor]]:
    """SSD and KNN of what the encoder gives, or of what enters the last linear layer where nothing encodes."""
    train = subject.data.train.take(_FIT_LIMIT, subject.seed)
    encoder = model.encoder
    if encoder is not None:
        rows = {key: embed(encoder, model.graphs[numbers.flatten()]).cpu().float() for key, numbers in sets.items()}
        fitted = embed(encoder, model.graphs[train.x.flatten()]).cpu().float()
    else:
        found = {key: _features(subject, numbers) for key, numbers in {**sets, "train": train.inputs()}.items()}
        if any(h is None for h in found.values()):
            skipped |= dict.fromkeys(("SSD", "KNN"), "no layer of the network is seen that has a row a graph")
            return {}
        rows = {key: cast(Tensor, h) for key, h in found.items()}
        fitted = rows.pop("train")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rest on the ridge.*")
        distance = SSD().fit(fitted)
    head = LinearHead(fitted, train.y, subject.classes)
    nearest = DetectorSuite(head, {"KNN": KNN(5, "deviation")}).fit([(fitted, train.y)])
    return {
        "SSD": {key: distance.score(h).cpu() for key, h in rows.items()},
        "KNN": {key: nearest.score([h])["KNN"].cpu() for key, h in rows.items()},
    }


def _features(subject: Subject, numbers: Tensor) -> Tensor | None:
    found = extract(subject.model, numbers.split(subject.batch_size), (), task=subject.task).features
    return None if found is None or len(found) != len(numbers) else found.cpu().float()


def _of_graphs(
    subject: Subject, model: GraphNetwork, sets: Mapping[str, Tensor], skipped: dict[str, str]
) -> dict[str, dict[str, Tensor]]:
    """Prompts, statistics and colours, which take graphs."""
    rows = subject.data.train.take(_FIT_LIMIT, subject.seed)
    labels = rows.y
    train = model.graphs[rows.x.flatten()]
    several = int(model.graphs.x.unique(dim=0).shape[0]) > 1
    made: dict[str, Any] = {
        TRIVIAL: FiveStatistics(log=True),
        COLOURS: WeisfeilerLehman(features=several),
    }
    if model.encoder is None:
        skipped["DGP"] = "nothing of the network takes weights of edges and gives embeddings of graphs and nodes"
    elif len(labels.unique()) < 2:
        skipped["DGP"] = "the training graphs are of one class"
    else:
        made["DGP"] = DGP(model.encoder, subject.classes, epochs=_EPOCHS, seed=subject.seed)
    graphs = {key: model.graphs[numbers.flatten()] for key, numbers in sets.items()}
    found = {}
    for name, detector in made.items():
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*rest on the ridge.*")
                detector.fit(train.labelled(labels))
            found[name] = _scored(detector, graphs)
        except InputError as error:
            skipped[name] = str(error)
    return found


def _scored(detector: Any, graphs: Mapping[str, GraphBatch]) -> dict[str, Tensor]:
    return {key: detector.score(each).cpu() for key, each in graphs.items()}


def _finding(subject: Subject, areas: dict[str, dict[str, Interval]], skipped: dict[str, str]) -> Finding:
    judged = judged_sets(subject)
    own = areas[CONFIDENCE]
    mean, worst = mean_area(own, judged), min((own[s] for s in judged), key=lambda a: a.value)
    found, rule = graded_areas(subject, mean, worst)
    means = {name: mean_area(each, judged) for name, each in areas.items()}
    best = max((n for n in means if n not in (CONFIDENCE,)), key=lambda n: means[n].value)
    values: dict[str, Any] = {"auroc_worst": worst, "auroc_mean": mean}
    values |= {f"auroc_{name.replace(' + ', '_').replace(' ', '_')}_mean": means[name] for name in means}
    named = {"near rewired edges", "far random edges"} & set(own)
    made = f" Made here of the test graphs: {', '.join(sorted(named))}." if named else ""
    return Finding(
        check="ood",
        grade=found.grade,
        summary=f"By its confidence alone the network tells foreign graphs from its own test graphs with a mean AUROC "
        f"of {mean.value:.3f} (0.5 is chance); {best} does best: {means[best].value:.3f}. Five statistics of a graph, "
        f"which look at no network, reach {means[TRIVIAL].value:.3f}.{made}",
        values=values,
        higher_is_better=tuple(values),
        rule=rule,
        remedy=_remedy(means),
        tables=[areas_table(areas, judged, skipped)],
        figures=[areas_figure(areas, subject.ood)],
        could_be=found.could_be,
        graded_by=("auroc_worst", "auroc_mean"),
        conditions={"foreign sets": list(subject.ood), "judged": judged},
    )


def _remedy(means: Mapping[str, Interval]) -> str:
    """The cheapest that is as good as the best: what looks at no network first, what trains last."""
    own = means[CONFIDENCE]
    best = max(each.value for each in means.values())
    name = next(n for n in (CONFIDENCE, *_BY_COST) if n in means and means[n].value >= best - _BETTER)
    top = means[name]
    if name == CONFIDENCE or top.low < _USEFUL:
        return "No detector of the house is clearly better here than the network's own confidence."
    if name in _NO_NETWORK:
        return (
            "These sets are told by statistics or colours of the graph alone: guard by those (ood.FiveStatistics, "
            "ood.WeisfeilerLehman), and try foreign graphs of your own (--ood)."
        )
    made = {"SSD": "ood.SSD(encoder)", "DGP": "ood.DGP(encoder, num_classes)"}.get(name, "ood.GraphSuite(encoder, ...)")
    return (
        f"Put {name} beside the network ({made}, fitted on its training graphs, threshold from held-out ones): on "
        f"these sets the mean AUROC is {top.value:.3f} against {own.value:.3f}. Check it on foreign graphs of your own."
    )
