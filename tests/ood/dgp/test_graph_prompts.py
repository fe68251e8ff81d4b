"""Encoders, prompts, losses and pre-training of graphs."""

import copy
import math

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.graphs import GraphBatch, join, motif_ood, pack, undirected
from deepwright.ood import (
    DGP,
    EdgePrompt,
    WeightedGIN,
    adapt_encoder,
    augmented,
    embed,
    pretrain_graphcl,
    pretrain_simgrace,
)
from deepwright.ood.dgp.augmentations import AUGMENTATIONS
from deepwright.ood.dgp.encoders import FrozenEncoder
from deepwright.ood.dgp.pretraining import _Contrast, _shaken, nt_xent
from deepwright.ood.dgp.prompting import Passes, Prompting, cosine, disentangling
from deepwright.ood.dgp.prompts import Predictor


@pytest.fixture(scope="module")
def graphs():
    return motif_ood(0, 30)


def spread(width, seed=0):
    """An encoder whose batch statistics aren't those of a start."""
    torch.manual_seed(seed)
    encoder = WeightedGIN(width, 8)
    for norm in encoder.norms:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return encoder.eval()


def call(encoder, g, weight=None):
    return encoder(g.x, g.edge_index, g.batch, weight, len(g))


def test_the_encoder_is_what_its_formula_says(graphs):
    encoder = spread(1)
    one = graphs.test[[0]]
    adjacency = torch.zeros(len(one.x), len(one.x))
    weight = torch.rand(one.edge_index.shape[1])
    adjacency[one.edge_index[1], one.edge_index[0]] = weight
    x, outs = one.x, []
    for mlp, norm in zip(encoder.mlps, encoder.norms):
        x = norm(torch.relu(mlp(x + adjacency @ x)))
        outs.append(x)
    whole, nodes = call(encoder, one, weight)
    torch.testing.assert_close(nodes, torch.cat(outs, 1))
    torch.testing.assert_close(whole[0], torch.cat(outs, 1).sum(0))


def test_the_encoder_is_torch_geometrics(graphs):
    geometric = pytest.importorskip("torch_geometric.nn")
    encoder, g = spread(1), graphs.test
    layers = [geometric.GINConv(mlp) for mlp in encoder.mlps]
    x, outs = g.x, []
    for layer, norm in zip(layers, encoder.norms):
        x = norm(torch.relu(layer(x, g.edge_index)))
        outs.append(geometric.global_add_pool(x, g.batch))
    torch.testing.assert_close(call(encoder, g, torch.ones(g.edge_index.shape[1]))[0], torch.cat(outs, 1))


def test_weights_of_nought_cut_the_edges(graphs):
    encoder, g = spread(1), graphs.test
    cut = GraphBatch(g.x, g.edge_index[:, :0], g.node_ptr, torch.zeros_like(g.edge_ptr), g.edge_order[:0])
    torch.testing.assert_close(call(encoder, g, torch.zeros(g.edge_index.shape[1]))[0], call(encoder, cut)[0])


def test_order_of_nodes_and_edges_does_not_matter(graphs):
    encoder, one = spread(1), graphs.test[[3]]
    shuffle = torch.randperm(len(one.x), generator=torch.Generator().manual_seed(0))
    edges = shuffle.argsort()[one.edge_index][:, torch.randperm(one.edge_index.shape[1])]
    torch.testing.assert_close(embed(encoder, [(one.x[shuffle], edges)]), embed(encoder, one), rtol=1e-5, atol=1e-5)


def test_a_batch_equals_one_by_one(graphs):
    encoder = spread(1)
    each = torch.cat([embed(encoder, graphs.test[[i]]) for i in range(5)])
    torch.testing.assert_close(embed(encoder, graphs.test)[:5], each, rtol=1e-5, atol=1e-5)


def test_a_frozen_encoder_stays_frozen(graphs):
    encoder = spread(1).train()
    frozen = FrozenEncoder(encoder).train()
    assert not any(m.training for m in frozen.modules())
    views = frozen.views(
        graphs.test, [torch.ones(graphs.test.edge_index.shape[1]), torch.zeros(graphs.test.edge_index.shape[1])]
    )
    torch.testing.assert_close(views[0], embed(encoder, graphs.test))
    assert encoder.training


class Weighted(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, 4)

    def forward(self, x, edge_index, edge_weight=None):
        return torch.zeros(len(x), 4).index_add(0, edge_index[1], self.linear(x)[edge_index[0]] * edge_weight[:, None])


class Ignoring(Weighted):
    def forward(self, x, edge_index, edge_weight=None):
        return super().forward(x, edge_index, torch.ones(edge_index.shape[1]))


def test_stacks_of_others(graphs):
    encoder = adapt_encoder([Weighted(1), Weighted(4)], 1)
    guard = DGP(encoder, 2, epochs=1).fit(graphs.train)
    assert guard.score(graphs.test).isfinite().all()
    with pytest.raises(InputError, match=r"layer 1.*don't depend"):
        adapt_encoder(nn.ModuleList([Weighted(1), Ignoring(4)]), 1)
    with pytest.raises(InputError, match=r"layer 0 .Linear."):
        adapt_encoder([nn.Linear(1, 4)], 1)
    geometric = pytest.importorskip("torch_geometric.nn")
    adapt_encoder([geometric.GCNConv(1, 4), geometric.GraphConv(4, 4)], 1)
    with pytest.raises(InputError, match="GINConv"):
        adapt_encoder([geometric.GINConv(nn.Linear(1, 4))], 1)


def test_a_prompt_is_an_mlp_of_both_ends(graphs):
    torch.manual_seed(0)
    prompt = EdgePrompt(6).eval()
    nodes, edges = torch.randn(9, 6), torch.tensor([[0, 1, 5], [1, 0, 8]])
    pairs = torch.cat([nodes[edges[0]], nodes[edges[1]]], 1)
    expected = torch.sigmoid(prompt.rest(prompt.first(pairs)).squeeze(1))
    torch.testing.assert_close(prompt(nodes, edges), expected)
    both = EdgePrompt(6, symmetric=True).eval()
    weight = both(nodes, edges)
    torch.testing.assert_close(weight[0], weight[1])
    with pytest.raises(InputError, match="width 5"):
        prompt(nodes[:, :5], edges)


def test_losses_in_closed_form():
    y = torch.tensor([0, 1])
    even, sure = torch.zeros(2, 2), torch.tensor([[2.0, 0.0], [2.0, 0.0]])
    assert float(disentangling(even, even, y, 7.0)) == pytest.approx(math.log(2))
    p = 1 / (1 + math.exp(-2))
    divergence = -0.5 * math.log(2 * p) - 0.5 * math.log(2 * (1 - p))
    assert float(disentangling(even, sure, y, 0.5)) == pytest.approx(math.log(2) + 0.5 * divergence)
    a = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    b = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    s = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2).div(0.2).exp()
    expected = -(s.diagonal() / (s.sum(1) - s.diagonal())).log().mean()
    assert float(nt_xent(a, b)) == pytest.approx(float(expected), rel=1e-5)


def prompting(graphs, ridge=1e-2):
    torch.manual_seed(0)
    encoder = spread(1)
    parts = EdgePrompt(24), EdgePrompt(24), Predictor(24, 2)
    return Prompting(FrozenEncoder(encoder), graphs.train, *parts, ridge)


@pytest.mark.parametrize("per_batch", [False, True])
def test_the_distance_loss_has_a_gradient(graphs, per_batch):
    model = prompting(graphs)
    rows = torch.arange(len(graphs.train))
    Passes(0.1, (1e4, 1e4), 3, per_batch).by_distance(model, rows, rows).backward()
    norm = torch.stack([p.grad.norm() for p in [*model.specific.parameters(), *model.agnostic.parameters()]]).norm()
    assert norm >= 1e-2
    assert all(p.grad is None for p in model.predictor.parameters())


def test_the_distance_loss_is_finite_where_prompts_change_nothing(graphs):
    model = prompting(graphs)
    for prompt in (model.specific, model.agnostic):
        nn.init.zeros_(prompt.rest[3].weight)
        nn.init.constant_(prompt.rest[3].bias, 40.0)
    loss = Passes(0.1, (1e4, 1e4), 3, False).by_distance(model, torch.arange(60), torch.arange(60))
    mean = float(torch.stack([((model.embedded.double() - model.mean) @ model.white).square().sum(1)]).mean())
    assert float(loss.detach()) == pytest.approx(2e4 / mean, rel=1e-3)


def test_passes_take_turns():
    passes = Passes(0.1, (1.0, 0.0), 3, False)
    words = [passes.at(step, 12).loss.__name__ for step in range(8)]
    assert words == ["by_class"] * 3 + ["by_distance"] * 3 + ["by_class"] * 2
    alone = Passes(0.1, (0.0, 0.0), 3, False)
    assert {alone.at(step, 12).loss.__name__ for step in range(8)} == {"by_class"}


def test_the_learning_rate_goes_down_and_up():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-3)
    schedule = cosine(2, 1e-3)(optimizer, 0)
    rates = []
    for _ in range(80):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == rates[1] == 1e-3
    assert rates[40] == pytest.approx(1e-6)
    assert rates[60] == pytest.approx((1e-3 + 1e-6) / 2)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmented_graphs_are_graphs(name, graphs):
    torch.manual_seed(0)
    g = graphs.train
    after = augmented(g, name)
    assert len(after) == len(g)
    assert int(after.nodes.min()) >= 1
    assert int(after.node_ptr[-1]) == len(after.x)
    assert int(after.edge_ptr[-1]) == after.edge_index.shape[1]
    owner = after.batch
    assert torch.equal(owner[after.edge_index[0]], owner[after.edge_index[1]])
    assert torch.equal(torch.bincount(owner[after.edge_index[0]], minlength=len(g)), after.edges)
    shares = {"drop_nodes": 0.9, "drop_edges": 0.9, "subgraph": 0.22}
    if name == "mask_features":
        assert abs(float((after.x != 1).double().mean()) - 0.1) < 0.03
    elif name == "drop_edges":
        assert abs(float(after.edges.sum() / g.edges.sum()) - 0.9) < 0.03
        keys = after.edge_index[0] * len(g.x) + after.edge_index[1]
        assert torch.isin(after.edge_index[1] * len(g.x) + after.edge_index[0], keys).all()
    else:
        assert abs(float(after.nodes.sum() / g.nodes.sum()) - shares[name]) < 0.03


def test_a_subgraph_is_connected(graphs):
    torch.manual_seed(0)
    after = augmented(graphs.train, "subgraph")
    assert (after.edges >= 2 * (after.nodes - 1)).all()


def test_an_unknown_augmentation_is_refused(graphs):
    with pytest.raises(InputError, match="random4"):
        pretrain_graphcl(WeightedGIN(1, 4), graphs.train, augment="random5")


def test_shaking_changes_nothing_but_its_own_view(graphs):
    torch.manual_seed(0)
    model = _Contrast(WeightedGIN(1, 4), graphs.train)
    before = copy.deepcopy(model.state_dict())
    one, other = model.projected(graphs.train), _shaken(model, graphs.train, 1.0)
    assert not torch.allclose(one, other)
    torch.testing.assert_close(_shaken(model, graphs.train, 0.0), one)
    after = {k: v for k, v in model.state_dict().items() if "running" not in k and "num_batches" not in k}
    assert all(torch.equal(v, before[k]) for k, v in after.items())
    assert int(model.encoder.norms[0].num_batches_tracked) == 1


@pytest.mark.parametrize("pretrain", [pretrain_graphcl, pretrain_simgrace])
def test_pretraining_resumes_bit_for_bit(pretrain, graphs, tmp_path):
    def fresh():
        torch.manual_seed(3)
        return WeightedGIN(1, 4)

    def stop(model, row):
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    whole = pretrain(fresh(), graphs.train, epochs=3, batch_size=16)
    with pytest.raises(KeyboardInterrupt):
        pretrain(fresh(), graphs.train, epochs=3, batch_size=16, checkpoint=tmp_path / "c", callbacks=[stop])
    resumed = pretrain(fresh(), graphs.train, epochs=3, batch_size=16, checkpoint=tmp_path / "c")
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values()):
        assert torch.equal(a, b), name
    other = join([graphs.train[:-1], pack([undirected(graphs.train[[0]].edge_index.T[:3].numpy(), 30, 0)])])
    with pytest.raises(InputError, match="belongs to another fit"):
        pretrain(fresh(), other, epochs=3, batch_size=16, checkpoint=tmp_path / "c")


def test_prompts_resume_and_stop_without_foreign_graphs(graphs, tmp_path):
    encoder = spread(1)
    made = {"epochs": 3, "batch_size": 16, "patience": 5}
    whole = DGP(encoder, 2, **made).fit(graphs.train, val=graphs.val, checkpoint=tmp_path / "c")
    again = DGP(encoder, 2, **made).fit(graphs.train, val=graphs.val, checkpoint=tmp_path / "c")
    assert torch.equal(whole.score(graphs.test), again.score(graphs.test))
    assert [row["by_distance"] for row in whole.history_] == [0, 1] * 3
    assert all("val_loss" in row for row in whole.history_)
    synthetic = DGP(encoder, 2, val_ood="synthetic", **made).fit(graphs.train, val=graphs.val)
    assert all(0 <= row["val_auroc"] <= 1 for row in synthetic.history_)


@pytest.mark.slow
def test_labels_are_learnt_by_one_prompt_and_not_by_the_other():
    """alpha = 0, 60 epochs: held-out accuracy of q on h_s and h_a, the spec's gate."""
    graphs = motif_ood(100)
    torch.manual_seed(100)
    encoder = pretrain_simgrace(WeightedGIN(1), graphs.train, epochs=15, seed=100)
    guard = DGP(encoder, 2, alpha=(0.0, 0.0), epochs=60, seed=100).fit(graphs.train)
    views = guard.views(graphs.test)
    right = {k: float((guard.predictor(h).argmax(1) == graphs.test.y).double().mean()) for k, h in views.items()}
    assert right["specific"] >= 0.95
    assert abs(right["agnostic"] - 0.5) <= 0.15
