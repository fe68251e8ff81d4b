"""Units, plans and surgery: published counts, masked equivalence on networks that couple channels in every way."""

import numpy as np
import pytest
import torch
from networks import NETWORKS, Entangled, Written, build, trained_like
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deepwright.compress import (
    CostPolynomial,
    ExportError,
    FusionError,
    Latency,
    OverPruneError,
    Plan,
    ShapeError,
    ShrinkGraph,
    SurgeryError,
    check_fusion,
    cost,
    embed,
    extract,
    freeze_unsafe,
    importance,
    index_map_from_json,
    index_map_to_json,
    layers,
    mask,
    mask_weights,
    plan,
    plan_for_latency,
    recalibrate,
    shrink,
    verify,
)
from deepwright.compress.coupling.rules import shape as rule_book
from deepwright.core.errors import InputError
from deepwright.nets import cifar_resnet, mlp


def graph_of(name, **options):
    model, example = build(name)
    return ShrinkGraph.from_module(model, example, **options), model, example


def random_plan(graph, seed):
    rng = np.random.default_rng(seed)
    return Plan.of(
        graph, {g.name: rng.choice(g.size, rng.integers(1, g.size + 1), replace=False) for g in graph.groups}
    )


def halves(graph):
    return Plan.of(graph, {g.name: range(g.size // 2) for g in graph.groups})


@pytest.mark.parametrize(("depth", "groups", "units"), [(20, 12, 448), (56, 30, 1120), (110, 57, 2128)])
def test_groups_of_residual_networks(depth, groups, units):
    graph = ShrinkGraph.from_module(cifar_resnet(depth), torch.rand(2, 3, 32, 32))
    assert (len(graph.groups), graph.units, graph.unsupported) == (groups, units, [])
    assert graph.groups[0].name == "conv1"  # the width of the first stage


def test_groups_of_a_perceptron():
    graph = ShrinkGraph.from_module(mlp(5, 3, (32, 16)), torch.rand(2, 5))
    assert [(g.name, g.size) for g in graph.groups] == [("0", 32), ("2", 16)]
    assert graph["0"].producers == (("0.weight", 0),)
    assert graph["0"].consumers == (("2.weight", 1),)


@pytest.mark.parametrize(("depth", "expected"), [(20, 68_786), (56, 215_282), (110, 435_026)])
def test_half_width_has_the_published_size(depth, expected):
    model = cifar_resnet(depth)
    graph = ShrinkGraph.from_module(model, torch.rand(1, 3, 32, 32))
    small = shrink(model, halves(graph)).model
    assert sum(p.numel() for p in small.parameters()) == expected
    assert halves(graph).cost()["params"] == expected


EXPECTED_UNITS = {
    "squeeze-excite": [12, 24, 6],  # trunk, expansion with its gate, squeeze
    "halves": [8],
    "dense": [8, 8, 8],  # the last: two halves of 16 tied
    "grouped": [4, 8],  # one unit a group of the convolution
    "multiplier": [6],
    "branches": [8, 12],
    "grouped-queries": [2],  # one unit a key head with its four query heads
    "tied": [8],
    "shared": [8],
    "shuffle": [6, 12],  # the same channel of both groups; the second layer is free
}


@pytest.mark.parametrize("name", EXPECTED_UNITS)
def test_units_are_what_the_coupling_allows(name):
    assert [g.size for g in graph_of(name)[0].groups] == EXPECTED_UNITS[name]


@pytest.mark.parametrize("plans", [8, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "resnet20")) for n in NETWORKS])
def test_equal_to_the_masked_original(name, plans):
    """Random plans: 1e-9 in float64, and the cost polynomial equals a fresh count of the result."""
    graph, model, example = graph_of(name, on_norm="freeze" if name == "transformer" else "allow")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for seed in range(plans):
        chosen = random_plan(graph, seed)
        result = shrink(model, chosen)
        assert result.verification.error <= 1e-9
        assert result.verification.random_error <= 1e-9
        assert result.verification.dtype == "float64"
        cut = [g for g in graph.groups if len(chosen.kept(g)) < g.size]
        assert result.verification.exact == all(g.exact for g in cut)
        if seed < 5:
            real = cost(result.model, example[0])
            assert {k: chosen.cost()[k] for k in ("params", "macs")} == {"params": real.params, "macs": real.macs}
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_norms_over_the_residual_width_are_allowed_and_said():
    graph, model, _ = graph_of("transformer")
    assert [(g.name, g.exact) for g in graph.groups] == [("embed", False), ("attention.qkv", True), ("up", True)]
    result = shrink(model, halves(graph))
    assert not result.verification.exact
    assert result.verification.inexact == tuple(f"layer_norm in norms.{i}" for i in range(3))
    assert result.verification.error <= 1e-9


@pytest.mark.parametrize("attention", ["heads", "head_dim", "freeze"])
def test_attention_granularity(attention):
    model = trained_like(Written(silent=True))
    graph = ShrinkGraph.from_module(model, torch.rand(2, 7, 10), attention=attention)
    sizes = [g.size for g in graph.groups]
    # query, key and value share one reshape: the width of a head is one and the same for all three
    assert sizes == {"heads": [4], "head_dim": [6], "freeze": []}[attention]
    if sizes:
        assert all(g.producers for g in graph.groups)
        result = shrink(model, halves(graph))
        assert result.verification.error <= 1e-9
        assert result.verification.exact == (attention == "heads")  # the scale 1 / sqrt(d) follows the width


@pytest.mark.parametrize("silent", [False, True])
def test_sizes_written_into_modules_follow(silent):
    """A number of heads kept as an attribute: the reshape fails, or silently deals channels to the wrong heads."""
    model = trained_like(Written(silent))
    graph = ShrinkGraph.from_module(model, torch.rand(2, 7, 10))
    result = shrink(model, Plan.of(graph, {"qkv": [0, 2, 3]}))
    assert result.repaired == [("", "heads", 4, 3)]
    assert result.model.heads == 3
    assert model.heads == 4
    assert result.verification.error <= 1e-9


def test_stock_transformer_prunes_its_heads_and_its_feed_forward():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    model = trained_like(nn.TransformerEncoder(layer, 2))
    graph = ShrinkGraph.from_module(model, torch.rand(2, 5, 16))
    widths = {"layers.0.self_attn": 4, "layers.0.linear1": 32, "layers.1.self_attn": 4, "layers.1.linear1": 32}
    assert {g.name: g.size for g in graph.groups} == widths
    assert shrink(model, halves(graph)).verification.error <= 1e-9


def test_a_missing_tie_is_caught(monkeypatch):
    """The negative control: without the tie of equal chunks the result runs and is wrong."""
    monkeypatch.setattr(rule_book, "tie_equal_pieces", lambda space, pieces: None)
    graph, model, _ = graph_of("halves")
    assert graph["a"].size == 16
    uneven = [u for u in range(16) if u not in (0, 1, 2, 9)]  # 3 of one half, 1 of the other: the cut falls wrong
    with pytest.raises(SurgeryError, match=r"differs.*first at \w+ in .*networks\.py"):
        shrink(model, Plan.of(graph, {"a": uneven}))


def test_empty_plans_and_two_steps():
    graph, model, example = graph_of("resnet20")
    whole = shrink(model, Plan(graph, np.ones(graph.units, bool))).model
    with torch.no_grad():
        assert torch.equal(whole(*example), model(*example))
    once = Plan.of(graph, {"conv1": range(0, 16, 4)})
    first = shrink(model, Plan.of(graph, {"conv1": range(0, 16, 2)})).model
    second_graph = ShrinkGraph.from_module(first, example)
    second = shrink(first, Plan.of(second_graph, {"conv1": range(0, 8, 2)})).model
    direct = shrink(model, once).model
    for (k, a), (_, b) in zip(direct.state_dict().items(), second.state_dict().items()):
        assert torch.equal(a, b), k


def test_kept_as_found():
    """requires_grad, dtype, memory format, tying and buffers survive; sizes are told by the modules."""
    graph, model, _ = graph_of("tied")
    small = shrink(model, halves(graph)).model
    assert small.head.weight is small.embed.weight
    assert (small.embed.embedding_dim, small.head.in_features) == (4, 4)
    graph, model, _ = graph_of("resnet20")
    model = model.to(memory_format=torch.channels_last)
    model.conv1.weight.requires_grad_(False)
    small = shrink(model, halves(graph)).model
    assert not small.conv1.weight.requires_grad
    assert small.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert (small.conv1.out_channels, small.bn1.num_features, small.fc.in_features) == (8, 8, 32)
    assert torch.equal(small.bn1.running_var, model.bn1.running_var[:8])


@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), lambda p: torch.optim.AdamW(p, 0.01)]
)
@pytest.mark.parametrize("inplace", [False, True])
def test_the_optimizer_follows(make, inplace):
    graph, model, example = graph_of("resnet20")
    optimizer = make(model.parameters())
    model(*example).square().sum().backward()
    optimizer.step()
    momenta = {
        n: next(v for v in optimizer.state[p].values() if v.shape == p.shape) for n, p in model.named_parameters()
    }
    result = shrink(model, halves(graph), optimizer=optimizer, inplace=inplace)
    small = result.model
    assert (small is model) == inplace
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in small.parameters()}
    for name, p in small.named_parameters():
        kept = next(v for v in optimizer.state[p].values() if v.shape == p.shape)
        cut = momenta[name]
        for axis, index in enumerate(result.index_map[name]):
            cut = cut if index is None else cut.index_select(axis, index)
        assert torch.equal(kept, cut)
    before = small.conv1.weight.detach().clone()
    optimizer.zero_grad()
    small(*example).square().sum().backward()
    optimizer.step()
    assert not torch.equal(before, small.conv1.weight)


@pytest.mark.parametrize("name", ["mlp", "resnet20", "squeeze-excite", "dense", "tied"])
def test_fusion_is_the_inverse(name):
    graph, model, example = graph_of(name)
    result = shrink(model, random_plan(graph, 1))
    for rest in ("random", "keep", "function_preserving"):
        own = {"graph": graph} if rest == "function_preserving" else {}
        rng = torch.Generator().manual_seed(0)
        fused = embed(result.model, model, result.index_map, rest=rest, generator=rng, **own)
        back = extract(fused, result.index_map)
        assert all(torch.equal(back[k], v) for k, v in result.model.named_parameters())
        assert all(torch.equal(back[k], v) for k, v in result.model.named_buffers())
    small, fused = result.model.double(), fused.double()
    again = embed(small, model.double(), result.index_map, rest="function_preserving", graph=graph)
    x = example[0].double() if example[0].is_floating_point() else example[0]
    assert check_fusion(small, again, x) <= 1e-12
    map_back = index_map_from_json(index_map_to_json(result.index_map))
    for name_, axes in result.index_map.items():
        for a, b in zip(axes, map_back[name_]):
            assert (a is None and b is None) or torch.equal(a, b)


def test_new_channels_learn_unless_they_are_zero():
    graph, model, _ = graph_of("mlp")
    result = shrink(model, halves(graph))
    new_to_kept = (slice(0, 8), slice(16, 32))  # rows kept, columns new
    kept_to_new = (slice(16, 32), slice(0, 5))
    x = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    fused = embed(result.model, model, result.index_map, rest="function_preserving", graph=graph)
    fused(x).square().sum().backward()
    assert float(fused[2].weight.grad[new_to_kept].abs().max()) > 0
    assert float(fused[0].weight.grad[kept_to_new].abs().max()) == 0  # one step later
    with pytest.warns(UserWarning, match="never learn"):
        dead = embed(result.model, model, result.index_map, rest="zero")
    dead(x).square().sum().backward()
    assert float(dead[2].weight.grad[new_to_kept].abs().max()) == 0
    assert float(dead[0].weight.grad[kept_to_new].abs().max()) == 0


def test_fusion_refuses():
    graph, model, _ = graph_of("mlp")
    result = shrink(model, halves(graph))
    with pytest.raises(FusionError, match=r"0\.weight"):
        embed(result.model, mlp(5, 3, (12, 16)), result.index_map)
    with pytest.raises(InputError, match="rest"):
        embed(result.model, model, result.index_map, rest="nothing")


@pytest.mark.parametrize("name", ["mlp", "resnet20", "squeeze-excite", "dense", "grouped", "flattened", "shared"])
def test_masks_compute_what_surgery_does(name):
    """Two ways to the same function: zeros at the consumers of the whole network, and smaller tensors."""
    graph, model, example = graph_of(name)
    chosen = random_plan(graph, 3)
    small = shrink(model, chosen).model
    with torch.no_grad():
        before = model(*example)
        handle = mask(model, chosen)
        masked = model(*example)
        assert torch.allclose(small(*example), masked, atol=1e-5)
        handle.remove()
        assert torch.equal(model(*example), before)


def test_compaction_removes_only_what_is_dead():
    graph, model, example = graph_of("mlp")
    masks = {"2.weight": torch.ones(16, 32, dtype=torch.bool), "4.weight": torch.ones(3, 16, dtype=torch.bool)}
    masks["2.weight"][:, :5] = False  # five units that nobody reads
    masks["4.weight"][0, 3] = False  # one read less: still read
    handle = mask_weights(model, masks)
    assert handle.sparsity == pytest.approx((16 * 5 + 1) / (16 * 32 + 3 * 16))
    with torch.no_grad():
        expected = model(*example)
    handle.remove()
    result = handle.compact(graph)
    assert result.model[0].out_features == 27
    assert result.model[2].out_features == 16
    with torch.no_grad():
        assert torch.allclose(result.model(*example), expected, atol=1e-6)


def test_scores_against_their_definitions():
    graph, model, _ = graph_of("mlp")
    w = model[0].weight.detach().double()
    assert torch.allclose(importance(graph, "l2")[graph["0"]], w.norm(dim=1))
    assert torch.allclose(importance(graph, "l1")[graph["0"]], w.abs().sum(1))
    x, y = torch.rand(40, 5), torch.arange(40) % 3
    nn.functional.cross_entropy(model(x), y).backward()
    expected = (model[0].weight * model[0].weight.grad).abs().sum(1).double()
    model.zero_grad()
    assert torch.allclose(importance(graph, "taylor", [(x, y)])[graph["0"]], expected.detach(), rtol=1e-4)
    assert importance(graph, lambda fqn, axis, v: v.abs().amax(1 - axis))[graph["0"]].shape == (32,)
    graph, model, _ = graph_of("resnet20")
    sums = importance(graph, "bn_scale")
    expected = sum(
        m.weight.detach().abs().double()
        for n, m in model.named_modules()
        if n in ("bn1", "layer1.0.bn2", "layer1.1.bn2", "layer1.2.bn2")
    )
    assert torch.allclose(sums[graph["conv1"]], expected)
    with pytest.raises(InputError, match="batches"):
        importance(graph, "taylor")
    with pytest.raises(InputError, match="did you mean"):
        importance(graph, "taylr")


@pytest.mark.parametrize("name", ["params", "macs", "bytes"])
def test_targets_are_met_by_the_fewest_removals(name):
    graph, _, _ = graph_of("resnet20")
    scores = importance(graph, "random", generator=torch.Generator().manual_seed(0))
    chosen = plan(graph, scores, target={name: 0.5})
    dense = Plan(graph, np.ones(graph.units, bool)).cost()[name]
    assert chosen.cost()[name] <= 0.5 * dense
    assert chosen.cost()[name] > 0.47 * dense
    rounded = plan(graph, scores, target={name: 0.5}, round_to=4)
    assert all(kept % 4 == 0 for kept, _ in rounded.widths().values())


def test_plans_by_ratio():
    graph, _, _ = graph_of("resnet20")
    scores = importance(graph, "l2")
    each = plan(graph, scores, ratio=0.25, global_=False)
    assert all(kept == 0.75 * size for kept, size in each.widths().values())
    best = scores[graph["conv1"]].argsort(descending=True)[:12].sort().values
    assert each.kept("conv1").tolist() == best.tolist()
    assert plan(graph, scores, ratio=0.3).keep.sum() == round(0.7 * graph.units)
    one = plan(graph, scores, ratio={"conv1": 0.5})
    assert one.widths()["conv1"] == (8, 16)
    assert one.widths()["layer1.0.conv1"] == (16, 16)
    deep = plan(graph, scores, ratio=0.99, min_keep=2)
    assert min(kept for kept, _ in deep.widths().values()) >= 2
    for ratio in (1.0, -0.1):
        with pytest.raises(InputError, match="ratio"):
            plan(graph, scores, ratio=ratio)
    with pytest.raises(InputError, match=r"group 'conv1'.*finite"):
        plan(graph, {**{g.name: v for g, v in scores.items()}, "conv1": torch.full((16,), torch.nan)}, ratio=0.5)
    with pytest.raises(OverPruneError, match="at least"):
        plan(graph, scores, target={"macs": 0.001})
    with pytest.raises(OverPruneError, match="no unit"):
        Plan.of(graph, {"conv1": []})
    with pytest.raises(InputError, match=r"0\.\.15"):
        Plan.of(graph, {"conv1": [16]})


def test_thousands_of_plans_are_costed_at_once():
    graph, model, example = graph_of("resnet20")
    keep = np.random.default_rng(0).random((3000, graph.units)) < 0.7
    values = CostPolynomial.of(graph).evaluate(keep)
    for i in (0, 7):
        try:
            small = shrink(model, Plan(graph, keep[i])).model
        except OverPruneError:
            continue
        assert values["params"][i] == sum(p.numel() for p in small.parameters())
        assert values["macs"][i] == cost(small, example[0]).macs


def test_graphs_travel_between_processes():
    import pickle

    graph, _, _ = graph_of("transformer", on_norm="freeze")
    again = pickle.loads(pickle.dumps(graph))
    assert [(g.name, g.size) for g in again.groups] == [(g.name, g.size) for g in graph.groups]
    assert np.array_equal(again.unit_of, graph.unit_of)


def test_why_frozen_tells_the_chain():
    graph, _, _ = graph_of("resnet20")
    chain = graph.why_frozen("fc.weight", 0)
    assert chain[-1] == "the network's output"
    assert graph.why_frozen("fc.weight", 1) == []
    assert "conv1" in graph.why_frozen("conv1.weight", 1)[0]
    frozen = ShrinkGraph.from_module(cifar_resnet(8), torch.rand(1, 3, 16, 16), frozen=["layer2"])
    assert "asked to stay" in frozen.why_frozen("layer2.0.conv1.weight", 0)[-1]
    assert [g.name for g in frozen.groups] == ["layer1.0.conv1", "layer3.0.conv1", "layer3.0.conv2"]
    with pytest.raises(InputError, match="nothing"):
        ShrinkGraph.from_module(cifar_resnet(8), torch.rand(1, 3, 16, 16), frozen=["nothing"])


class Odd(nn.Module):
    """An operation that no rule knows."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.c(self.b(torch.linalg.qr(self.a(x)).Q))


def test_unknown_operations_freeze_and_are_named():
    graph = ShrinkGraph.from_module(Odd(), torch.rand(6, 4))
    assert [u.op for u in graph.unsupported] == ["linalg_qr"]
    assert "torch.linalg.qr" in graph.unsupported[0].source_line
    assert [g.name for g in graph.groups] == ["b"]
    assert "no rule for linalg_qr" in graph.describe()


def test_groups_that_the_code_does_not_let_go():
    """c // 4 couples two widths that the graph sees apart: the proof tells, the rest is cut all the same."""
    model = trained_like(Entangled())
    graph = ShrinkGraph.from_module(model, torch.rand(2, 3, 4, 4))
    assert [g.name for g in graph.groups] == ["stem", "b", "attn"]
    # all three halved fit by chance and differ by 2e-5 of 2: attention over other channels, nearly even
    with pytest.raises(SurgeryError, match="differs from its masked original"):
        shrink(model, halves(graph))
    safe, unsafe = freeze_unsafe(graph)
    assert {g.name for g in unsafe} == {"b", "attn"}
    assert [g.name for g in safe.groups] == ["stem"]
    assert shrink(model, halves(safe)).verification.error <= 1e-9
    only = ShrinkGraph.from_module(model, torch.rand(2, 3, 4, 4), frozen=["stem.weight[0]"])
    assert [g.name for g in only.groups] == ["b", "attn"]


def test_networks_that_cannot_be_followed():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match=r"test_surgery\.py:\d+.*torch\.cond"):
        ShrinkGraph.from_module(Branching(), torch.rand(2, 3))
    with pytest.raises(ShapeError, match="inputs that the network takes"):
        ShrinkGraph.from_module(mlp(5, 3), torch.rand(2, 4))
    graph, _, _ = graph_of("mlp")
    with pytest.raises(InputError, match="own graph"):
        shrink(mlp(5, 3, (8, 16)), halves(graph))


def test_same_plan_as_torch_pruning():
    """An independent implementation cuts the same slices: equal outputs."""
    peer = pytest.importorskip("torch_pruning")
    import copy

    for depth in (20, 56):
        torch.manual_seed(0)
        model = trained_like(cifar_resnet(depth))
        x = torch.rand(2, 3, 32, 32)
        graph = ShrinkGraph.from_module(model, x)
        ours = shrink(model, halves(graph)).model
        theirs = copy.deepcopy(model)
        dependencies = peer.DependencyGraph().build_dependency(theirs, x)
        modules = dict(theirs.named_modules())
        for group in graph.groups:
            layer = modules[group.producers[0][0].removesuffix(".weight")]
            gone = list(range(group.size // 2, group.size))
            dependencies.get_pruning_group(layer, peer.prune_conv_out_channels, gone).prune()
        assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
        with torch.no_grad():
            assert torch.allclose(ours(x), theirs(x), atol=1e-6)


def test_recalibrated_statistics_are_those_of_the_data():
    rng = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5), nn.Dropout(0.5)).eval()
    batches = [torch.randn(8, 3, 6, 6, generator=rng) for _ in range(3)]
    weight = model[0].weight.detach().clone()
    recalibrate(model, batches)
    with torch.no_grad():
        y = model[0](torch.cat(batches))
    assert torch.allclose(model[1].running_mean, y.mean((0, 2, 3)), atol=1e-6)
    variances = torch.stack([model[0](b).detach().var((0, 2, 3)) for b in batches]).mean(0)
    assert torch.allclose(model[1].running_var, variances, rtol=1e-4)
    assert torch.equal(model[0].weight, weight)
    assert not model.training
    assert model[1].momentum == 0.1
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for bad, message in (([], "none"), ([batches[0] + 5, batches[0][:1]], "batch of one")):
        with pytest.raises(InputError, match=message):
            recalibrate(model, bad)
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())  # as it was
    with pytest.raises(InputError, match="no batch norm"):
        recalibrate(mlp(3, 2), [torch.rand(4, 3)])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("whole", [False, True])
def test_the_proof_refuses_what_is_not_finite(value, whole):
    """NaN compares false with everything: neither a spoilt copy nor a spoilt original may pass for equal."""
    net, x = mlp(6, 3, (5,)), torch.rand(4, 6)
    chosen = halves(ShrinkGraph.from_module(net, x))
    small = shrink(net, chosen, skip_verification=True).model
    for spoilt in (net, small) if whole else (small,):
        with torch.no_grad():
            [p for p in spoilt.parameters() if p.ndim == 1][-1][:] = value
    with pytest.raises(SurgeryError, match="differs"):
        verify(chosen, small)


def test_the_proof_accepts_infinities_that_both_have():
    net, x = mlp(6, 3, (5,)), torch.rand(4, 6)
    with torch.no_grad():
        [p for p in net.parameters() if p.ndim == 1][-1][0] = float("-inf")  # a class switched off
    assert shrink(net, halves(ShrinkGraph.from_module(net, x))).verification.error < 1e-9


def by_macs(per_million, fixed=0.0):
    """A machine on which a network takes so many milliseconds a million MACs, and some for the call."""
    return lambda model: fixed + per_million * sum(x.macs for x in layers(model, torch.zeros(1, 1, 16, 16))) / 1e6


@pytest.fixture(scope="module")
def wide():
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    graph = ShrinkGraph.from_module(net, torch.zeros(2, 1, 16, 16))
    return net, graph, importance(graph, "l2")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_plan_reaches_a_measured_latency(wide, share):
    """Where time is MACs, six halvings of [0.02, 1] leave at most 0.98 / 64 of the dense network's unused."""
    net, graph, scores = wide
    time_of = by_macs(3.0)
    goal = share * time_of(net)
    found = time_of(shrink(net, plan_for_latency(graph, scores, goal, measure=time_of)).model)
    assert found <= goal
    assert found > goal - (0.98 / 64 + 0.01) * time_of(net)  # and a hundredth for the width of a unit


def test_a_latency_below_what_every_call_takes_is_refused(wide):
    _, graph, scores = wide
    with pytest.raises(OverPruneError, match="overhead"):
        plan_for_latency(graph, scores, 1.9, measure=by_macs(3.0, fixed=2.0))


def test_a_latency_of_the_network_itself_is_refused(wide):
    net, graph, scores = wide
    time_of = by_macs(3.0)
    with pytest.raises(InputError, match="below the network's own"):
        plan_for_latency(graph, scores, time_of(net), measure=time_of)


def test_without_a_measure_the_clock_is_read(wide, monkeypatch):
    """One sample, in milliseconds; this clock takes a nanosecond for a multiplication and addition."""
    net, graph, scores = wide
    seen = set()

    def clock(call, x, *, min_run_time):
        seen.add((len(x), min_run_time))
        with FlopCounterMode(display=False) as counter:
            call(x)
        seconds = 1e-9 * counter.get_total_flops() / 2
        return Latency(seconds, seconds, seconds, len(x), 1, "cpu", 1)

    monkeypatch.setattr("deepwright.compress.surgery.latency.measure_latency", clock)
    small = shrink(net, plan_for_latency(graph, scores, 0.5 * by_macs(1.0)(net), min_run_time=0.7)).model
    assert by_macs(1.0)(small) <= 0.5 * by_macs(1.0)(net)
    assert seen == {(1, 0.7)}


def test_milliseconds_are_a_goal_of_another_function(wide):
    _, graph, scores = wide
    with pytest.raises(InputError, match="plan_for_latency"):
        plan(graph, scores, target={"latency_ms": 1.0})
