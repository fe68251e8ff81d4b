"""Calls of the room of graphs, and of the detectors of foreign graphs."""

import torch

from deepwright.graphs import (
    Graph,
    GraphBatch,
    degrees,
    ego_graphs,
    from_union,
    join,
    motif_ood,
    pack,
    pass_messages,
    refine,
    rewire,
    scatter_mean,
    scatter_sum,
    statistics,
    structural_encoding,
)
from deepwright.ood import (
    AAGOD,
    DGP,
    GOODD,
    KNN,
    SSD,
    FiveStatistics,
    GraphSuite,
    WeightedGIN,
    WeisfeilerLehman,
    embed,
    pretrain_graphcl,
    pretrain_simgrace,
)
from entries import Entry


def drawn(device, n=15):
    return motif_ood(0, n).train.to(device)


def gin(device, width=8):
    torch.manual_seed(0)
    return WeightedGIN(1, width, 2).to(device)


def parts(graphs: GraphBatch):
    return [graphs.x, graphs.edge_index, graphs.node_ptr, graphs.edge_ptr, graphs.edge_order, graphs.y]


def batches(device):
    graphs = drawn(device)
    plain = [Graph(one.edge_index, one.x, y=0) for one in (graphs[[i]] for i in range(3))]
    union = from_union(graphs.x, graphs.edge_index, graphs.batch, len(graphs), graphs.y)
    return [parts(g) for g in (graphs[[3, 1]], graphs[graphs.y == 1], join([graphs, graphs]), pack(plain), union)]


def messages(device):
    graphs = drawn(device)
    sums = pass_messages(graphs.x, graphs.edge_index)
    rows = len(graphs)
    return sums, scatter_sum(sums, graphs.batch, rows), scatter_mean(sums, graphs.batch, rows), graphs.pooled(sums)


def measures(device):
    graphs = drawn(device)
    encoding = structural_encoding(graphs.edge_index, len(graphs.x), 4, 4)
    return (
        statistics(graphs),
        refine(graphs, 2),
        encoding,
        degrees(graphs.edge_index, len(graphs.x)),
        parts(rewire(graphs[:3], 0.3)),
    )


def detected(make):
    def call(device):
        graphs = drawn(device)
        guard = make(gin(device)).fit(graphs[4:]).calibrate_on(graphs[:4], 0.5)
        return {
            "scores": guard.score(graphs[:5]),
            "flags": guard.predict(graphs[:5]),
            "p": guard.pvalues(graphs[:5]),
            "classes": guard.classes_of(graphs[:5]),
        }

    return call


def prompted(device):
    graphs = drawn(device)
    guard = DGP(gin(device), 2, epochs=0).fit(graphs)
    return guard.views(graphs[:3]), guard.components(graphs[:3]), guard.edge_weights(graphs[:3])


def elsewhere(device):
    """Graphs on the CPU, the encoder on the device: scores where the graphs are."""
    graphs = motif_ood(0, 15).train
    return SSD(gin(device)).fit(graphs).score(graphs[:5]), embed(gin(device), graphs)


def around(device):
    found = ego_graphs(drawn(device)[:3], [2, 5, 1], radius=2, y=[0, 1, 0], mark=True)
    return found.x, found.edge_index, found.batch, found.y


def suite(device):
    graphs = drawn(device)
    return GraphSuite(gin(device), 2, [KNN(3)]).fit(graphs).score(graphs[:5])


def pretrained(pretrain):
    def call(device):
        return pretrain(gin(device), drawn(device), epochs=1, batch_size=16)

    return call


ENTRIES = [
    Entry("graphs.GraphBatch", batches),
    Entry("graphs.pass_messages", messages),
    Entry("graphs.statistics", measures),
    Entry("graphs.ego_graphs", around),
    Entry("ood.SSD", detected(SSD)),
    Entry("ood.SSD, encoder elsewhere", elsewhere, returns="cpu"),
    Entry("ood.FiveStatistics", detected(lambda encoder: FiveStatistics())),
    Entry("ood.WeisfeilerLehman", detected(lambda encoder: WeisfeilerLehman()), tolerance=1e-3),
    Entry("ood.DGP", detected(lambda encoder: DGP(encoder, 2, epochs=1)), random=True, tolerance=1e-2),
    Entry("ood.DGP, its views", prompted),
    Entry("ood.AAGOD", detected(lambda encoder: AAGOD(encoder, epochs=1)), random=True, tolerance=1e-2),
    Entry("ood.GOODD", detected(lambda encoder: GOODD(8, 2, groups=2, epochs=1)), random=True, tolerance=1e-2),
    Entry("ood.GraphSuite", suite),
    Entry("ood.pretrain_simgrace", pretrained(pretrain_simgrace), random=True, tolerance=1e-2),
    Entry("ood.pretrain_graphcl", pretrained(pretrain_graphcl), random=True, tolerance=1e-2),
]
