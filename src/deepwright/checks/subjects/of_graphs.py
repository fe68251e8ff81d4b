"""A network of graphs, and graphs, as a subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.checks.subjects.graphs import graph_data, graph_network
from deepwright.checks.subjects.subject import Subject
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.tasks import GraphClassification
from deepwright.data import FOR_MEASURING, one_piece
from deepwright.data.dataset import limit_note, stratified_order
from deepwright.graphs import GraphBatch, join, pack


def graph_subject(
    network: nn.Module,
    test: Any,
    *,
    train: Any = None,
    validation: Any = None,
    ood: Mapping[str, Any] | None = None,
    name: str = "network of graphs",
    data_name: str = "graphs",
    outputs: str = "auto",
    split: str | None = None,
    limit: int | None = None,
    train_limit: int | None = None,
    seed: int = 0,
) -> Subject:
    """A classifier or an encoder of graphs, for `audit`.

    The network is called as network(x, edge_index, batch), with num_graphs=G where it takes that, and gives logits, or
    (embeddings of graphs, embeddings of nodes): then a linear head is fitted on the training graphs. Prompts (DGP)
    need an encoder that takes edge_weight too: the network itself, or its attribute `encoder`.

    Args:
        network: of graphs.
        test: labelled graphs, anything that `graphs.pack` takes; without `train` they are divided: a fifth fits
            detectors and baselines, a tenth temperatures, the rest is measured.
        train: graphs to fit detectors, baselines and heads on.
        validation: graphs to fit temperatures on.
        ood: sets of graphs that belong to no class, by name.
        name: of the network.
        data_name: of the graphs.
        outputs: what the columns are; see `GraphClassification`.
        split: "test" measures all of the graphs that come in one piece.
        limit: at most so many test graphs.
        train_limit: at most so many training graphs.
        seed: of every draw.

    Raises:
        InputError: graphs without labels, outputs of another form.
    """
    packed, parts, notes = _parts(test, train, validation, split, seed)
    notes = (*notes, *limit_note(packed.y[parts["test"]] if packed.y is not None else [], limit, seed))
    for part, most in (("train", train_limit), ("validation", limit), ("test", limit)):
        if most is not None and packed.y is not None:
            order = stratified_order(packed.y[parts[part]], seed)[:most].sort().values
            parts[part] = parts[part][order]
    data, graphs = graph_data(packed, parts, ood or {}, data_name, notes, seed)
    model, note = graph_network(network, graphs.to(device_of(network)), data)
    data = replace(data, notes=(*data.notes, note)) if note else data
    task = GraphClassification(len(data.classes), data.classes, outputs)
    return Subject(model, data, name, 250, seed, task=task)


def _parts(
    test: Any, train: Any, validation: Any, split: str | None, seed: int
) -> tuple[GraphBatch, dict[str, Tensor], tuple[str, ...]]:
    """All graphs, the numbers of each part's, and what is to be told about them."""
    packed = pack(test)
    if train is None and validation is None:
        if packed.y is None:
            raise InputError("graphs", given="no labels", expected="one a graph, which a classifier is measured by")
        found, note = one_piece(packed.y, FOR_MEASURING, split, seed)
        return packed, found, (note,)
    if split is not None:
        raise InputError("split", given=f"{split!r} beside training graphs", expected="none: there are parts")
    given = [("train", train), ("validation", validation), ("test", packed)]
    every = {part: pack(each) for part, each in given if each is not None}
    ends = {part: len(each) for part, each in every.items()}
    rows, begin = {}, 0
    for part in ("train", "validation", "test"):
        rows[part] = torch.arange(begin, begin + ends.get(part, 0))
        begin += ends.get(part, 0)
    return join(list(every.values())), rows, ()
