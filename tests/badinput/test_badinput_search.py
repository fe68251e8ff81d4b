"""Bad input to the pruning search, to early exits and to PruneFuse."""

import numpy as np
import torch
from refusals import Bad, command, over
from torch import nn

from deepwright.compress import (
    BlankSkipLoss,
    Candidate,
    EvolutionaryPruner,
    ExitHead,
    ExitPolicy,
    ParetoResult,
    Preparation,
    TemporalGate,
    accuracy_on,
    attach_exits,
    calibrate_exits,
    certify,
    expected_cost,
    export_exits,
    head_logits,
    samples_needed,
)
from deepwright.compress.exits.goals import Levels
from deepwright.core.randomness import local_rng
from deepwright.labels import DistillLoss, PrunedSelector, train_fused
from deepwright.nets import mlp

NAN, INF = float("nan"), float("inf")
with local_rng(0):
    NET = mlp(6, 3, (8, 8)).eval()
    X = torch.randn(40, 6)
    Y = NET(X).argmax(1)
SMALL = {"pop": 4, "gen": 1}


class TwoOutputs(nn.Module):
    """A tuple instead of a tensor."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, x):
        return self.inner(x), x


def pruner(**options):
    return EvolutionaryPruner(NET, X[:2], **options)


def bad_pruner(name, words, **options):
    return Bad(f"EvolutionaryPruner: {name}", lambda _: pruner(**options), words)


def searched(evaluate=None, **options):
    search = pruner(granularity="weight", phase1=SMALL, phase2=SMALL)
    return search.fit(accuracy_on(X, Y) if evaluate is None else evaluate, **options)


def bad_fit(name, words, evaluate=None, **options):
    return Bad(f"fit of a search: {name}", lambda _: searched(evaluate, **options), words)


def told(rows):
    search = pruner(granularity="weight", phase1=SMALL)
    candidates = search.ask()
    search.tell(candidates, rows(len(candidates)))
    return search.ask()


def foreign():
    search = pruner(granularity="weight", phase1=SMALL)
    search.tell([Candidate(99, np.ones(search.space.size, bool), 1)], np.zeros((1, 2)))


SEARCH = [
    bad_pruner("population 0", ("phase1", "pop", "0"), phase1={"pop": 0}),
    bad_pruner("population 1", ("phase1", "pop", "1", "2 or more"), phase1={"pop": 1}),
    bad_pruner("population NaN", ("phase2", "nan"), phase2={"pop": NAN}),
    bad_pruner("half a generation", ("phase1", "gen", "1.5"), phase1={"gen": 1.5}),
    bad_pruner("population as words", ("phase1", "'4'"), phase1={"pop": "4"}),
    bad_pruner("a phase as a list", ("phase1", "mapping"), phase1=[4, 1]),
    bad_pruner("another word in a phase", ("phase1", "population", "'pop'"), phase1={"population": 4}),
    bad_pruner("everything frozen", ("nothing that can be pruned",), frozen=["0", "2", "4"]),
    bad_pruner("every weight frozen", ("nothing that can be pruned",), granularity="weight", frozen=["0", "2", "4"]),
    bad_pruner("one name as frozen", ("frozen", "a list"), frozen="0"),
    bad_pruner("corridor NaN", ("corridor", "nan"), corridor=(NAN, NAN)),
    bad_pruner("corridor of one", ("corridor", "heavy, light"), corridor=0.1),
    bad_pruner("corridor turned round", ("corridor", "0.5"), corridor=(0.5, 0.1)),
    bad_pruner("escape NaN", ("escape", "nan"), escape=NAN),
    bad_pruner("seed as a fraction", ("seed", "1.5"), seed=1.5),
    bad_pruner("min_keep below 0", ("min_keep", "-1"), granularity="weight", min_keep=-1),
    bad_pruner("units that may all go", ("min_keep", "at least 1"), min_keep=0),
    bad_pruner("min_keep above every layer", ("min_keep", "100"), min_keep=100),
    bad_pruner("unknown seeds", ("seeds", "'normalised'"), seeds="global"),
    bad_pruner("data that magnitude has no use for", ("data", "no use"), data=[(X, Y)]),
    bad_pruner("data for magnitudes of weights", ("data", "no use"), granularity="weight", data=[(X, Y)]),
    bad_pruner("Taylor scores of NaN", ("data", "nan"), importance="taylor", data=[(X * NAN, Y)]),
    bad_pruner("one objective twice", ("objectives", "different"), objectives=("error", "macs", "macs")),
    bad_pruner("no engine", ("engine", "nsga2"), engine=None),
    Bad("EvolutionaryPruner: no network", lambda _: EvolutionaryPruner(None, X[:2]), ("model", "nonetype")),
    bad_fit("budget NaN", ("budget", "nan"), budget=NAN),
    bad_fit("negative budget", ("budget", "-5"), budget=-5),
    bad_fit("no jobs", ("jobs", "0"), jobs=0),
    bad_fit("an unknown executor", ("executor", "spark"), executor="spark"),
    bad_fit("evaluate that isn't called", ("evaluate", "int", "accuracy_on"), 3),
    bad_fit("evaluate that gives words", ("evaluate", "'good'"), lambda model: "good"),
    bad_fit("evaluate that gives NaN", ("without finite objectives",), lambda model: NAN),
    bad_fit("racing by a function", ("racing", "function"), lambda model: 0.1, racing=True),
    bad_fit("a test set beside a function", ("test", "function"), lambda model: 0.1, test=(X, Y)),
    bad_fit("a test set without labels", ("test", "inputs, targets"), test=X),
    bad_fit("preparation by a function", ("preparation", "function"), lambda model: 0.1, preparation=Preparation(X)),
    bad_fit("preparation on the validation set", ("preparation", "40 of 40"), preparation=Preparation(X)),
    Bad("Preparation: one input", lambda _: Preparation(X[:1]), ("preparation", "1 inputs")),
    Bad("Preparation: steps without targets", lambda _: Preparation(X, steps=3), ("preparation", "no targets")),
    Bad("Preparation: NaN", lambda _: Preparation(X * NAN), ("training inputs", "nan")),
    Bad("Preparation: a rate of 0", lambda _: Preparation(X, lr=0.0), ("lr", "0.0")),
    Bad("Preparation: half a step", lambda _: Preparation(X, Y, steps=2.5), ("steps", "2.5")),
    Bad("Preparation: batches of a fraction", lambda _: Preparation(X, Y, batch_size=8.5), ("batch_size", "8.5")),
    Bad("Preparation: statistics of a fraction", lambda _: Preparation(X, statistics=3.5), ("statistics", "3.5")),
    Bad("Preparation: no tensor", lambda _: Preparation([1.0, 2.0]), ("preparation", "list")),
    Bad("accuracy_on: nothing", lambda _: accuracy_on(X[:0], Y[:0]), ("validation data", "at least one")),
    Bad("accuracy_on: unlike lengths", lambda _: accuracy_on(X, Y[:3]), ("40 inputs, 3 labels",)),
    Bad("accuracy_on: infinity", lambda _: accuracy_on(X * INF, Y), ("infinity",)),
    Bad("accuracy_on: batches of 0", lambda _: accuracy_on(X, Y, batch_size=0), ("batch_size", "0")),
    Bad("accuracy_on: labels as a list", lambda _: accuracy_on(X, [0] * 40), ("validation data", "two tensors")),
    bad_fit("inputs of another width", ("failed on its input", "(40, 5)"), accuracy_on(torch.randn(40, 5), Y)),
    bad_fit("inputs in 8 bits", ("failed on its input",), accuracy_on((10 * X).byte(), Y)),
    bad_fit("labels of NaN", ("targets", "nan"), accuracy_on(X, Y * NAN)),
    bad_fit("labels below 0", ("-1",), accuracy_on(X, Y - 1 - Y.min())),
    Bad(
        "fit of a search: a network that gives a tuple",
        lambda _: EvolutionaryPruner(TwoOutputs(), X[:2], granularity="weight").fit(accuracy_on(X, Y)),
        ("the network's output", "tuple"),
    ),
    Bad(
        "begin_with: masks of another width",
        lambda _: pruner(granularity="weight").begin_with(np.ones((2, 10), bool)),
        ("masks", "(2, 10)"),
    ),
    Bad("tell: too few rows", lambda _: told(lambda n: np.zeros((1, 2))), ("objectives", "(1, 2)")),
    Bad("tell: too many columns", lambda _: told(lambda n: np.zeros((n, 3))), ("objectives", "3")),
    Bad("tell: only NaN", lambda _: told(lambda n: np.full((n, 2), NAN)), ("without finite objectives",)),
    Bad("tell: nobody asked", lambda _: foreign(), ("candidates", "99")),
    Bad("ask: none", lambda _: pruner().ask(0), ("n;", "0")),
    Bad("pick before anything ran", lambda _: pruner().result().pick((X, Y)), ("the front", "no point")),
    Bad("pick: an index that isn't one", lambda _: searched().pick((X, Y), index=1.5), ("index", "1.5")),
    Bad("pick: beyond the front", lambda _: searched().pick((X, Y), index=999), ("index", "999")),
    Bad("pick: NaN more error", lambda _: searched().pick((X, Y), max_error_increase=NAN), ("nan",)),
    Bad("pick: no labels", lambda _: searched().pick(X), ("held_out", "inputs, targets")),
    Bad("a front from nowhere", lambda tmp: ParetoResult.load(tmp / "no.pt", pruner().space), ("no.pt",)),
]


def exits(cuts=("1",), **options):
    with local_rng(0):
        kind = {"exit_output": "logits", "outputs": 3, **options}
        return attach_exits(mlp(6, 3, (8, 8)).eval(), cuts, X[:2], **kind).eval()


def asked(x, thresholds=(0.5,)):
    return exits()(x, thresholds=list(thresholds))


def calibrated(x=X, relevant=None, **goal):
    flags = torch.ones(len(X), dtype=torch.bool) if relevant is None else relevant
    return calibrate_exits(exits(), [x], flags, **goal)


def with_other_weights():
    model = exits()
    harmful = {"1": torch.arange(40) < 4}
    calibrate_exits(model, [X], torch.ones(40), harmful=harmful, max_false_skip=0.5)
    with torch.no_grad():
        model.model[0].weight.mul_(1.1)
    return model(X)


def other_cuts():
    model = exits()
    model.policy = ExitPolicy(("9",), (0.5,), 0.1, 0.95, 10, (0,), (0.1,))


def at_another_scale():
    model = exits()
    harmful = {"1": torch.arange(40) < 4}
    calibrate_exits(model, [X], torch.ones(40), harmful=harmful, max_false_skip=0.5)
    return model(255 * X)


SCORES, HALF = torch.arange(40.0), torch.arange(40) < 20

EXITS = [
    Bad("exits: a frame of NaN", lambda _: asked(X * NAN), ("x;", "nan", "samples [0, 1")),
    Bad("exits: a frame of infinity", lambda _: asked(X * INF), ("x;", "infinity")),
    Bad("exits: 8-bit frames", lambda _: asked((10 * X).byte()), ("torch.uint8", "/ 255")),
    Bad("exits: frames in 0..255", lambda _: asked(X.abs() * 255), ("x;", "scale", "/ 255")),
    Bad("exits: frames in 0..255 after calibration", lambda _: at_another_scale(), ("scale", "calibrate again")),
    Bad("exits: frames of another width", lambda _: asked(X[:, :5]), ("x;", "(40, 5)", "(n, 6)")),
    Bad("exits: a frame without a batch", lambda _: asked(X[0]), ("x;", "shape (6,)")),
    Bad("exits: a list of frames", lambda _: asked([1.0]), ("x;", "list")),
    Bad("exits: two thresholds for one cut", lambda _: asked(X, (0.5, 0.5)), ("thresholds", "1 numbers")),
    Bad("exits: no thresholds for one cut", lambda _: asked(X, ()), ("thresholds", "1 numbers")),
    Bad("exits: a threshold of NaN", lambda _: asked(X, (NAN,)), ("thresholds", "nan")),
    Bad("exits: neither policy nor thresholds", lambda _: exits()(X), ("thresholds", "calibrate_exits")),
    Bad("exits: a policy of other weights", lambda _: with_other_weights(), ("policy", "other weights", "calibrate")),
    Bad("exits: a policy of other cuts", lambda _: other_cuts(), ("policy", "'9'")),
    Bad("attach_exits: nowhere", lambda _: exits(()), ("cuts", "none")),
    Bad("attach_exits: a module that isn't there", lambda _: exits(("7",)), ("cut", "'7'")),
    Bad("attach_exits: twice at one place", lambda _: exits(("1", "1")), ("cuts", "order")),
    Bad("attach_exits: logits of nobody knows how many", lambda _: exits(outputs=None), ("outputs",)),
    Bad("attach_exits: blank without an empty answer", lambda _: exits(exit_output="blank"), ("empty_output",)),
    Bad("ExitHead: an unknown pooling", lambda _: ExitHead(4, pool="median"), ("pool", "median")),
    Bad("head_logits: no batch", lambda _: head_logits(exits(), []), ("batches", "none")),
    Bad("calibrate_exits: NaN", lambda _: calibrated(X * NAN), ("x;", "nan")),
    Bad("calibrate_exits: flags of NaN", lambda _: calibrated(relevant=torch.full((40,), NAN)), ("relevant", "nan")),
    Bad("calibrate_exits: flags of 2", lambda _: calibrated(relevant=torch.full((40,), 2)), ("relevant", "2")),
    Bad("calibrate_exits: too few flags", lambda _: calibrated(relevant=HALF[:3]), ("relevant", "(3,)", "(40,)")),
    Bad("calibrate_exits: only a crowd", lambda _: calibrated(relevant=torch.full((40,), -1)), ("0 of 0",)),
    Bad("calibrate_exits: too few samples", lambda _: calibrated(relevant=HALF), ("20 relevant", "at least 59")),
    Bad(
        "calibrate_exits: nothing may leave",
        lambda _: calibrated(target_speedup=1.2),
        ("calibration data", "exits do not pay"),
    ),
    Bad("calibrate_exits: two goals", lambda _: calibrated(target_speedup=2, utility=(1, 1)), ("one goal",)),
    Bad("calibrate_exits: certainty", lambda _: calibrated(confidence=1.0), ("confidence", "1.0")),
    Bad("calibrate_exits: a word of certainty", lambda _: calibrated(confidence="95 %"), ("confidence", "95 %")),
    Bad("calibrate_exits: a negative share", lambda _: calibrated(max_false_skip=-0.1), ("max_false_skip", "-0.1")),
    Bad(
        "calibrate_exits: slower",
        lambda _: calibrated(relevant=HALF, target_speedup=0.5),
        ("target_speedup", "(1, inf)", "0.5"),
    ),
    Bad("calibrate_exits: NaN times faster", lambda _: calibrated(relevant=HALF, target_speedup=NAN), ("nan",)),
    Bad("calibrate_exits: a cost of NaN", lambda _: calibrated(relevant=HALF, utility=(NAN, 1.0)), ("utility",)),
    Bad(
        "calibrate_exits: a metric of NaN",
        lambda _: calibrated(relevant=HALF, max_map_drop=0.1, metric=lambda left: NAN),
        ("metric", "nan"),
    ),
    Bad(
        "calibrate_exits: harm at another cut",
        lambda _: calibrated(harmful={"3": HALF}, max_false_skip=0.5),
        ("harmful", "'3'", "'1'"),
    ),
    Bad("certify: scores of NaN", lambda _: certify(SCORES * NAN, HALF, HALF, max_harm=0.5), ("scores", "nan")),
    Bad("certify: a matrix of scores", lambda _: certify(SCORES[:, None], HALF, HALF, max_harm=0.5), ("(40, 1)",)),
    Bad("certify: unlike lengths", lambda _: certify(SCORES, HALF[:7], HALF, max_harm=0.5), ("relevant", "(7,)")),
    Bad("certify: a share of 1", lambda _: certify(SCORES, HALF, HALF, max_harm=1.0), ("max_harm", "1")),
    Bad(
        "certify: a grid of NaN",
        lambda _: certify(SCORES, HALF, HALF, max_harm=0.5, grid=torch.tensor([NAN])),
        ("grid", "nan"),
    ),
    Bad("samples_needed: to certify 0", lambda _: samples_needed(0.0, 0.05), ("alpha", "0.0")),
    Bad("expected_cost: nobody", lambda _: expected_cost(exits(), torch.zeros(0).long()), ("left", "at least one")),
    Bad("expected_cost: cuts that aren't there", lambda _: expected_cost(exits(), torch.tensor([5])), ("0..1",)),
    Bad("expected_cost: halves of cuts", lambda _: expected_cost(exits(), torch.tensor([0.5])), ("left", "float")),
    Bad(
        "expected_cost: too few flags",
        lambda _: expected_cost(exits(), torch.tensor([0, 1]), harmful=HALF),
        ("harmful", "(40,)"),
    ),
    Bad("Levels: nobody counts", lambda _: Levels(SCORES[:, None], ~HALF & HALF, HALF[:, None], (1, 2)), ("relevant",)),
    Bad("TemporalGate: never looked at again", lambda _: TemporalGate(refresh=0), ("refresh=0",)),
    Bad("export_exits: a classifier", lambda tmp: export_exits(exits(), tmp, threshold=0.5), ("'blank'",)),
    Bad("ExitPolicy.load: nothing", lambda tmp: ExitPolicy.load(tmp / "policy.json"), ("cannot read",)),
    Bad(
        "BlankSkipLoss: flags for other frames",
        lambda _: BlankSkipLoss()(0.0, {"1": SCORES[:, None]}, HALF[:3]),
        ("occupied", "(3,)", "(40, 1)"),
    ),
    Bad("BlankSkipLoss: a negative weight", lambda _: BlankSkipLoss(weight=-1.0), ("weight", "-1")),
    Bad("deepwright exits: a share of 2", lambda tmp: command("exits", "--max-harm", 2, "--out", tmp), ("max-harm",)),
    Bad("deepwright exits: int8", lambda tmp: command("exits", "--int8", "--out", tmp), ("--int8",)),
]


def selector(**options):
    with local_rng(0):
        return PrunedSelector(mlp(6, 3, (8, 8)), X[:2], **options)


PRUNEFUSE = [
    Bad("PrunedSelector: everything removed", lambda _: selector(removed=1.0), ("removed", "1.0")),
    Bad("PrunedSelector: NaN removed", lambda _: selector(removed=NAN), ("removed", "nan")),
    Bad("PrunedSelector: an unknown criterion", lambda _: selector(criterion="magic"), ("criterion", "magic")),
    Bad("PrunedSelector: a criterion that needs data", lambda _: selector(criterion="taylor"), ("data", "taylor")),
    Bad(
        "PrunedSelector: a generator that l2 has no use for",
        lambda _: selector(generator=torch.Generator()),
        ("generator", "l2"),
    ),
    Bad("PrunedSelector: nothing to prune", lambda _: PrunedSelector(nn.Linear(6, 3), X[:2]), ("nothing", "pruned")),
    Bad("PrunedSelector: no network", lambda _: PrunedSelector(None, X[:2]), ("model", "nonetype")),
    Bad("DistillLoss: a weight of 2", lambda _: DistillLoss(None, weight=2.0), ("weight", "2.0")),
    Bad("DistillLoss: no temperature", lambda _: DistillLoss(None, temperature=0.0), ("temperature", "0.0")),
    Bad("DistillLoss: a temperature of infinity", lambda _: DistillLoss(None, temperature=INF), ("temperature", "inf")),
    Bad(
        "DistillLoss: another number of the teacher's rows",
        lambda _: DistillLoss(None)(torch.zeros(4, 3), torch.zeros(2, 3), torch.zeros(4).long()),
        ("teacher", "(2, 3)", "(4, 3)"),
    ),
    Bad(
        "fuse: another network's selector",
        lambda _: selector().fuse(mlp(6, 3, (2, 2))),
        ("0.weight",),
    ),
    Bad("fuse: an unknown rest", lambda _: selector().fuse(selector().network, rest="ones"), ("rest", "ones")),
    Bad(
        "train_fused: batches of 0",
        lambda _: train_fused(s := selector(), s.fresh(), X, Y, batch_size=0),
        ("batch_size", "0"),
    ),
    Bad("train_fused: nothing", lambda _: train_fused(s := selector(), s.fresh(), X[:0], Y[:0]), ("training data",)),
]

ROWS = [*SEARCH, *EXITS, *PRUNEFUSE]

test_it_is_refused = over(ROWS)
