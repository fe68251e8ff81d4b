"""Bad input to graphs, plans, surgery, masks, fusion, costs and files."""

import functools

import numpy as np
import onnx
import torch
from onnx import TensorProto
from refusals import Bad, command, over
from torch import nn

from deepwright.compress import (
    GAP8,
    CostPolynomial,
    Plan,
    ShrinkGraph,
    TargetProfile,
    check_fusion,
    cost,
    dead_units,
    embed,
    expected_macs,
    export,
    extract,
    freeze_unsafe,
    importance,
    index_map_from_json,
    layers,
    mask,
    mask_weights,
    measure_in_turns,
    measure_latency,
    onnx_latency,
    peak_activation_bytes,
    plan,
    plan_for_latency,
    quantize,
    recalibrate,
    shrink,
    verify,
)
from deepwright.compress.files import quantize_file, session
from deepwright.workflows import ShrinkOptions

X, Y, NAN = torch.rand(4, 6), torch.zeros(4, dtype=torch.long), float("nan")
SHORT, EMPTY = torch.rand(4, 5), torch.rand(0, 6)
CALIBRATION = [torch.rand(128, 6)]


def network(width=16):
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))


NET, OTHER = network(), network(8)
NORMED = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


class Odd(nn.Module):
    def forward(self, x):
        return torch.linalg.qr(x).Q


@functools.cache
def made():
    """A graph, its scores, half of its units, and the shrunk network."""
    graph = ShrinkGraph.from_module(NET, X)
    scores = importance(graph)
    chosen = plan(graph, scores, ratio=0.5)
    return graph, scores, chosen, shrink(NET, chosen)


def graph():
    return made()[0]


def half():
    return made()[2]


def small():
    return made()[3]


def frozen():
    return ShrinkGraph.from_module(NET, X, frozen=["0"])


def planned(**words):
    return plan(graph(), made()[1], **words)


def scored(scores):
    return plan(graph(), scores, ratio=0.5)


def taylor(*batches, **words):
    return importance(graph(), "taylor", batches, **words)


def to_file(folder, model=NET, x=X, **words):
    return export(model, x, folder / "q.onnx", **words)


def eight(folder, calibration, **words):
    return to_file(folder, quant="int8", calibration=calibration, **words)


@functools.cache
def file_of(model, *inputs):
    from deepwright.compress.exporting import export_program
    from deepwright.compress.files import onnx_bytes

    return onnx_bytes(export_program(model, inputs))


def with_weights_elsewhere(folder, place):
    """A file whose weight says that its bytes lie at `place`."""
    model = onnx.load_from_string(file_of(NET, X))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=place)
    inner = folder / "inner"
    inner.mkdir()
    (folder / "weights.bin").write_bytes(bytes(4096))
    (inner / "linked.bin").symlink_to(folder / "weights.bin")
    (inner / "m.onnx").write_bytes(model.SerializeToString())
    return session(inner / "m.onnx")


def fused(index_map, **words):
    return embed(small().model, NET, index_map, **words)


def options(**words):
    return ShrinkOptions(NET, **words)


BIG_MAP = {"0.weight": (torch.arange(8) + 90, None)}

ROWS = [
    Bad("graph of a function", lambda _: ShrinkGraph.from_module(len, X), ("model", "nn.module")),
    Bad("graph of no input", lambda _: ShrinkGraph.from_module(NET, None), ("example_inputs", "nonetype")),
    Bad("graph of an empty batch", lambda _: ShrinkGraph.from_module(NET, EMPTY), ("example_inputs", "empty")),
    Bad("graph of NaN", lambda _: ShrinkGraph.from_module(NET, X * NAN), ("example_inputs", "nan")),
    Bad("graph of too few columns", lambda _: ShrinkGraph.from_module(NET, SHORT), ("(4, 5)", "takes")),
    Bad("graph with a word too many", lambda _: ShrinkGraph.from_module(NET, X, kwargs={"a": 1}), ("'a'",)),
    Bad("graph that branches", lambda _: ShrinkGraph.from_module(Branching(), X), ("branches on", "torch.where")),
    Bad("attention of another kind", lambda _: ShrinkGraph.from_module(NET, X, attention="no"), ("attention='no'",)),
    Bad("norms of another kind", lambda _: ShrinkGraph.from_module(NET, X, on_norm="no"), ("on_norm='no'",)),
    Bad("frozen as one word", lambda _: ShrinkGraph.from_module(NET, X, frozen="0"), ("frozen=['0']",)),
    Bad("frozen without a module", lambda _: ShrinkGraph.from_module(NET, X, frozen=["9"]), ("frozen", "'9'")),
    Bad("an unknown group", lambda _: graph()["9"], ("group", "'9'", "0")),
    Bad("an unknown parameter", lambda _: graph().why_frozen("9.weight", 0), ("axis", "0.weight")),
    Bad("an axis that isn't there", lambda _: graph().why_frozen("0.weight", 7), ("axis 7",)),
    Bad("a ratio of one", lambda _: planned(ratio=1), ("ratio", "[0, 1)", "0.95")),
    Bad("a ratio of NaN", lambda _: planned(ratio=NAN), ("ratio", "nan")),
    Bad("a ratio in words", lambda _: planned(ratio="a"), ("ratio", "'a'")),
    Bad("a ratio of an unknown group", lambda _: planned(ratio={"9": 0.5}), ("group", "'9'")),
    Bad("a ratio in words for one group", lambda _: planned(ratio={"0": "a"}), ("ratio", "'a'")),
    Bad("a goal in words", lambda _: planned(target={"macs": "a"}), ("target", "'a'")),
    Bad("a goal of NaN", lambda _: planned(target={"macs": NAN}), ("target", "nan")),
    Bad("a negative goal", lambda _: planned(target={"macs": -1}), ("target", "-1")),
    Bad("a goal of True", lambda _: planned(target={"macs": True}), ("target", "true")),
    Bad("an unknown goal", lambda _: planned(target={"flops": 0.5}), ("flops", "params, macs, bytes")),
    Bad("two goals", lambda _: planned(target={"macs": 0.5, "params": 0.5}), ("target", "one of")),
    Bad("a goal without a name", lambda _: planned(target=[0.5]), ("target", "{'macs': 0.5}")),
    Bad("a goal that can't be reached", lambda _: planned(target={"macs": 1e-6}), ("at least",)),
    Bad("both ways to cut", lambda _: planned(ratio=0.5, target={"macs": 0.5}), ("one of the two",)),
    Bad("no way to cut", lambda _: planned(), ("one of the two",)),
    Bad("no unit kept", lambda _: planned(ratio=0.5, min_keep=0), ("min_keep", "1")),
    Bad("NaN units kept", lambda _: planned(ratio=0.5, min_keep=NAN), ("min_keep", "nan")),
    Bad("half a width", lambda _: planned(ratio=0.5, round_to=1.5), ("round_to", "1.5")),
    Bad("all of a group", lambda _: planned(ratio=0.5, per_group_max=1), ("per_group_max", "(0, 1)")),
    Bad("a plan where all is frozen", lambda _: plan(frozen(), {}, ratio=0.5), ("frozen", "describe()")),
    Bad("a safe graph where all is frozen", lambda _: freeze_unsafe(frozen()), ("everything is frozen",)),
    Bad("no scores", lambda _: scored({}), ("scores", "'0'")),
    Bad("scores without names", lambda _: scored([1, 2]), ("scores", "importance(graph)")),
    Bad("scores in words", lambda _: scored({"0": "a"}), ("scores of group '0'", "16 numbers")),
    Bad("too few scores", lambda _: scored({"0": torch.ones(3)}), ("3 values", "16")),
    Bad("NaN scores", lambda _: scored({"0": torch.full((16,), NAN)}), ("group '0'", "finite")),
    Bad("complex scores", lambda _: scored({"0": torch.ones(16, dtype=torch.cfloat)}), ("complex",)),
    Bad("units that aren't there", lambda _: Plan.of(graph(), {"0": [16]}), ("0..15",)),
    Bad("half a unit", lambda _: Plan.of(graph(), {"0": [0.5]}), ("group '0'", "whole numbers")),
    Bad("a mask for units", lambda _: Plan.of(graph(), {"0": np.zeros(16, bool)}), ("flatnonzero",)),
    Bad("units in words", lambda _: Plan.of(graph(), {"0": "abc"}), ("group '0'", "whole numbers")),
    Bad("no unit of a group", lambda _: Plan.of(graph(), {"0": []}), ("no unit kept",)),
    Bad("a plan as a list", lambda _: Plan(graph(), [True] * 16), ("16 booleans",)),
    Bad("a plan of another length", lambda _: Plan(graph(), np.ones(3, bool)), ("(3,)", "(16,)")),
    Bad("shrink another network", lambda _: shrink(OTHER, half()), ("own graph", "from_module")),
    Bad("shrink nothing", lambda _: shrink(None, half()), ("model", "nonetype")),
    Bad("shrink without a plan", lambda _: shrink(NET, None), ("plan", "nonetype")),
    Bad("an optimiser by name", lambda _: shrink(NET, half(), optimizer="sgd"), ("optimizer", "'sgd'")),
    Bad(
        "another network's optimiser",
        lambda _: shrink(NET, half(), optimizer=torch.optim.SGD(OTHER.parameters(), 0.1)),
        ("optimizer", "isn't the network's"),
    ),
    Bad("a proof on too few columns", lambda _: shrink(NET, half(), verify_with=(SHORT,)), ("(4, 5)", "takes")),
    Bad("a proof on a bare tensor", lambda _: shrink(NET, half(), verify_with=X), ("verify_with", "(x,)")),
    Bad("a proof on nothing", lambda _: shrink(NET, half(), verify_with=()), ("verify_with", "tuple")),
    Bad("a proof on NaN", lambda _: shrink(NET, half(), verify_with=(X * NAN,)), ("differs",)),
    Bad("sizes by a number", lambda _: shrink(NET, half(), attributes={nn.Linear: 3}), ("attributes", "function")),
    Bad("no batch in a proof", lambda _: verify(half(), small().model, batches=0), ("batches", "0")),
    Bad("half a batch in a proof", lambda _: verify(half(), small().model, batches=1.5), ("batches", "1.5")),
    Bad("a proof of another network", lambda _: verify(half(), OTHER.double().float().eval()), ("differs",)),
    Bad("a proof of nothing", lambda _: verify(half(), None), ("small", "nonetype")),
    Bad("a mask without a parameter", lambda _: mask_weights(NET, {"9": torch.ones(2) > 0}), ("'9'",)),
    Bad("a mask of another shape", lambda _: mask_weights(NET, {"0.weight": torch.ones(2) > 0}), ("(2,)", "(16, 6)")),
    Bad("a mask of floats", lambda _: mask_weights(NET, {"0.weight": torch.ones(16, 6)}), ("float32", "bool")),
    Bad("a mask as a list", lambda _: mask_weights(NET, {"0.weight": [1]}), ("list", "bool")),
    Bad("masks without names", lambda _: mask_weights(NET, torch.ones(16, 6)), ("masks", "parameter")),
    Bad("a plan of masks that is none", lambda _: mask(NET, 0.5), ("plan", "float")),
    Bad("cost of an empty batch", lambda _: cost(NET, EMPTY), ("example", "empty")),
    Bad("cost of too few columns", lambda _: cost(NET, SHORT), ("(4, 5)", "takes")),
    Bad("cost of nothing", lambda _: cost(NET, None), ("example", "nonetype")),
    Bad("cost of a function", lambda _: cost(len, X), ("model", "nn.module")),
    Bad("cost of a number", lambda _: cost(NET, torch.tensor(1.0)), ("example", "first axis")),
    Bad("latency without a thread", lambda _: cost(NET, X, latency=True, threads=0), ("threads", "0")),
    Bad("latency in no time", lambda _: measure_latency(NET, X, min_run_time=NAN), ("min_run_time", "nan")),
    Bad("latency of too few columns", lambda _: measure_latency(NET, SHORT, min_run_time=0.01), ("(4, 5)",)),
    Bad("file's latency of too few columns", lambda _: onnx_latency(NET, SHORT), ("(4, 5)", "takes")),
    Bad("turns of nothing", lambda _: measure_in_turns({}, X), ("calls", "none")),
    Bad("memory of too few columns", lambda _: peak_activation_bytes(NET, SHORT), ("(4, 5)", "takes")),
    Bad("layers of too few columns", lambda _: layers(NET, SHORT), ("(4, 5)", "takes")),
    Bad("plans of other units", lambda _: CostPolynomial.of(graph()).evaluate(np.ones((2, 3), bool)), ("(2, 3)",)),
    Bad("plans as numbers", lambda _: CostPolynomial.of(graph()).evaluate(np.ones((2, 16))), ("float64", "bool")),
    Bad("a machine without a clock", lambda _: TargetProfile("a", 0, {"conv": 1}), ("clock_hz=0",)),
    Bad("a machine of negative power", lambda _: TargetProfile("a", 1, {"conv": 1}, power_w=-1), ("power_w", "-1")),
    Bad("a negative memory", lambda _: TargetProfile("a", 1, {"conv": 1}, ((-1, 1.0),)), ("mem_levels", "-1")),
    Bad("a machine of no measurements", lambda _: TargetProfile.from_measurements("a", 1e6, []), ("measurements",)),
    Bad("a clock that stands", lambda _: GAP8.at_clock(-1), ("clock_hz=-1",)),
    Bad("shares that don't sum to one", lambda _: expected_macs([1], [0.5]), ("summing to 1",)),
    Bad("shares of NaN", lambda _: expected_macs([1], [NAN]), ("summing to 1",)),
    Bad("no time", lambda _: plan_for_latency(graph(), made()[1], -1), ("milliseconds", "-1")),
    Bad("time in words", lambda _: plan_for_latency(graph(), made()[1], "a"), ("milliseconds", "'a'")),
    Bad(
        "a measure that says nothing",
        lambda _: plan_for_latency(graph(), made()[1], 1.0, measure=lambda model: None),
        ("measure", "none"),
    ),
    Bad("an unknown criterion", lambda _: importance(graph(), "l3"), ("criterion", "l2")),
    Bad("importance of a network", lambda _: importance(NET), ("graph", "sequential")),
    Bad("Taylor without data", lambda _: importance(graph(), "taylor"), ("data", "none")),
    Bad("Taylor of no batch", lambda _: taylor(), ("data", "no sample")),
    Bad("Taylor of inputs alone", lambda _: taylor(X), ("data", "pairs")),
    Bad("Taylor of fewer labels", lambda _: taylor((X, Y[:2])), ("4 inputs with 2 targets",)),
    Bad("Taylor of float labels", lambda _: taylor((X, torch.rand(4))), ("data", "float")),
    Bad("Taylor of labels out of range", lambda _: taylor((X, Y + 7)), ("data", "7")),
    Bad("Taylor of NaN", lambda _: taylor((X * NAN, Y)), ("data", "nan")),
    Bad("Taylor of too few columns", lambda _: taylor((SHORT, Y)), ("data", "(4, 5)")),
    Bad("a loss for each sample", lambda _: taylor((X, Y), loss=lambda a, b: a), ("data", "scalar")),
    Bad("a loss of NaN", lambda _: taylor((X, Y), loss=lambda a, b: a.sum() * NAN), ("group '0'", "nan")),
    Bad("data for weights alone", lambda _: importance(graph(), "l2", [(X, Y)]), ("data", "no use")),
    Bad("an unknown reduction", lambda _: importance(graph(), reduction="max"), ("reduction", "'max'")),
    Bad("scales without a norm", lambda _: importance(graph(), "bn_scale"), ("no batch norm", "l2")),
    Bad("a criterion of another length", lambda _: importance(graph(), lambda n, a, w: torch.ones(3)), ("(3,)",)),
    Bad("a criterion that says nothing", lambda _: importance(graph(), lambda n, a, w: None), ("nonetype",)),
    Bad("statistics of no batch", lambda _: recalibrate(NORMED, []), ("batches", "none")),
    Bad("statistics of one sample", lambda _: recalibrate(NORMED, [X[:1]]), ("batches", "two")),
    Bad("statistics of NaN", lambda _: recalibrate(NORMED, [X * NAN]), ("batches", "nan")),
    Bad("statistics of too few columns", lambda _: recalibrate(NORMED, [SHORT]), ("batches", "(4, 5)")),
    Bad("statistics without a norm", lambda _: recalibrate(NET, [X]), ("no batch norm",)),
    Bad("an unknown rest", lambda _: fused(small().index_map, rest="no"), ("rest", "'zero'")),
    Bad("a kept function without its graph", lambda _: fused({}, rest="function_preserving"), ("result.graph",)),
    Bad("no map", lambda _: fused({}), ("parameter", "0.")),
    Bad("a map of other sizes", lambda _: fused({**small().index_map, **BIG_MAP}), ("0.weight", "map")),
    Bad("a map of fewer axes", lambda _: fused({**small().index_map, "0.weight": (None,)}), ("1 axes", "2")),
    Bad("entries that aren't there", lambda _: extract(NET, BIG_MAP), ("0.weight", "97")),
    Bad("a parameter that isn't there", lambda _: extract(NET, {"9.weight": (None, None)}), ("9.weight",)),
    Bad("a comparison on too few columns", lambda _: check_fusion(NET, NET, SHORT), ("(4, 5)", "takes")),
    Bad("a map that is no JSON", lambda _: index_map_from_json("abc"), ("index map",)),
    Bad("a map that is a list", lambda _: index_map_from_json("[1]"), ("index map",)),
    Bad("dead units without weights", lambda _: dead_units(graph(), {}), ("state", "0.")),
    Bad("four bits", lambda d: to_file(d, quant="int4"), ("quant", "'int8'")),
    Bad("a file of nothing", lambda d: to_file(d, x=None), ("example", "none")),
    Bad("a file of an empty batch", lambda d: to_file(d, x=EMPTY), ("example", "empty")),
    Bad("a file of an odd operation", lambda d: to_file(d, Odd(), X), ("onnx", "aten.linalg_qr")),
    Bad("a file in bfloat16", lambda d: to_file(d, network().bfloat16()), ("precision", "model.float()")),
    Bad("a file of NaN weights", lambda d: to_file(d, nn.Linear(6, 3).apply(_spoil)), ("differs",)),
    Bad("a file where a folder is", lambda d: export(NET, X, d), ("folder",)),
    Bad("calibration of a float file", lambda d: to_file(d, calibration=CALIBRATION), ("quant='int8'",)),
    Bad("no calibration", lambda d: to_file(d, quant="int8"), ("calibration", "none")),
    Bad("too few samples", lambda d: eight(d, [X]), ("4 samples", "128")),
    Bad("calibration of another shape", lambda d: eight(d, [torch.rand(128, 5)]), ("(5,)", "(6,)")),
    Bad("calibration of NaN", lambda d: eight(d, [CALIBRATION[0] * NAN]), ("calibration", "nan")),
    Bad("calibration in one piece", lambda d: eight(d, CALIBRATION[0]), ("calibration", "[x]")),
    Bad("calibration by a number", lambda d: eight(d, 5), ("calibration", "int")),
    Bad("an unknown quantiser", lambda d: eight(d, CALIBRATION, quantiser="x"), ("quantiser", "torchao")),
    Bad("a training that is none", lambda _: quantize(NET, (X,), CALIBRATION, train=5), ("train", "function")),
    Bad("a negative minimum", lambda _: quantize(NET, (X,), CALIBRATION, minimum=-1), ("minimum", "-1")),
    Bad("quantise no ONNX file", lambda _: quantize_file(b"abc", CALIBRATION), ("an onnx file",)),
    Bad("quantise a word", lambda _: quantize_file("abc", CALIBRATION), ("data", "bytes")),
    Bad("quantise two inputs", lambda _: quantize_file(file_of(Two(), X, X), CALIBRATION), ("2 inputs", "one")),
    Bad("quantise on another shape", lambda _: quantize_file(file_of(NET, X), [torch.rand(128, 5)]), ("(5,)",)),
    Bad("quantise on integers", lambda _: quantize_file(file_of(NET, X), [Y.new_zeros(128, 6)]), ("int64",)),
    Bad("quantise on NaN", lambda _: quantize_file(file_of(NET, X), [CALIBRATION[0] * NAN]), ("nan",)),
    Bad("run a file that isn't there", lambda d: session(d / "no.onnx"), ("no.onnx", "a file")),
    Bad("run a folder", lambda d: session(d), ("a file",)),
    Bad("run what is no ONNX", lambda _: session(b"abc"), ("an onnx file",)),
    Bad("run nothing", lambda _: session(None), ("onnx file", "nonetype")),
    Bad("weights above the folder", lambda d: with_weights_elsewhere(d, "../weights.bin"), ("../weights.bin",)),
    Bad("weights from the root", lambda d: with_weights_elsewhere(d, "/etc/hostname"), ("/etc/hostname", "folder")),
    Bad("weights behind a link", lambda d: with_weights_elsewhere(d, "linked.bin"), ("linked.bin", "folder")),
    Bad("options of another goal", lambda _: options(goal=("flops", 0.5)), ("goal", "'flops'")),
    Bad("options of no width", lambda _: options(round_to=0), ("round_to",)),
    Bad("options of half a width", lambda _: options(round_to=1.5), ("round_to", "whole")),
    Bad("options of NaN epochs", lambda _: options(epochs=NAN), ("epochs",)),
    Bad("a command without a number", lambda _: command("shrink", "--goal", "macs"), ("--goal", "macs=number")),
    Bad("a command of NaN", lambda _: command("shrink", "--goal", "macs=nan"), ("--goal",)),
    Bad("a command of negative epochs", lambda _: command("shrink", "--epochs", "-1"), ("epochs", "-1")),
]


def _spoil(module):
    for p in module.parameters():
        p.data.fill_(NAN)


test_it_is_refused = over(ROWS)
