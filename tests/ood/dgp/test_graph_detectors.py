"""Detectors of foreign graphs: what they share, closed forms of distances, and each one's invariants."""

import copy
import warnings

import pytest
import torch

from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.graphs import Graph, motif_ood, pack, rewire
from deepwright.ood import (
    AAGOD,
    DGP,
    GOODD,
    SSD,
    FiveStatistics,
    GraphSuite,
    WeightedGIN,
    WeisfeilerLehman,
    auroc,
    draw_edges,
    embed,
    pretrain_simgrace,
)
from deepwright.ood.dgp.distances import classwise, distance, whitening


@pytest.fixture(scope="module")
def graphs():
    return motif_ood(0, 45)


@pytest.fixture(scope="module")
def encoder(graphs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return pretrain_simgrace(WeightedGIN(1, 8), graphs.train, epochs=3)


MADE = {
    "SSD": lambda encoder: SSD(encoder),
    "SSD by class": lambda encoder: SSD(encoder, per_class=True),
    "DGP": lambda encoder: DGP(encoder, 2, epochs=2),
    "random prompts": lambda encoder: DGP(encoder, 2, epochs=0),
    "AAGOD": lambda encoder: AAGOD(encoder, epochs=2),
    "GOOD-D": lambda encoder: GOODD(8, 2, groups=3, epochs=1),
    "statistics": lambda encoder: FiveStatistics(),
    "WL + OCSVM": lambda encoder: WeisfeilerLehman(),
    "WL + Mahalanobis": lambda encoder: WeisfeilerLehman(on="mahalanobis"),
}


@pytest.fixture(scope="module")
def fitted(graphs, encoder):
    return {name: make(encoder).fit(graphs.train) for name, make in MADE.items()}


@pytest.mark.parametrize("name", MADE)
def test_scores_do_not_depend_on_the_batch(name, fitted, graphs):
    guard = fitted[name]
    together = guard.score(graphs.test)
    assert together.shape == (len(graphs.test),)
    assert torch.equal(guard.score(graphs.test), together)
    torch.testing.assert_close(guard.score(graphs.test[:7]), together[:7], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(guard.score(graphs.test[[5]]), together[[5]], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", MADE)
def test_states_go_round_and_know_whose_they_are(name, fitted, graphs, encoder):
    state = copy.deepcopy(fitted[name].state_dict())
    other = MADE[name](encoder)
    other.load_state_dict(state)
    assert torch.equal(other.score(graphs.test[:9]), fitted[name].score(graphs.test[:9]))
    with pytest.raises(InputError, match="not fitted"):
        MADE[name](encoder).score(graphs.test)
    with pytest.raises(NotFittedError):
        MADE[name](encoder).score(graphs.test)


def test_a_state_is_refused_beside_another_encoder(fitted):
    with pytest.raises(InputError, match="encoder"):
        SSD(WeightedGIN(1, 8)).load_state_dict(fitted["SSD"].state_dict())
    with pytest.raises(InputError, match="ridge"):
        SSD(fitted["SSD"].encoder, ridge=1e-3).load_state_dict(fitted["SSD"].state_dict())


@pytest.mark.parametrize("name", ["DGP", "AAGOD", "SSD"])
def test_fitting_leaves_the_encoder_bit_for_bit(name, graphs, encoder):
    before = copy.deepcopy(encoder)
    before.train()
    subject = copy.deepcopy(before)
    MADE[name](subject).fit(graphs.train).score(graphs.test)
    for (key, a), b in zip(subject.state_dict().items(), before.state_dict().values()):
        assert torch.equal(a, b), key
    assert all(m.training for m in subject.modules())
    assert all(p.grad is None for p in subject.parameters())
    assert [p.requires_grad for p in subject.parameters()] == [p.requires_grad for p in before.parameters()]


@pytest.mark.parametrize("name", ["DGP", "AAGOD", "GOOD-D"])
def test_a_seed_decides(name, graphs, encoder, fitted):
    again = MADE[name](encoder)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again.fit(graphs.train)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(again.score(graphs.test), fitted[name].score(graphs.test))


@pytest.mark.parametrize("name", MADE)
def test_far_graphs_are_found_or_none_is(name, fitted, graphs):
    """Cliques: by all but those that look at what a clique shares with the rest."""
    found = auroc(fitted[name].score(graphs.test), fitted[name].score(graphs.ood["clique"]))
    assert found > {"AAGOD": 0.3, "GOOD-D": 0.1, "WL + Mahalanobis": 0.3}.get(name, 0.85)


def test_distances_to_the_own_set_average_its_rank():
    x = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert abs(float(distance(x, *whitening(x, 1e-6)).mean()) - 2.75) < 1e-5
    assert float(distance(x, *whitening(x, 1e-2)).mean()) < 2.74
    moved = x * torch.tensor([3.0, 0.01, 100.0]) + torch.tensor([5.0, -2.0, 0.0])
    torch.testing.assert_close(distance(moved, *whitening(moved)), distance(x, *whitening(x)), rtol=1e-5, atol=1e-8)


def test_distances_are_those_of_a_pseudo_inverse():
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z = (x - x.mean(0)) / (x.std(0) + 1e-8)
    precision = torch.linalg.pinv(torch.cov(z.T) + 1e-2 * torch.eye(5, dtype=torch.float64))
    torch.testing.assert_close(distance(x, *whitening(x)), ((z @ precision) * z).sum(1))


def test_constant_dimensions_do_not_count_their_rounding():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(50, 3, generator=rng)
    constant = torch.cat([x, 1e4 + 1e-3 * torch.randn(50, 1, generator=rng)], dim=1)
    fit = whitening(constant)
    torch.testing.assert_close(distance(constant, *fit), distance(x, *whitening(x)), rtol=1e-3, atol=1e-3)


def test_few_graphs_are_refused_or_warned_of():
    x = torch.randn(30, 20)
    with pytest.raises(InputError, match="40 graphs, or a ridge"):
        whitening(x, 1e-6)
    with pytest.warns(UserWarning, match="rest on the ridge"):
        whitening(x[:15])
    with pytest.raises(InputError, match="1 graphs"):
        whitening(x[:1])


def test_classes_of_their_own_and_shared():
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 4, generator=rng), torch.arange(60) % 2
    means, white = classwise(x, y, 2, 1e-3)
    torch.testing.assert_close(means[1], whitening(x[y == 1], 1e-3)[0])
    torch.testing.assert_close(white[0], whitening(x[y == 0], 1e-3)[1])
    means, white = classwise(x[:12], y[:12], 2, 1e-3)
    assert torch.equal(white[0], white[1])
    torch.testing.assert_close(means[0], x[:12][y[:12] == 0].double().mean(0))


def test_embeddings_in_place_of_graphs(graphs, encoder):
    h, h_test = embed(encoder, graphs.train), embed(encoder, graphs.test)
    guard = SSD().fit(h)
    torch.testing.assert_close(guard.score(h_test), SSD(encoder).fit(graphs.train).score(graphs.test))
    assert guard.fit(h[:, :5]).score(h_test[:, :5]).shape == (len(h_test),)
    with pytest.raises(InputError, match=r"width 24.*5, as at fit"):
        guard.score(h_test)
    with pytest.raises(InputError, match="encoder"):
        SSD().fit(graphs.train)
    with pytest.raises(InputError, match="needs labels"):
        SSD(per_class=True).fit(h)


def test_thresholds_and_p_values_come_from_held_out_graphs(graphs, encoder, fitted):
    guard = SSD(encoder).fit(graphs.train)
    with pytest.raises(NotCalibratedError):
        guard.pvalues(graphs.test)
    with pytest.raises(InputError, match="held-out"):
        guard.calibrate(guard.score(graphs.train))
    guard.calibrate_on(graphs.val, 0.9)
    assert float(guard.predict(graphs.val).double().mean()) <= 0.1
    assert guard.predict(graphs.ood["clique"]).all()
    held, scores = guard.score(graphs.val), guard.score(graphs.test)
    expected = (1 + (held[None] >= scores[:, None]).sum(1)) / (len(held) + 1)
    torch.testing.assert_close(guard.pvalues(graphs.test), expected.double())
    by_class = DGP(encoder, 2, epochs=1).fit(graphs.train).calibrate_on(graphs.val)
    classes, own = by_class.classes_of(graphs.test), by_class.classes_of(graphs.val)
    if set(classes.tolist()) <= set(own.tolist()):
        found = by_class.pvalues(graphs.test, per_class=True)
        c = int(classes[0])
        held = by_class.score(graphs.val)[own == c]
        assert float(found[0]) == pytest.approx(
            float(1 + (held >= by_class.score(graphs.test)[0]).sum()) / (len(held) + 1)
        )


def test_scores_grow_with_the_share_of_rewired_edges(graphs, encoder):
    guard = DGP(encoder, 2, epochs=2).fit(graphs.train)
    shares = torch.arange(6) / 10
    means = torch.stack([guard.score(rewire(graphs.test, float(s), seed=1)).mean() for s in shares])
    rank = torch.corrcoef(torch.stack([means.argsort().argsort().double(), torch.arange(6.0).double()]))[0, 1]
    assert rank > 0.9


def test_the_houses_detectors_on_embeddings(graphs, encoder):
    suite = GraphSuite(encoder, 2).fit(graphs.train)
    assert set(suite.skipped) == {"OutsideTheBox", "BBAS", "ViM"}  # no hidden layers; 24 features are too few
    scores = suite.score(graphs.test)
    assert {"KNN", "MDS", "RMDS", "MSP", "Energy"} <= set(scores)
    table = suite.report(graphs.test, {"clique": graphs.ood["clique"]})
    assert {row[0] for row in table.rows} == set(scores)
    with pytest.raises(NotFittedError):
        GraphSuite(encoder, 2).score(graphs.test)


def test_bad_graphs_are_refused(graphs, encoder):
    with pytest.raises(InputError, match="needs labels"):
        DGP(encoder, 2).fit(graphs.train.labelled(None))
    with pytest.raises(InputError, match="0 to 1"):
        DGP(encoder, 2).fit(graphs.train, graphs.train.y + 1)
    with pytest.raises(InputError, match="no graphs of it"):
        DGP(encoder, 3).fit(graphs.train)
    with pytest.raises(InputError, match="num_classes=1"):
        DGP(encoder, 1).fit(graphs.train, graphs.train.y)
    with pytest.raises(InputError, match="width 2"):
        SSD(encoder).fit([Graph(torch.tensor([[0, 1], [1, 0]]), torch.ones(2, 2))] * 4)
    for options in ({"ridge": 0}, {"stats": "all"}, {"lr": -1.0}, {"val_ood": "real"}, {"alpha": (-1, 0)}):
        with pytest.raises(InputError):
            DGP(encoder, 2, **options)
    with pytest.raises(InputError, match="'ocsvm' or"):
        WeisfeilerLehman(on="knn")


def test_edgeless_graphs_are_graphs(fitted):
    lonely = pack([Graph(torch.zeros(2, 0, dtype=torch.long), num_nodes=n) for n in (1, 4)])
    for name, guard in fitted.items():
        assert torch.isfinite(guard.score(lonely)).all(), name
    assert [len(w) for w in fitted["DGP"].edge_weights(lonely)] == [0, 0]


def test_drawn_edges(graphs, fitted):
    one = graphs.test[[0]]
    svg = draw_edges(one, dict(zip(("specific", "agnostic"), fitted["DGP"].edge_weights(one))))
    assert svg.count("<line") == int(one.edges)
    assert svg.count("<circle") == 2 * int(one.nodes)
    with pytest.raises(InputError, match="2 graphs"):
        draw_edges(graphs.test[:2], {"w": torch.ones(4)})
    with pytest.raises(InputError, match="one an edge"):
        draw_edges(one, {"w": torch.ones(4)})


def test_without_labels_groups_are_found(graphs, encoder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guard = DGP(encoder, 1, epochs=0)
    with pytest.warns(UserWarning, match="k-means"):
        guard.fit(graphs.train.labelled(None))
    assert guard.score(graphs.test).isfinite().all()
