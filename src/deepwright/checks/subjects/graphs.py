"""Graphs under audit: samples are numbers of graphs that the network holds, and statistics are known beside them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.devices import dtype_of
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.data import Data, Split
from deepwright.graphs import STATISTICS, GraphBatch, join, pack, refine, rewire, statistics
from deepwright.ood import LinearHead, embed

_TOLD = 2  # graphs by which it is told what a network gives


class GraphNetwork(nn.Module):
    """A network of graphs that takes their numbers, one a row, and gives logits.

    Args:
        network: called as network(x, edge_index, batch), with num_graphs=G where it takes that; gives logits, a row a
            graph, or (embeddings of graphs, embeddings of nodes) where there is a head.
        graphs: all that it can be asked about.
        head: logits of embeddings of graphs.
    """

    scores_only = True  # of a number there is no gradient

    def __init__(self, network: nn.Module, graphs: GraphBatch, head: nn.Module | None = None) -> None:
        super().__init__()
        self.network, self.head = network, head
        for name in ("x", "edge_index", "node_ptr", "edge_ptr", "edge_order"):
            self.register_buffer(f"graph_{name}", getattr(graphs, name), persistent=False)
        self._counted = _takes_count(network)

    @property
    def graphs(self) -> GraphBatch:
        """All that it can be asked about, where the network lives."""
        names = ("x", "edge_index", "node_ptr", "edge_ptr", "edge_order")
        found: dict[str, Any] = {name: self.get_buffer(f"graph_{name}") for name in names}
        return GraphBatch(**found)

    @property
    def encoder(self) -> nn.Module | None:
        """What gives embeddings of graphs and nodes and takes weights of edges; None where nothing does."""
        candidates = [self.network, getattr(self.network, "encoder", None)]
        return next((c for c in candidates if isinstance(c, nn.Module) and is_encoder(c, self.graphs)), None)

    def forward(self, numbers: Int64[Tensor, "n 1"]) -> Float[Tensor, "n classes"]:
        """Logits.

        Args:
            numbers: of the graphs.
        """
        out = ask(self.network, self.graphs[numbers.long().reshape(-1)], self._counted)
        return out if self.head is None else self.head(out[0])


class OnStatistics(nn.Module):
    """A classifier of statistics that takes the numbers of graphs.

    Args:
        classifier: takes rows of log(1 + statistic).
        table: those of all graphs.
    """

    def __init__(self, classifier: nn.Module, table: Float[Tensor, "graphs 5"]) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("table", table)

    def forward(self, numbers: Int64[Tensor, "n 1"]) -> Float[Tensor, "n classes"]:
        """Its answers.

        Args:
            numbers: of the graphs.
        """
        return self.classifier(self.get_buffer("table")[numbers.reshape(-1)])


def ask(network: nn.Module, graphs: GraphBatch, counted: bool | None = None) -> Any:
    """What a network gives for graphs, all in one pass.

    Args:
        network: see `GraphNetwork`.
        graphs: where it lives.
        counted: whether it takes num_graphs; found out by default.
    """
    known = {"num_graphs": len(graphs)} if (_takes_count(network) if counted is None else counted) else {}
    return network(graphs.x.to(dtype_of(network, graphs.x.dtype)), graphs.edge_index, graphs.batch, **known)


def is_encoder(network: nn.Module, graphs: GraphBatch) -> bool:
    """Whether a network takes edge weights, by which its answers change, and gives (graphs, nodes) embeddings.

    Args:
        network: any.
        graphs: at least one, where it lives.
    """
    few = graphs[graphs.edges.argsort(descending=True)[:_TOLD]]  # of no edge nothing is told
    x = few.x.to(dtype_of(network, few.x.dtype))
    draws = torch.rand(few.edge_index.shape[1], generator=torch.Generator().manual_seed(0)).to(x)
    with evaluating(network), torch.no_grad():
        try:  # uneven ones: halves are no change where weights are taken in proportion
            plain, other = (
                network(x, few.edge_index, few.batch, edge_weight=w, num_graphs=len(few))
                for w in (torch.ones_like(draws), draws)
            )
        except (TypeError, ValueError, RuntimeError):  # it takes other words
            return False
    return _is_pair(plain, few) and (not len(draws) or not torch.equal(plain[0], other[0]))


def _is_pair(out: Any, graphs: GraphBatch) -> bool:
    """Whether these are embeddings of graphs and of their nodes."""
    if not isinstance(out, tuple) or len(out) != 2 or not all(isinstance(o, Tensor) and o.ndim == 2 for o in out):
        return False
    return [len(o) for o in out] == [len(graphs), len(graphs.x)]


def graph_data(
    graphs: Any,
    parts: Mapping[str, Tensor],
    foreign: Mapping[str, Any],
    name: str,
    notes: tuple[str, ...] = (),
    seed: int = 0,
) -> tuple[Data, GraphBatch]:
    """Graphs as data: splits of numbers with statistics beside them, and the graphs that the numbers are of.

    Two foreign sets are made of the test graphs: 30 % of each one's edges elsewhere ("near rewired edges") and all of
    them ("far random edges"); numbers of nodes and edges stay.

    Args:
        graphs: anything that `graphs.pack` takes, labelled.
        parts: the graphs of "train", "validation" and "test".
        foreign: sets of the user's that belong to no class, by name.
        name: of the data.
        notes: for the report.
        seed: of what is rewired.

    Raises:
        InputError: no labels, other widths of node features.
    """
    packed = pack(graphs)
    if packed.y is None:
        raise InputError("graphs", given="no labels", expected="one a graph, which a classifier is measured by")
    test = packed[parts["test"]].labelled(None)
    others = {key: pack(each).labelled(None) for key, each in foreign.items()}
    others |= {"near rewired edges": rewire(test, 0.3, seed), "far random edges": rewire(test, 1.0, seed)}
    for key, each in others.items():
        if each.x.shape[1] != packed.x.shape[1]:
            given = f"node features of width {each.x.shape[1]}"
            raise InputError(f"graphs of {key}", given=given, expected=f"{packed.x.shape[1]}, as the others")
    table = dict(zip(STATISTICS, statistics(packed).T.numpy()))
    splits = {
        part: Split(rows[:, None], packed.y[rows], {key: values[rows.numpy()] for key, values in table.items()})
        for part, rows in parts.items()
    }
    numbers, begin = dict[str, Tensor](), len(packed)
    for key, each in others.items():
        numbers[key] = torch.arange(begin, begin + len(each))[:, None]
        begin += len(each)
    classes = packed.classes or tuple(map(str, range(int(packed.y.max()) + 1)))
    data = Data(name, "graphs", classes, splits["train"], splits["validation"], splits["test"], numbers, notes=notes)
    return data, join([packed.labelled(None), *others.values()])


def graph_network(network: nn.Module, graphs: GraphBatch, data: Data) -> tuple[GraphNetwork, str]:
    """A network of graphs as one of their numbers; an encoder gets a linear head of the training graphs.

    Args:
        network: a classifier or an encoder; see `GraphNetwork`.
        graphs: of `graph_data`.
        data: of `graph_data`.

    Returns:
        it, and what is to be told about it.

    Raises:
        InputError: outputs of another form, an encoder without training graphs.
    """
    few = graphs[:_TOLD].to(next((p.device for p in network.parameters()), graphs.device))
    with evaluating(network), torch.no_grad():
        try:
            out = ask(network, few)
        except TypeError as error:
            hint = "network(x, edge_index, batch) or with num_graphs=G beside them"
            raise InputError("network of graphs", given=str(error), expected="one of graphs", hint=hint) from error
    if isinstance(out, Tensor) and out.ndim == 2 and len(out) == len(few):
        return GraphNetwork(network, graphs), ""
    if not _is_pair(out, few):
        each = out if isinstance(out, tuple) else (out,)
        given = ", ".join(f"shape {tuple(o.shape)}" if isinstance(o, Tensor) else type(o).__name__ for o in each)
        expected = f"logits ({len(few)}, classes), or embeddings of {len(few)} graphs and of {len(few.x)} nodes"
        raise InputError("outputs of the network", given=given, expected=expected)
    train = data.train
    if not len(train):
        hint = "leave --split test out, or give a network with a head"
        raise InputError("encoder", given="no training graphs", expected="some, for a head", hint=hint)
    missing = sorted(set(data.test.y.tolist()) - set(train.y.tolist()))
    if missing:
        given = f"no training graphs of class {data.classes[missing[0]]!r}"
        raise InputError("encoder", given=given, expected="some of each class that is measured, for a head")
    h = embed(network, graphs[train.x.flatten()])
    head = LinearHead(h, train.y.to(h.device), len(data.classes))
    note = f"the network gives embeddings: a linear head, fitted on {len(train)} training graphs, makes logits of them"
    return GraphNetwork(network, graphs, head.to(few.device)), note


def all_statistics(graphs: GraphBatch) -> Float[Tensor, "graphs 5"]:
    """log(1 + statistic) of each graph, as simple methods see it.

    Args:
        graphs: any.
    """
    return statistics(graphs).log1p().float()


def statistics_rows(split: Split) -> Split:
    """A split of graphs as rows of log(1 + statistic).

    Args:
        split: of numbers, statistics beside them.
    """
    columns = [torch.as_tensor(split.columns[name]).log1p() for name in STATISTICS]
    return Split(torch.stack(columns, dim=1).float(), split.y)


def as_statistics(data: Data) -> Data:
    """A data set of graphs as a table of statistics.

    Args:
        data: of kind "graphs".
    """
    parts: dict[str, Any] = {part: statistics_rows(getattr(data, part)) for part in ("train", "validation", "test")}
    return replace(data, kind="tabular", ood={}, **parts)


def graph_colours(graphs: GraphBatch) -> Float[Tensor, "graphs 6"]:
    """Rows that are equal where graphs have equal nodes, edges and Weisfeiler-Lehman colours: of one graph they are.

    Colours start from the node features and are refined four times; the sum of those of a graph's nodes is given in
    four parts, since a float doesn't hold it.

    Args:
        graphs: any.
    """
    turn = torch.arange(1, graphs.x.shape[1] + 1, device=graphs.device, dtype=torch.float64).sin()
    colours = refine(graphs, 4, (graphs.x.double() @ turn).view(torch.int64))[-1]
    total = torch.zeros(len(graphs), dtype=torch.int64, device=graphs.device).index_add(0, graphs.batch, colours)
    parts = torch.stack([(total >> shift) & 0xFFFF for shift in (0, 16, 32, 48)], dim=1)
    return torch.cat([parts, graphs.nodes[:, None], graphs.edges[:, None]], dim=1).double()


def _takes_count(network: nn.Module) -> bool:
    known = inspect.signature(network.forward).parameters
    return "num_graphs" in known or any(p.kind is p.VAR_KEYWORD for p in known.values())
