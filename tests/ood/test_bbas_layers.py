"""How the layers of a bounding-box score are balanced, and which layers are monitored."""

import pytest
import torch
from torch import nn

from deepwright.core.features import Activations, extract
from deepwright.nets import cifar_resnet
from deepwright.ood import BBAS, OutsideTheBox
from deepwright.ood.bbas.boxes import left_out
from deepwright.ood.bbas.clustering import k_means

RNG = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("margin", [0.0, 0.02])
def test_left_out_is_what_each_member_lies_outside_the_box_of_the_others(margin):
    x = torch.randn(20, 6, generator=RNG)
    total = torch.zeros(6)
    for i in range(20):
        others = torch.cat([x[:i], x[i + 1 :]])
        low, high = others.amin(0), others.amax(0)
        low, high = low - margin * (high - low), high + margin * (high - low)
        total += (low - x[i]).clamp_min(0) + (x[i] - high).clamp_min(0)
    torch.testing.assert_close(left_out(x, margin), total)


def test_a_single_member_lies_outside_nothing():
    assert torch.equal(left_out(torch.ones(1, 3)), torch.zeros(3))


def two_layers(n, wide, seed=0):
    """One vector layer of 3 variables, one of `wide` whose tails are heavier."""
    rng = torch.Generator().manual_seed(seed)
    few, many = torch.randn(n, 3, generator=rng), torch.randn(n, wide, generator=rng) ** 3
    logits = 4.0 * nn.functional.one_hot(torch.arange(n) % 2, 2).float()
    return Activations(
        logits, torch.arange(n) % 2, None, {"few": few, "many": many}, dict.fromkeys(("few", "many"), "vector")
    )


@pytest.mark.parametrize("options", [{}, {"scale": "width"}, {"scale": "none"}, {"kind": "count"}], ids=str)
def test_normalised_layers_count_alike_on_in_distribution_samples(options):
    """With one box a class: leave each sample out, and the two layers' shares of the mean score are equal."""
    acts = two_layers(30, 40)
    full = BBAS(n_clusters=1, aggregate=False, **options).fit(acts)
    shares = torch.zeros(2)
    for i in range(30):
        rest = torch.tensor([j for j in range(30) if j != i])
        alone = BBAS(n_clusters=1, aggregate=False, layer_reduce="mean", **options).fit(acts[rest])
        alone.remember(scale_=full.scale_)
        for layer, weight in enumerate((torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))):
            alone.remember(layer_weight_=weight)
            shares[layer] += full.layer_weight_[layer] * alone.score(acts[torch.tensor([i])])[0]
    assert float(shares[0] / shares[1]) == pytest.approx(1.0, rel=1e-3)
    assert float(full.layer_weight_.sum()) == pytest.approx(1.0)


def test_layers_count_by_their_variables_or_alike_when_asked():
    acts = two_layers(60, 9)
    assert BBAS(layer_reduce="concat").fit(acts).layer_weight_.tolist() == pytest.approx([0.25, 0.75])
    assert BBAS(layer_reduce="mean").fit(acts).layer_weight_.tolist() == [0.5, 0.5]


def test_one_layer_is_scored_in_deviations_however_layers_are_balanced():
    acts = two_layers(60, 9)
    alone = [BBAS(layers=["few"], layer_reduce=how).fit(acts).score(acts) for how in ("normalised", "mean", "concat")]
    assert torch.equal(alone[0], alone[1])
    assert torch.equal(alone[1], alone[2])


def test_layers_that_never_vary_leave_finite_weights():
    acts = two_layers(60, 9)
    acts.layers["few"] = torch.ones(60, 3)
    weights = BBAS().fit(acts).layer_weight_
    assert bool(torch.isfinite(weights).all())
    acts.layers["many"] = torch.ones(60, 9)
    assert BBAS().fit(acts).layer_weight_.tolist() == pytest.approx([0.5, 0.5])


def test_outside_the_box_monitors_the_last_hidden_layer():
    model = cifar_resnet(8, channels=1).eval()
    acts = extract(model, [(torch.rand(40, 1, 10, 10), torch.arange(40) % 10)])
    last = list(acts.layers)[-1]
    assert OutsideTheBox().fit(acts).shape_ == [(last, "map", 3 * 64)]
    named = OutsideTheBox(layers=[last]).fit(acts)
    assert torch.equal(OutsideTheBox().fit(acts).score(acts), named.score(acts))


def heaps(rows, centres, classes=1):
    """`rows` points around each centre, a tenth wide; their classes, and activations of them as a layer's outputs."""
    rng = torch.Generator().manual_seed(0)
    x = torch.cat([c + 0.1 * torch.rand(rows, 2, generator=rng) for c in torch.tensor(centres)])
    y = torch.arange(len(x)) % classes
    logits = 4.0 * torch.nn.functional.one_hot(y, classes).float() if classes > 1 else torch.zeros(len(x), 1)
    return Activations(logits, y, x, {"outputs": x}, {"outputs": "plain"})


@pytest.mark.parametrize("centres", [[[0.0, 0.0]], [[0.0, 0.0], [5.0, 0.0]], [[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]])
def test_k_means_stops_at_as_many_clusters_as_there_are(centres):
    points = heaps(30, centres).features
    ids = k_means(points, 0.6)
    heap = torch.arange(len(centres)).repeat_interleave(30)
    assert len(ids.unique()) == len(centres)
    assert all(len(ids[heap == c].unique()) == 1 for c in range(len(centres)))


def test_k_means_of_points_that_are_all_alike_is_one_cluster():
    assert k_means(torch.ones(20, 3), 0.07).tolist() == [0] * 20


def test_outside_the_box_as_published_accepts_what_is_in_a_box_and_warns_between_them():
    acts = heaps(30, [[0.0, 0.0], [5.0, 0.0]])
    monitor = OutsideTheBox(tau=0.6, use="correct").fit(acts)
    between = torch.tensor([[2.5, 0.05], [0.05, 0.05], [5.05, 0.05]])
    asked = Activations(torch.zeros(3, 1), None, between, {"outputs": between}, {"outputs": "plain"})
    assert monitor.score(asked).tolist() == [1.0, 0.0, 0.0]
    assert not monitor.score(acts).any()
    assert OutsideTheBox(n_clusters=1).fit(acts).score(asked).tolist() == [0.0, 0.0, 0.0]


def test_a_margin_enlarges_the_boxes_of_outside_the_box():
    acts = heaps(30, [[0.0, 0.0]])
    nearby = acts.features.amax(0, keepdim=True) + 0.005
    asked = Activations(torch.zeros(1, 1), None, nearby, {"outputs": nearby}, {"outputs": "plain"})
    assert [float(OutsideTheBox(n_clusters=1, margin=m).fit(acts).score(asked)) for m in (0.0, 0.2)] == [1.0, 0.0]
