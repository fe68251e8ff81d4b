"""Graphs: encoding and batching beside torch-geometric, colour kernels beside grakel, prompts beside the published way.

    python benchmarks/run.py graphs

Run by an interpreter that has torch-geometric and grakel beside this package; what is missing is said. CPU seconds of
one thread, ours and the peer's in turn, the least of several; results are compared before anything is timed.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import sparse

from deepwright.graphs import GraphBatch, motif_ood, pack, refine
from deepwright.ood import EdgePrompt, WeightedGIN
from deepwright.ood.dgp.distances import distance
from deepwright.ood.dgp.encoders import FrozenEncoder
from deepwright.ood.dgp.prompting import Passes, Prompting
from deepwright.ood.dgp.prompts import Predictor

Row = dict[str, Any]


def in_turn(ours: Callable[[], object], peer: Callable[[], object], repeats: int = 7) -> tuple[float, float]:
    """CPU seconds of the fastest of several calls of each, called in turn.

    Args:
        ours: to measure.
        peer: to measure.
        repeats: how often.
    """
    best = [float("inf"), float("inf")]
    for _ in range(repeats):
        for i, call in enumerate((ours, peer)):
            begin = time.process_time()
            call()
            best[i] = min(best[i], time.process_time() - begin)
    return best[0], best[1]


def row(what: str, peer: str, seconds: tuple[float, float], note: str = "") -> Row:
    """One line of the table.

    Args:
        what: was measured.
        peer: who else.
        seconds: ours, the peer's.
        note: what else there is to say.
    """
    ours, theirs = seconds
    return {"what": what, "ours_s": ours, "peer": peer, "peer_s": theirs, "ratio": theirs / ours, "note": note}


def encoding(graphs: GraphBatch) -> list[Row]:
    """One pass of a GIN of three layers, and cutting 128 graphs out of all, beside torch-geometric.

    Args:
        graphs: to encode.
    """
    from torch_geometric.data import Batch, Data
    from torch_geometric.nn import GINConv, global_add_pool

    torch.manual_seed(0)
    encoder = WeightedGIN(1).eval()
    layers = [GINConv(mlp) for mlp in encoder.mlps]
    batch, count = graphs.batch, len(graphs)

    def ours() -> torch.Tensor:
        return encoder(graphs.x, graphs.edge_index, batch, None, count)[0]

    def theirs() -> torch.Tensor:
        x, outs = graphs.x, []
        for layer, norm in zip(layers, encoder.norms):
            x = norm(torch.relu(layer(x, graphs.edge_index)))
            outs.append(global_add_pool(x, batch, count))
        return torch.cat(outs, dim=1)

    with torch.no_grad():
        torch.testing.assert_close(ours(), theirs())
        weights = torch.rand(graphs.edge_index.shape[1])
        weighed = in_turn(lambda: encoder(graphs.x, graphs.edge_index, batch, weights, count)[0], theirs)
        rows = [
            row(f"GIN of 3 x 32, {count} graphs", "torch-geometric", in_turn(ours, theirs), "same numbers"),
            row("the same with a weight an edge", "torch-geometric, without", weighed, "its GINConv takes none"),
        ]
    data = [Data(x=g.x, edge_index=g.edge_index) for g in (graphs[[i]] for i in range(count))]
    chosen = torch.randperm(count)[:128]

    def cut() -> GraphBatch:
        return graphs[chosen]

    def collated() -> Any:
        return Batch.from_data_list([data[i] for i in chosen.tolist()])

    assert cut().x.shape == collated().x.shape
    rows.append(row("a batch of 128 of them", "torch-geometric", in_turn(cut, collated)))
    rows.append(
        row(
            f"{count} Data objects packed",
            "torch-geometric",
            in_turn(lambda: pack(data), lambda: Batch.from_data_list(data)),
        )
    )
    return rows


def colours(graphs: GraphBatch) -> list[Row]:
    """The Weisfeiler-Lehman kernel's matrix of three rounds beside grakel.

    Args:
        graphs: the matrix is between all of them.
    """
    from grakel import Graph as Theirs
    from grakel.kernels import VertexHistogram, WeisfeilerLehman

    given = []
    for i in range(len(graphs)):
        one = graphs[[i]]
        given.append(Theirs(set(map(tuple, one.edge_index.T.tolist())), dict.fromkeys(range(len(one.x)), 0)))

    def ours() -> np.ndarray:
        found = refine(graphs, 3)
        _, place = (found ^ torch.arange(4)[:, None]).unique(return_inverse=True)
        width = int(place.max()) + 1
        owner = graphs.batch.expand(4, -1).reshape(-1).numpy()
        entries = (np.ones(len(owner)), (owner, place.reshape(-1).numpy()))
        histograms = sparse.csr_matrix(entries, shape=(len(graphs), width))
        return (histograms @ histograms.T).toarray()

    def theirs() -> np.ndarray:
        return WeisfeilerLehman(n_iter=3, base_graph_kernel=VertexHistogram, normalize=False).fit_transform(given)

    assert np.array_equal(ours(), theirs())
    note = "same matrix; its graphs are made beforehand"
    return [row(f"WL kernel, 3 rounds, {len(graphs)} graphs", "grakel", in_turn(ours, theirs, 3), note)]


def prompting(graphs: GraphBatch) -> list[Row]:
    """An epoch of prompts beside our rewriting of the published way: all passes on their own, a pseudo-inverse a step.

    Args:
        graphs: to train on.
    """
    torch.manual_seed(0)
    frozen = FrozenEncoder(WeightedGIN(1))
    specific, agnostic, predictor = EdgePrompt(96), EdgePrompt(96), Predictor(96, 2)
    model = Prompting(frozen, graphs, specific, agnostic, predictor, 1e-2)
    passes = Passes(0.1, (1e4, 1e4), 1, False)
    batches = torch.arange(len(graphs)).split(128)
    y = graphs.y
    assert y is not None

    def ours() -> None:
        for loss in (passes.by_class, passes.by_distance):
            for rows in batches:
                loss(model, rows, y[rows]).backward()

    def views(part: GraphBatch) -> list[torch.Tensor]:
        h_o, nodes = frozen(part)
        sources, targets = part.edge_index
        found = []
        for prompt in (specific, agnostic):
            pairs = torch.cat([nodes[sources], nodes[targets]], dim=1)
            found.append(frozen(part, torch.sigmoid(prompt.rest(prompt.first(pairs)).squeeze(1)))[0])
        return [h_o, *found]

    def theirs() -> None:
        for by_class in (True, False):
            for rows in batches:
                h_o, h_s, h_a = views(graphs[rows])
                if by_class:
                    loss = (
                        torch.nn.functional.cross_entropy(predictor(h_s), y[rows])
                        + predictor(h_a).log_softmax(1).mean()
                    )
                else:
                    h_o = frozen(graphs[rows])[0]
                    z, std = h_o - h_o.mean(0), h_o.std(0) + 1e-8
                    precision = torch.linalg.pinv(torch.cov((z / std).T) + 1e-6 * torch.eye(96))
                    far = [
                        (((h - h_o.mean(0)) / std @ precision) * ((h - h_o.mean(0)) / std)).sum(1).mean()
                        for h in (h_s, h_a)
                    ]
                    loss = 1e4 / far[0] + 1e4 / far[1]
                loss.backward()

    rows = [row("an epoch of prompts, 300 graphs", "the published way, rewritten", in_turn(ours, theirs, 5))]
    embedded = model.embedded.double()
    far = in_turn(lambda: distance(embedded, model.mean, model.white), lambda: _by_inverse(embedded))
    return [*rows, row("distances of 300 embeddings", "a pseudo-inverse each time", far)]


def _by_inverse(h: torch.Tensor) -> torch.Tensor:
    z = (h - h.mean(0)) / (h.std(0) + 1e-8)
    precision = torch.linalg.pinv(torch.cov(z.T) + 1e-2 * torch.eye(h.shape[1], dtype=h.dtype))
    return ((z @ precision) * z).sum(1)


def growth(graphs: GraphBatch) -> list[Row]:
    """The same graphs with each edge twice: seconds over those of each edge once.

    Args:
        graphs: any.
    """
    encoder = WeightedGIN(1).eval()
    edges = graphs.edge_index.repeat_interleave(2, dim=1)
    twice = replace(graphs, edge_index=edges, edge_ptr=2 * graphs.edge_ptr, edge_order=torch.arange(edges.shape[1]))
    with torch.no_grad():
        once, doubled = in_turn(
            lambda: encoder(graphs.x, graphs.edge_index, graphs.batch, None, len(graphs)),
            lambda: encoder(twice.x, twice.edge_index, twice.batch, None, len(twice)),
        )
    return [row("GIN, each edge once", "each edge twice", (once, doubled), "at most 2.2 is linear")]


def run() -> list[Row]:
    """All parts, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    drawn = motif_ood(0, 300)
    graphs, train = drawn.train, motif_ood(0, 150).train
    rows: list[Row] = []
    for package, part in (("torch_geometric", encoding), ("grakel", colours)):
        if importlib.util.find_spec(package) is None:
            print(f"{package} isn't there")
        else:
            rows += part(graphs)
    rows += [*prompting(train), *growth(graphs)]
    torch.set_num_threads(threads)
    return rows
