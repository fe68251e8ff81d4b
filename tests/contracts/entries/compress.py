"""Calls of the room of compression."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from deepwright.compress import (
    CRITERIA,
    GAP8,
    BlankSkipLoss,
    EvolutionaryPruner,
    MaskedOriginal,
    Segments,
    ShrinkGraph,
    UnitSpace,
    WeightSpace,
    accuracy_on,
    attach_exits,
    calibrate_exits,
    certify,
    check_fusion,
    cost,
    embed,
    expected_cost,
    export,
    export_exits,
    extract,
    gradient_scores,
    head_logits,
    importance,
    layers,
    mask,
    mask_weights,
    measure_latency,
    onnx_latency,
    path_macs,
    peak_activation_bytes,
    plan,
    quantize,
    recalibrate,
    shrink,
    unsafe_groups,
    verify,
)
from deepwright.data import make_scenes
from deepwright.nets import cifar_resnet, mlp, small_ssd
from entries import Entry, Placed, normal, seeded, uniform


def network(device):
    """A small residual network whose batch norms have something to say, with images and its own labels."""
    torch.manual_seed(0)
    model, x = cifar_resnet(8, channels=1, classes=3).eval(), uniform(8, 1, 12, 12, seed=3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=seeded(1))
            module.running_var.uniform_(0.5, 2, generator=seeded(2))
    with torch.no_grad():
        y = model(x).argmax(1)
    return model.to(device), x, y


def surgery(where):
    def call(device):
        model, x, _ = network(device)
        graph = ShrinkGraph.from_module(model, x[:2].to(device if where == "device" else "cpu"))
        found = shrink(model, plan(graph, importance(graph), target={"macs": 0.5})).model
        return found, found(x.to(device)), model

    return call


def criteria(device):
    model, x, y = network(device)
    graph = ShrinkGraph.from_module(model, x[:2].to(device))
    data = [(x.to(device), y.to(device))]
    words = {"taylor": {"data": data}, "hessian_diag": {"data": data}, "random": {"generator": seeded()}}
    return {c: next(iter(importance(graph, c, **words.get(c, {})).values())) for c in CRITERIA}


def masked(device):
    model, x, _ = network(device)
    graph = ShrinkGraph.from_module(model, x[:2].to(device))
    handle = mask(model, plan(graph, importance(graph), target={"macs": 0.6}))
    before = model(x.to(device))
    handle.remove()
    small = handle.compact(graph).model
    after = small(x.to(device))
    recalibrate(small, [x, x])
    return before, after, small(x.to(device)), small


def counted(device):
    model, x, _ = network(device)
    return cost(model, x[:1]).macs, cost(model, x[:1].to(device)).macs


def evolved(granularity, where):
    def call(device):
        torch.manual_seed(1)
        model, x = mlp(8, 3, (8, 6)).eval(), normal(60, 8)
        with torch.no_grad():
            y = model(x).argmax(1)
        model, target = model.to(device), device if where == "device" else torch.device("cpu")
        phases = {"phase1": {"pop": 6, "gen": 1}, "phase2": {"pop": 6, "gen": 1}}
        search = EvolutionaryPruner(model, x[:2].to(device), granularity=granularity, **phases)
        return Placed(search.fit(accuracy_on(x.to(target), y.to(target)), racing=True).hypervolume())

    return call


def exits(device):
    torch.manual_seed(0)
    scenes = make_scenes(24, seed=5)
    detector = small_ssd().to(device)
    sites = ("features.stage0", "features.stage1", "features.stage2")
    return attach_exits(detector, sites, scenes.images[:2].to(device)), scenes


def exits_forward(device):
    model, scenes = exits(device)
    _, left = model.eval()(scenes.images[:8].to(device), thresholds=[torch.inf] * 3, return_exit=True)
    return left, model


def exits_calibrated(where):
    def call(device):
        model, scenes = exits(device)
        flags = scenes.occupied.to(device if where == "device" else "cpu")
        policy = calibrate_exits(model.eval(), [scenes.images.to(device)], flags, max_false_skip=0.95)
        _, left = model(scenes.images[:8].to(device), return_exit=True)
        expected_cost(model, left)
        return list(policy.bounds)

    return call


def exits_trained(device):
    model, scenes = exits(device)
    _, found = model.train()(scenes.images[:8].to(device))
    value = BlankSkipLoss()(0.0, found, scenes.occupied[:8].float().to(device))
    value.backward()
    return value


def exported(where):
    def call(device):
        model, x, _ = network(device)
        with tempfile.TemporaryDirectory() as folder:
            export(model, (x[:2].to(device if where == "device" else "cpu"),), Path(folder) / "m.onnx")
        return model

    return call


def quantised(device):
    model, x, _ = network(device)
    return quantize(model, (x[:2].to(device),), [uniform(128, 1, 12, 12)])(x.to(device))


def halved(device, dtype=torch.float32):
    """A graph, a plan of half the MACs, and what comes with them."""
    model, x, y = network(device)
    model = model.to(dtype)
    graph = ShrinkGraph.from_module(model, x[:2])
    return model, x, y, plan(graph, importance(graph), target={"macs": 0.5})


def fused(device):
    model, x, _, chosen = halved(device)
    result = shrink(model, chosen)
    preserving = {"rest": "function_preserving", "graph": result.graph}
    big = embed(result.model, model, result.index_map, generator=seeded(), **preserving)
    return big, extract(big, result.index_map), result.index_map, check_fusion(result.model, big, x)


def proved(device, dtype=torch.float32):
    """The proof on the CPU's inputs, and the network in place with its optimiser's momenta."""
    model, x, y, chosen = halved(device, dtype)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    nn.functional.cross_entropy(model(x.to(device, dtype)), y.to(device)).backward()
    optimiser.step()
    small = shrink(model, chosen, verify_with=(x,), optimizer=optimiser).model
    momenta = [v["momentum_buffer"] for v in optimiser.state.values()]
    return small, momenta, verify(chosen, small).batches, MaskedOriginal(chosen)(x[:3])


def safe(device):
    model, x, _ = network(device)
    return len(unsafe_groups(ShrinkGraph.from_module(model, x[:2])))


def scored(device):
    model, x, y = network(device)
    return gradient_scores(model, [(x, y)], nn.functional.cross_entropy)


def weights_masked(device):
    model, x, _ = network(device)
    keep = torch.rand(model.conv1.weight.shape, generator=seeded()) > 0.3
    handle = mask_weights(model, {"conv1.weight": keep})
    return model(x.to(device)), handle.sparsity


def measured(device):
    """Times are the device's own: what is compared is that they are told."""
    model, x, _ = network(device)
    timed = [measure_latency(model, x[:1], min_run_time=0.01), onnx_latency(model, x[:1], min_run_time=0.01)]
    return [t.repeats > 0 for t in timed if t is not None]


def counted_by_layer(device):
    model, x, _ = network(device)
    return (
        GAP8.estimate(model, x[:1]).seconds,
        sum(e.macs for e in layers(model, x[:1])),
        *peak_activation_bytes(model, x),
    )


def spaces(device):
    model, x, y = network(device)
    units, weights = UnitSpace.of(model, x[:2], "taylor", [(x, y)]), WeightSpace.of(model, "taylor", [(x, y)])
    masks = [rng_masks(space) for space in (units, weights)]
    predicted = [space.predict(m, x) for space, m in zip((units, weights), masks)]
    return predicted, weights.build(masks[1][0]), units.proved(masks[0][0]).model


def rng_masks(space):
    return np.random.default_rng(0).random((2, space.size)) < 0.8


def picked(device):
    model, x, y = network(device)
    phases = {"phase1": {"pop": 4, "gen": 1}, "phase2": {"pop": 4, "gen": 0}}
    front = EvolutionaryPruner(model, x[:2], **phases).fit(accuracy_on(x, y))
    point = front.pick((x, y))
    return point.model, Placed(point.validation_error), len(front.evaluate(x, y).rows) == len(front)


def classes(device, dtype=torch.float32):
    """A classifier's exits, with data on the CPU: answers come back there."""
    model, x, _ = network(device)
    model = model.to(dtype)
    torch.manual_seed(0)
    adaptive = attach_exits(model, ["layer1"], x[:2], exit_output="logits", outputs=3).to(dtype).eval()
    answers, left = adaptive(x.to(dtype), thresholds=[0.4], return_exit=True)
    logits = head_logits(adaptive, [x.to(dtype)])
    return answers, left, logits["layer1"]


def cut_and_counted(device):
    model, x, _ = network(device)
    adaptive = attach_exits(model, ["layer1"], x[:2], exit_output="logits", outputs=3)
    left = torch.tensor([0, 0, 1]).to(device)
    return path_macs(adaptive), expected_cost(adaptive, left, GAP8).macs, len(Segments(model, x).cuts())


def moved_after_use(device):
    """Pieces are made again where the network goes."""
    model, x, _ = network(torch.device("cpu"))
    torch.manual_seed(0)
    adaptive = attach_exits(model, ["layer1"], x[:2], exit_output="logits", outputs=3).eval()
    adaptive(x, thresholds=[0.4])
    return adaptive.to(device)(x.to(device), thresholds=[0.4])


def certified(device):
    scores, relevant = normal(400, seed=4), torch.arange(400) % 2 == 0
    return certify(scores.to(device), relevant.to(device), relevant.to(device), max_harm=0.2)


def exits_written(layout):
    def call(device):
        model, scenes = exits(device)
        one = attach_exits(model.model, model.cuts[:1], scenes.images[:2]).eval()
        with tempfile.TemporaryDirectory() as folder:
            written = export_exits(one, folder, layout=layout, threshold=0.0, check=scenes.images[:4])
        return written.agreement, one

    return call


ENTRIES = [
    Entry("ShrinkGraph, importance, plan, shrink", surgery("device")),
    Entry("shrink, example on the CPU", surgery("cpu")),
    Entry("importance, every criterion", criteria),
    Entry("mask, compact, recalibrate", masked),
    Entry("cost", counted),
    Entry("EvolutionaryPruner units, data on the CPU", evolved("unit", "cpu")),
    Entry("EvolutionaryPruner weights, data on the CPU", evolved("weight", "cpu")),
    Entry("EvolutionaryPruner blocks, data on the CPU", evolved("block", "cpu")),
    Entry("EvolutionaryPruner weights, data on the device", evolved("weight", "device")),
    Entry("attach_exits, early exit", exits_forward),
    Entry("calibrate_exits, flags on the CPU", exits_calibrated("cpu"), slow=True),
    Entry("calibrate_exits, flags on the device", exits_calibrated("device")),
    Entry("BlankSkipLoss", exits_trained),
    Entry("export", exported("device")),
    Entry("export, example on the CPU", exported("cpu"), slow=True),
    Entry("quantize", quantised),
    Entry("embed, extract, check_fusion", fused),
    Entry("shrink with an optimiser, verify, MaskedOriginal", proved, dtypes=(torch.float64,)),
    Entry("unsafe_groups", safe),
    Entry("gradient_scores", scored),
    Entry("mask_weights", weights_masked),
    Entry("measure_latency, onnx_latency", measured),
    Entry("layers, GAP8, peak_activation_bytes", counted_by_layer),
    Entry("UnitSpace, WeightSpace", spaces),
    Entry("ParetoResult.pick and evaluate, data on the CPU", picked),
    Entry(
        "AdaptiveModel and head_logits, data on the CPU", classes, returns="cpu", dtypes=(torch.float64, torch.bfloat16)
    ),
    Entry("Segments, path_macs, expected_cost", cut_and_counted),
    Entry("AdaptiveModel moved after use", moved_after_use),
    Entry("certify", certified),
    Entry("export_exits", exits_written("split"), slow=True),
]
