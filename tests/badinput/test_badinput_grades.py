"""Bad input to audits from Python, to what grades, compares and draws them, and to the room of risk."""

import json
import math

import torch
from refusals import Bad, over
from torch import nn

import deepwright as dw
from deepwright.checks import (
    Finding,
    NearestMean,
    Subject,
    TrivialPredictor,
    compare,
    read_findings,
    read_report,
    require_alike,
    resolve,
    run_check,
    subject_from_loaders,
)
from deepwright.core.results import Figure
from deepwright.core.tasks import Binary, Classification, MultiLabel, Regression
from deepwright.data import Data, Split
from deepwright.report import png, write_report
from deepwright.risk import (
    FragileLinearClassifier,
    FragilityIndex,
    FragilityLoss,
    FragilityTargetSearch,
    bootstrap_index,
    brier,
    ece,
    ece_by_chance,
    ece_interval,
    expected_cost,
    fit_temperature,
    fragility_curve,
    fragility_index,
    fragility_report,
    group_gap_pvalue,
    kl_roots,
    lipschitz_estimate,
    misjudgment,
    nll,
    reliability,
    selective_curve,
    tail_bound,
    temperature_gain,
    wasserstein_interval,
    worst_case_mean,
    worst_case_weights,
)

NAN = float("nan")
NET = nn.Linear(4, 3).eval()
X, Y = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
Z = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
XI = torch.linspace(-0.9, 0.3, 30).double()


def with_nan(values, row=2):
    values = values.clone()
    values[row] = NAN
    return values


def data(x=X, y=Y, classes=("a", "b", "c"), kind="tabular"):
    part = Split(x, y)
    return Data("made up", kind, classes, part, part, part)


def audit(*, model=NET, x=X, y=Y, **options):
    return dw.audit(model, [(x, y)], checks=["accuracy"], **options)


def pictures(low, high):
    return audit(model=nn.Flatten(), x=torch.linspace(low, high, 30 * 16).reshape(30, 1, 4, 4))


class Broken(nn.Module):
    """Logits with NaN from the twentieth sample on, where no first look sees them."""

    def forward(self, x):
        return torch.where((x[:, :1] > 0.5), NAN, x[:, :3])


def written(folder, content):
    (folder / "report.json").write_text(content)
    return folder / "report.json"


def evaluation(rows):
    return lambda _: (Z[:rows], Y[:rows])


ROWS = [
    # -- an audit, and its subject ------------------------------------------------------------------------------------
    Bad("audit of nothing", lambda _: dw.audit(NET), ("test", "nothing")),
    Bad("audit of a function", lambda _: dw.audit(len, [(X, Y)]), ("function len", "one row of scores")),
    Bad("audit of no batch", lambda _: dw.audit(NET, []), ("no batch",)),
    Bad("audit of an empty batch", lambda _: audit(x=X[:0], y=Y[:0]), ("sample",)),
    Bad("audit of batches without labels", lambda _: dw.audit(NET, [X]), ("batches of (inputs, targets)",)),
    Bad("audit of a tensor", lambda _: dw.audit(NET, X), ("batches of (inputs, targets)",)),
    Bad("audit of a number", lambda _: dw.audit(NET, 3), ("int", "batches")),
    Bad("audit of ragged batches", lambda _: dw.audit(NET, [(X, Y), (X[:, :3], Y)]), ("shape",)),
    Bad("audit of words", lambda _: dw.audit(NET, [(["a", "b"], Y[:2])]), ("tokenizer",)),
    Bad("audit of NaN inputs", lambda _: audit(x=with_nan(X)), ("NaN",)),
    Bad("audit of infinite inputs", lambda _: audit(x=X.clone().fill_(math.inf)), ("infinity",)),
    Bad("audit of fewer labels than inputs", lambda _: audit(y=Y[:20]), ("20", "30")),
    Bad("audit of labels with fractions", lambda _: audit(y=Y + 0.7, task=Classification(3)), ("fractions", "Regr")),
    Bad("audit of labels from 1", lambda _: audit(y=Y + 1, task=Classification(3)), ("0..2", "y - 1")),
    Bad("audit of a label -1", lambda _: audit(y=Y - 1, task=Classification(3)), ("-1..1",)),
    Bad("audit of NaN labels", lambda _: audit(y=with_nan(Y.float()), task=Classification(3)), ("NaN", "[2]")),
    Bad("audit of one-hot labels", lambda _: audit(y=torch.eye(3)[Y], task=Classification(3)), ("argmax",)),
    Bad("audit of complex labels", lambda _: audit(y=Y + 1j, task=Classification(3)), ("complex",)),
    Bad("audit of bytes that are no pictures", lambda _: audit(x=(X * 9).byte()), ("uint8",)),
    Bad("audit of pixels up to 255", lambda _: pictures(0, 255), ("255", "[0, 1]")),
    Bad("audit of pixels below 0", lambda _: pictures(-1, 1), ("-1", "[0, 1]")),
    Bad("audit of another number of features", lambda _: audit(x=X[:, :2]), ("shape",)),
    Bad(
        "audit of a network that gives NaN", lambda _: audit(model=Broken(), task=Classification(3)), ("NaN", "samples")
    ),
    Bad("audit of a softmax", lambda _: audit(model=nn.Sequential(NET, nn.Softmax(1))), ("probabilities", "outputs=")),
    Bad(
        "audit of a sigmoid",
        lambda _: audit(model=nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), y=Y % 2, task=Binary()),
        ("probabilities", "outputs="),
    ),
    Bad(
        "audit of logits as probabilities",
        lambda _: audit(task=Classification(3, outputs="probabilities")),
        ("sum to 1", "outputs='logits'"),
    ),
    Bad("audit of regression as classes", lambda _: audit(y=X[:, 0] * 7, task=Classification(3)), ("regression",)),
    Bad("audit of classes as several labels", lambda _: audit(task=MultiLabel(3)), ("0 and 1", "Classification")),
    Bad("audit with an option that isn't one", lambda _: audit(attack_limits=3), ("attack_limit",)),
    Bad("audit with a limit below 0", lambda _: audit(attack_limit=-5), ("attack_limit", "-5")),
    Bad("audit with a limit that is a half", lambda _: audit(ood_limit=0.5), ("ood_limit", "0.5")),
    Bad("audit with batches of nothing", lambda _: audit(batch_size=0), ("batch_size", "0")),
    Bad("audit with a seed that is a word", lambda _: audit(seed="a"), ("seed", "'a'")),
    Bad("audit with a seed below 0", lambda _: audit(seed=-1), ("seed", "-1")),
    Bad("audit with falling budgets", lambda _: audit(eps=(0.4, 0.2)), ("eps",)),
    Bad("audit with a budget that is NaN", lambda _: audit(eps=(NAN,)), ("eps",)),
    Bad("audit with a budget that is a word", lambda _: audit(eps="8/255"), ("eps",)),
    Bad("audit with a budget that is a number", lambda _: audit(eps=0.1), ("eps", "0.1")),
    Bad("audit with a task that is a word", lambda _: audit(task="regression"), ("task", "regression")),
    Bad("audit by an unknown check", lambda _: dw.audit(NET, [(X, Y)], checks=["acuracy"]), ("accuracy",)),
    Bad("audit by a check that is a number", lambda _: dw.audit(NET, [(X, Y)], checks=[3]), ("check", "3")),
    Bad("audit by one word", lambda _: dw.audit(NET, [(X, Y)], checks="accuracy"), ("checks", "accuracy")),
    Bad("audit by no check", lambda _: dw.audit(NET, [(X, Y)], checks=[]), ("checks", "none")),
    Bad("two checks of one name", lambda _: resolve(["cost", "cost"]), ("cost", "two")),
    Bad("audit with validation and no training", lambda _: audit(validation=[(X, Y)]), ("train",)),
    Bad("audit with too few names", lambda _: audit(class_names=["a", "b"]), ("2", "3")),
    Bad("audit with two equal names", lambda _: audit(class_names=["a", "a", "b"]), ("different",)),
    Bad("audit of a subject with a seed", lambda _: dw.audit(Subject(NET, data()), seed=1), ("seed", "Subject")),
    Bad("subject without data", lambda _: Subject(NET, X), ("data", "Tensor")),
    Bad("subject of no test sample", lambda _: Subject(NET, data(X[:0], Y[:0])), ("test", "sample")),
    Bad("subject of another number of classes", lambda _: Subject(NET, data(classes=("a", "b"))), ("3", "2")),
    Bad("subject of labels with fractions", lambda _: Subject(NET, data(y=Y + 0.7)), ("fractions", "regression")),
    Bad("subject of NaN features", lambda _: Subject(NET, data(with_nan(X))), ("NaN", "inputs")),
    Bad("subject of an unknown kind", lambda _: Subject(NET, data(kind="sound")), ("sound",)),
    Bad("a part that isn't one", lambda _: Subject(NET, data()).outputs("tests"), ("tests", "validation")),
    Bad(
        "loaders of regression without targets",
        lambda _: subject_from_loaders(NET, [(X, None)]),
        ("test loader", "target"),
    ),
    # -- findings, comparison, pages ----------------------------------------------------------------------------------
    Bad("a grade F", lambda _: Finding("a", "F", "s", {}), ("F", "A, B")),
    Bad("a value that is NaN", lambda _: Finding("a", "A", "s", {"x": NAN}).require_numbers(), ("x", "NaN")),
    Bad("a value that is a word", lambda _: Finding("a", "A", "s", {"x": "1"}).require_numbers(), ("x", "str")),
    Bad("a report that isn't there", lambda p: read_report(p / "none.json"), ("none.json", "report.json")),
    Bad("a report that isn't JSON", lambda p: read_findings(written(p, "{")), ("report.json",)),
    Bad("a report that is a list", lambda p: read_report(written(p, "[]")), ("report.json",)),
    Bad("a report of an unknown grade", lambda p: read_report(written(p, report("Z"))), ("Z",)),
    Bad("a report of words as values", lambda p: read_report(written(p, report(x="big"))), ("x", "big")),
    Bad("other tasks compared", lambda _: require_alike({"task": "a"}, {"task": "b"}), ("task a", "b")),
    Bad("a finding compared with a number", lambda _: compare([Finding("a", "A", "s", {})], [3]), ("findings", "int")),
    Bad("a page into a file", lambda p: write_report(dw.audit(NET, [(X, Y)], checks=["accuracy"]), file(p)), ("file",)),
    Bad("a picture of no figure", lambda p: png([], p / "f.png"), ("figures", "none")),
    Bad("a figure of an unknown kind", lambda _: Figure("pie", "t", []), ("pie", "bar")),
    Bad("nearest mean of nothing", lambda _: NearestMean.fit(Split(X[:0], Y[:0]), 3), ("sample",)),
    Bad("nearest mean of other classes", lambda _: NearestMean.fit(Split(X, Y), 2), ("labels", "0..1")),
    Bad("constant answer of no target", lambda _: TrivialPredictor(Regression(), torch.zeros(0, 1)), ("targets",)),
    Bad("a check that is no function", lambda _: run_check("a", 3, Subject(NET, data())), ("check", "3")),
    # -- risk ---------------------------------------------------------------------------------------------------------
    Bad("ece of a NaN row", lambda _: ece(with_nan(Z), Y), ("NaN", "[2]")),
    Bad("ece of all NaN", lambda _: ece(Z * NAN, Y), ("NaN",)),
    Bad("ece of probabilities", lambda _: ece(Z.softmax(1), Y), ("probabilities", "log")),
    Bad("ece of nothing", lambda _: ece(Z[:0], Y[:0]), ("(0, 3)",)),
    Bad("ece of one column", lambda _: ece(Z[:, :1], Y), ("(30, 1)",)),
    Bad("ece of labels with fractions", lambda _: ece(Z, Y + 0.5), ("fractions",)),
    Bad("ece of labels out of range", lambda _: ece(Z, Y + 1), ("0..2",)),
    Bad("ece of fewer labels", lambda _: ece(Z, Y[:9]), ("9", "30")),
    Bad("ece in no bin", lambda _: ece(Z, Y, bins=0), ("bins", "0")),
    Bad("ece in half a bin", lambda _: ece(Z, Y, bins=2.5), ("bins", "2.5")),
    Bad("ece's interval of no resample", lambda _: ece_interval(Z, Y, rows=0), ("rows", "0")),
    Bad("ece by chance of NaN", lambda _: ece_by_chance(with_nan(Z)), ("NaN",)),
    Bad("reliability of whole numbers", lambda _: reliability(Y[:, None].expand(-1, 3), Y), ("int64", "floats")),
    Bad("brier of infinity", lambda _: brier(Z / 0, Y), ("infinity",)),
    Bad("nll of rank 3", lambda _: nll(Z[None], Y), ("(1, 30, 3)",)),
    Bad("temperature of NaN", lambda _: fit_temperature(with_nan(Z), Y), ("NaN",)),
    Bad("temperature where all are right", lambda _: fit_temperature(9 * torch.eye(3)[Y], Y), ("30 of 30", "bracket")),
    Bad("temperature of one sample", lambda _: temperature_gain(Z[:1], Y[:1]), ("folds",)),
    Bad("temperature in one fold", lambda _: temperature_gain(Z, Y, folds=1), ("folds", "1")),
    Bad("index of NaN", lambda _: fragility_index(with_nan(Z), Y), ("NaN",)),
    Bad("index of probabilities", lambda _: fragility_index(Z.softmax(1), Y), ("probabilities",)),
    Bad("index of nothing", lambda _: fragility_index(Z[:0], Y[:0]), ("0 samples",)),
    Bad("index without labels", lambda _: fragility_index(Z), ("target", "labels")),
    Bad(
        "index of labels with fractions",
        lambda _: fragility_index(Z, Y + 0.5),
        ("target", "whole numbers", "regression"),
    ),
    Bad("index at a target that is NaN", lambda _: fragility_index(Z, Y, tau=NAN), ("tau", "NaN")),
    Bad("index of an unknown divergence", lambda _: fragility_index(Z, Y, divergence="js"), ("js", "kl")),
    Bad("index of an unknown input", lambda _: fragility_index(Z, Y, input="scores"), ("scores", "xi")),
    Bad("index of weights below 0", lambda _: fragility_index(Z, Y, weights=-torch.ones(30)), ("weights", "-1")),
    Bad("index of fewer weights", lambda _: fragility_index(Z, Y, weights=torch.ones(3)), ("weights", "3", "30")),
    Bad("scores of an unknown kind", lambda _: misjudgment(Z, Y, "margin"), ("margin", "prob_margin")),
    Bad("roots of NaN", lambda _: kl_roots(with_nan(XI)[None], XI[:1]), ("NaN",)),
    Bad("roots at NaN", lambda _: kl_roots(XI[None], XI[:1] * NAN), ("tau", "NaN")),
    Bad("roots of one rank too few", lambda _: kl_roots(XI, XI[:1]), ("(30,)",)),
    Bad("roots of nothing", lambda _: kl_roots(XI[None, :0], XI[:1]), ("(1, 0)",)),
    Bad("roots of fewer targets", lambda _: kl_roots(XI.reshape(3, 10), XI[:2]), ("tau", "2", "3")),
    Bad("worst weights of NaN", lambda _: worst_case_weights(with_nan(XI)), ("NaN",)),
    Bad("worst weights of nothing", lambda _: worst_case_weights(XI[:0]), ("(0,)",)),
    Bad("worst weights at NaN", lambda _: worst_case_weights(XI, NAN), ("tau", "NaN")),
    Bad("worst mean of NaN", lambda _: worst_case_mean(with_nan(XI), 0.1), ("NaN",)),
    Bad("worst mean of a divergence below 0", lambda _: worst_case_mean(XI, -0.1), ("rho", "-0.1")),
    Bad("worst mean of an infinite divergence", lambda _: worst_case_mean(XI, math.inf), ("rho", "inf")),
    Bad("curve of NaN", lambda _: fragility_curve(with_nan(XI), XI[:2]), ("NaN",)),
    Bad("curve at no target", lambda _: fragility_curve(XI, XI[:0]), ("taus", "(0,)")),
    Bad("tail below the target", lambda _: tail_bound(0.5, -1.0), ("t", "-1")),
    Bad("tail of an index below 0", lambda _: tail_bound(-0.5, 1.0), ("index", "-0.5")),
    Bad("bootstrap of nothing", lambda _: bootstrap_index(XI[:0]), ("(0,)",)),
    Bad("bootstrap of no resample", lambda _: bootstrap_index(XI, rows=0), ("rows", "0")),
    Bad("groups of another length", lambda _: group_gap_pvalue(XI, Y[:5]), ("groups",)),
    Bad("selective curve of no point", lambda _: selective_curve(XI, XI, points=0), ("points", "0")),
    Bad("selective curve of other lengths", lambda _: selective_curve(XI, XI[:5]), ("confidence", "5", "30")),
    Bad("cost of another matrix", lambda _: expected_cost(Z.softmax(1), Y, torch.eye(2)), ("cost_matrix", "(2, 2)")),
    Bad("report of NaN", lambda _: fragility_report(with_nan(Z), Y), ("NaN",)),
    Bad("loss at a target of 0", lambda _: FragilityLoss(0.0), ("target", "0")),
    Bad("loss of an unknown mode", lambda _: FragilityLoss(0.5, "sum"), ("sum", "tilted")),
    Bad("loss of nothing", lambda _: FragilityLoss(0.5)(Z[:0], Y[:0]), ("0 samples",)),
    Bad("loss of labels out of range", lambda _: FragilityLoss(0.5)(Z, Y + 1), ("0..2",)),
    Bad("loss of labels with fractions", lambda _: FragilityLoss(0.5)(Z, Y + 0.5), ("target", "whole")),
    Bad("metric in one bin", lambda _: FragilityIndex(bins=1), ("bins", "1")),
    Bad("metric of no batch", lambda _: FragilityIndex().compute(), ("update",)),
    Bad("search over one class", lambda _: search().run(1), ("classes", "1")),
    Bad("search over no target", lambda _: search().run(3, grid=[]), ("grid", "[]")),
    Bad("search over a target below 0", lambda _: search().run(3, grid=[-0.5]), ("grid", "-0.5")),
    Bad("search with a drop above 1", lambda _: FragilityTargetSearch(len, len, max_accuracy_drop=2), ("drop", "2")),
    Bad("slope of no step", lambda _: lipschitz_estimate(NET, X, Y, steps=0), ("steps", "0")),
    Bad("slope at NaN", lambda _: lipschitz_estimate(NET, with_nan(X), Y), ("NaN",)),
    Bad("transport at NaN", lambda _: wasserstein_interval(NET, with_nan(X), Y), ("NaN",)),
    Bad("linear fit of NaN", lambda _: FragileLinearClassifier().fit(with_nan(X), Y), ("finite numbers",)),
    Bad("linear fit of one class", lambda _: FragileLinearClassifier().fit(X, Y * 0), ("class",)),
]


def report(grade="A", **values):
    row = Finding("a", grade if grade != "Z" else "A", "s", {}).to_dict() | {"grade": grade, "values": values}
    return json.dumps({"subject": {}, "findings": [row]})


def file(folder):
    (folder / "file").write_text("in the way")
    return folder / "file"


def search():
    return FragilityTargetSearch(lambda target: NET, evaluation(30))


test_it_is_refused = over(ROWS)
