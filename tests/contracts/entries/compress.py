"""Calls of the room of compression."""

import tempfile
from pathlib import Path

import torch
from torch import nn

from deepwright.compress import (
    CRITERIA,
    BlankSkipLoss,
    EvolutionaryPruner,
    ShrinkGraph,
    accuracy_on,
    attach_exits,
    calibrate_exits,
    cost,
    expected_cost,
    export,
    importance,
    mask,
    plan,
    quantize,
    recalibrate,
    shrink,
)
from deepwright.data.scenes import make_scenes
from deepwright.nets import cifar_resnet, mlp
from deepwright.nets.ssd import small_ssd
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
    return {c: next(iter(importance(graph, c, data, generator=seeded()).values())) for c in CRITERIA}


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
        policy = calibrate_exits(model.eval(), [scenes.images.to(device)], flags, max_false_skip=0.5)
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


MIXES = "tensors made on the CPU beside those of the device"

ENTRIES = [
    Entry("ShrinkGraph, importance, plan, shrink", surgery("device")),
    Entry("shrink, example on the CPU", surgery("cpu")),
    Entry("importance, every criterion", criteria, fails="scores come back on the CPU"),
    Entry("mask, compact, recalibrate", masked),
    Entry("cost", counted),
    Entry("EvolutionaryPruner units, data on the CPU", evolved("unit", "cpu"), fails=MIXES),
    Entry("EvolutionaryPruner weights, data on the CPU", evolved("weight", "cpu")),
    Entry("EvolutionaryPruner blocks, data on the CPU", evolved("block", "cpu")),
    Entry("EvolutionaryPruner weights, data on the device", evolved("weight", "device"), fails=MIXES),
    Entry("attach_exits, early exit", exits_forward),
    Entry("calibrate_exits, flags on the CPU", exits_calibrated("cpu"), slow=True),
    Entry("calibrate_exits, flags on the device", exits_calibrated("device"), fails=MIXES),
    Entry("BlankSkipLoss", exits_trained),
    Entry("export", exported("device")),
    Entry("export, example on the CPU", exported("cpu"), slow=True),
    Entry("quantize", quantised),
]
