"""Bad input to detectors and their metrics, to fitting, activations, tasks and statistics, and to networks."""

import functools
from dataclasses import replace

import numpy as np
import torch
from refusals import Bad, over
from torch import nn

from deepwright.core import statistics
from deepwright.core.features import Activations, extract
from deepwright.core.fit import Selection, fit
from deepwright.core.randomness import Streams
from deepwright.core.statistics import bootstrap, conformal_pvalues, drift_pvalue, mcnemar, paired_permutation, wilson
from deepwright.core.tasks import Binary, Classification, Regression, infer
from deepwright.nets import cifar_resnet, imagenet_resnet, mlp
from deepwright.ood import (
    ALL,
    BBAS,
    KNN,
    MDS,
    MSP,
    ODIN,
    SHE,
    ConformalFusion,
    DetectorSuite,
    DriftAlarm,
    Energy,
    Entropy,
    MaxLogit,
    aupr,
    auroc,
    complete_linkage,
    detection_error,
    fpr_at_tpr,
)
from deepwright.ood.bbas.clustering import k_means

NAN, INF = float("nan"), float("inf")
NET = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
X, Y = torch.tensor([[0.0, 1], [1, 0], [1, 1], [2, 1]]), torch.tensor([0, 1, 0, 1])
ONE, TWO = torch.tensor([0.0, 1, 2]), torch.tensor([1.0, 2, 3])


@functools.cache
def known() -> Activations:
    return extract(NET, [(X, Y)])


def with_nan(where: str) -> Activations:
    """Activations of which one number is NaN."""
    acts, broken = known(), None
    if where == "layer":
        return replace(acts, layers={"0": acts.layers["0"] * torch.tensor([[1.0], [NAN], [1], [1]])})
    broken = getattr(acts, where).clone()
    broken[1, 0] = NAN
    return replace(acts, **{where: broken})


def sure(model: nn.Module) -> nn.Module:
    return nn.Sequential(model, nn.Softmax(1))


class Moody(nn.Module):
    """Gives something else than logits."""

    def __init__(self, out):
        super().__init__()
        self.w, self.out = nn.Parameter(torch.ones(1)), out

    def forward(self, x):
        return self.out(x)


def probabilities() -> Activations:
    return replace(known(), logits=torch.tensor([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1], [0.5, 0.5]]))


def labelled(y: torch.Tensor) -> Activations:
    return replace(known(), labels=y)


FITTED = [cls for cls in ALL if cls is not ODIN]

ROWS = [
    # detectors
    *(
        Bad(
            f"{cls.__name__} fitted on features that are NaN",
            lambda _, c=cls: c().fit(with_nan("features")),
            ("features", "nan"),
        )
        for cls in FITTED
        if "features" in cls().needs
    ),
    *(
        Bad(
            f"{cls.__name__} fitted on logits that are NaN",
            lambda _, c=cls: c().fit(with_nan("logits")),
            ("logits", "nan"),
        )
        for cls in FITTED
    ),
    Bad("BBAS fitted on a layer that is NaN", lambda _: BBAS().fit(with_nan("layer")), ("'0'", "nan")),
    Bad(
        "KNN scores features that are NaN",
        lambda _: KNN().fit(known()).score(with_nan("features")),
        ("features", "nan"),
    ),
    Bad("MSP scores logits that are NaN", lambda _: MSP().score(with_nan("logits")), ("logits", "nan")),
    Bad("BBAS scores a layer that is NaN", lambda _: BBAS().fit(known()).score(with_nan("layer")), ("'0'", "nan")),
    *(
        Bad(
            f"{cls.__name__} of probabilities", lambda _, c=cls: c().score(probabilities()), ("probabilities", "logits")
        )
        for cls in (MSP, MaxLogit, Energy, Entropy)
    ),
    Bad("ODIN of a network with softmax", lambda _: ODIN().bind(sure(NET)).score(X), ("probabilities", "logits")),
    Bad("MDS fitted on probabilities", lambda _: MDS().fit(probabilities()), ("probabilities", "logits")),
    Bad(
        "MDS with labels that are negative",
        lambda _: MDS().fit(labelled(torch.tensor([-1, 0, 1, 0]))),
        ("labels", "-1"),
    ),
    Bad("MDS with a label too many", lambda _: MDS().fit(labelled(torch.tensor([0, 1, 2, 0]))), ("labels", "0..1")),
    Bad("SHE with labels as floats", lambda _: SHE().fit(labelled(Y.float())), ("labels", "float32")),
    Bad("BBAS with fewer labels than samples", lambda _: BBAS().fit(labelled(Y[:3])), ("labels", "3", "4")),
    Bad(
        "MDS without a sample of a class",
        lambda _: MDS().fit(labelled(torch.zeros(4).long())),
        ("classes [1]", "no samples"),
    ),
    Bad("BBAS of a layer that isn't there", lambda _: BBAS(layers=["1"]).fit(known()), ("layer", "'1'")),
    Bad("BBAS of no layer", lambda _: BBAS(layers=[]).fit(known()), ("layers", "none")),
    Bad("MDS of a layer that isn't there", lambda _: MDS(layers=("9",)).fit(known()), ("layer", "'9'")),
    Bad("BBAS of half a cluster", lambda _: BBAS(n_clusters=0.5), ("n_clusters", "0.5")),
    Bad("BBAS with a margin that is NaN", lambda _: BBAS(margin=NAN), ("margin", "nan")),
    Bad("BBAS with no linkage", lambda _: BBAS(max_linkage=0), ("max_linkage", "0")),
    Bad("BBAS with no job", lambda _: BBAS(jobs=0).fit(known()), ("jobs", "0")),
    Bad("BBAS that would leave all classes out", lambda _: BBAS(prob_floor=1.0), ("prob_floor", "1")),
    Bad("KNN of half a neighbour", lambda _: KNN(k=1.5), ("k", "1.5")),
    Bad(
        "KNN of other features than at fit",
        lambda _: KNN().fit(known()).score(replace(known(), features=torch.rand(4, 5))),
        ("features", "5", "3"),
    ),
    Bad("MSP at a temperature that is NaN", lambda _: MSP(temperature=NAN), ("temperature", "nan")),
    Bad("calibration on scores that are NaN", lambda _: MSP().calibrate(torch.tensor([0.1, NAN])), ("scores", "nan")),
    Bad("calibration at a share that is NaN", lambda _: MSP().calibrate(ONE, tpr=NAN), ("tpr", "nan")),
    Bad(
        "a state of another detector", lambda _: KNN().load_state_dict(MDS().fit(known()).state_dict()), ("mds", "knn")
    ),
    Bad("a state that is no detector's", lambda _: KNN().load_state_dict(NET.state_dict()), ("state of knn",)),
    Bad("a suite of no detector", lambda _: DetectorSuite(NET, []), ("detectors", "none")),
    Bad("a suite fitted on no batch", lambda _: DetectorSuite(NET).fit([]), ("no batch",)),
    Bad("a suite of what is no detector", lambda _: DetectorSuite(NET, ["MSP"]), ("detectors", "'msp'")),
    Bad("a suite that scores before its fit", lambda _: DetectorSuite(NET, [KNN()]).score([X]), ("knn", "fit")),
    # metrics
    *(
        Bad(f"{metric.__name__} of {what}", lambda _, m=metric, b=bad: m(ONE, b), ("ood_scores", word))
        for metric in (auroc, aupr, fpr_at_tpr, detection_error)
        for what, bad, word in (
            ("scores that are NaN", torch.tensor([NAN, 1.0]), "nan"),
            ("no scores", torch.empty(0), "no scores"),
            ("words", ["a"], "str"),
        )
    ),
    Bad("fpr_at_tpr at a share above 1", lambda _: fpr_at_tpr(ONE, TWO, tpr=1.5), ("tpr", "1.5")),
    Bad(
        "fusion of unlike lengths",
        lambda _: ConformalFusion().calibrate({"a": torch.rand(30), "b": torch.rand(29)}),
        ("29", "30"),
    ),
    Bad("fusion of nothing", lambda _: ConformalFusion().calibrate({}), ("calibration scores", "none")),
    Bad(
        "fusion of scores that are NaN",
        lambda _: ConformalFusion().calibrate({"a": torch.full((30,), NAN)}),
        ("'a'", "nan"),
    ),
    Bad(
        "fusion of other detectors than calibrated",
        lambda _: ConformalFusion().calibrate({"a": torch.rand(30)}).pvalues({"b": ONE}),
        ("'a'", "'b'"),
    ),
    Bad("a drift alarm on scores", lambda _: DriftAlarm(0.1).update(torch.rand(5)), ("alarms", "float")),
    Bad("clustering of what is NaN", lambda _: complete_linkage(torch.full((5, 2), NAN), 2), ("points", "nan")),
    Bad("clustering into no cluster", lambda _: complete_linkage(torch.rand(5, 2), 0), ("clusters", "0")),
    Bad("k-means with no least gain", lambda _: k_means(torch.rand(5, 2), 0.0), ("tau", "0")),
    Bad("k-means of nothing", lambda _: k_means(torch.rand(0, 2), 0.1), ("points", "none")),
    # activations
    Bad("activations of no batch", lambda _: extract(NET, []), ("no batch",)),
    Bad("activations of an empty batch", lambda _: extract(NET, [X[:0]]), ("0 samples",)),
    Bad("activations of bytes", lambda _: extract(NET, [X.to(torch.uint8)]), ("uint8", "floats", "/ 255")),
    Bad("activations of token ids of a network of floats", lambda _: extract(NET, [X.long()]), ("failed", "long")),
    Bad("activations of arrays", lambda _: extract(NET, [X.numpy()]), ("input batch", "ndarray")),
    Bad("activations of inputs that are NaN", lambda _: extract(NET, [X * NAN]), ("nan",)),
    Bad("activations of inputs of another width", lambda _: extract(NET, [torch.rand(4, 5)]), ("(4, 5)", "input")),
    Bad("activations with labels out of range", lambda _: extract(NET, [(X, Y + 1)]), ("labels", "1..2", "0..1")),
    Bad("activations with one label too few", lambda _: extract(NET, [(X, Y[:3])]), ("3", "4")),
    Bad("activations of batches of three parts", lambda _: extract(NET, [(X, Y, Y)]), ("batch", "3")),
    Bad(
        "activations of a network that gives maps",
        lambda _: extract(Moody(lambda x: x[:, None, None]), [X]),
        ("output", "(n, classes)"),
    ),
    Bad("activations of a network that gives a list", lambda _: extract(Moody(lambda x: [x]), [X]), ("output", "list")),
    Bad(
        "activations of a network with other rows", lambda _: extract(Moody(lambda x: x[:2]), [X]), ("output", "2", "4")
    ),
    Bad("activations of a function", lambda _: extract(len, [X]), ("model", "nn.module")),
    Bad("activations under a name that isn't there", lambda _: extract(NET, [X], ["7"]), ("unknown layer", "'7'")),
    Bad("activations under one name as text", lambda _: extract(NET, [X], "0"), ("layers", "'0'", "auto")),
    Bad("activations with labels in some batches only", lambda _: extract(NET, [(X, Y), X]), ("labels", "batch")),
    # fitting
    Bad("fit on a seed that is None", lambda _: fit(NET, (X, Y), seed=None), ("seed", "none")),
    Bad(
        "fit with the name of an optimizer",
        lambda _: fit(NET, (X, Y), optimizer="adam"),
        ("optimizer", "'adam'", "adamw"),
    ),
    Bad(
        "fit with an optimizer that is made",
        lambda _: fit(NET, (X, Y), optimizer=torch.optim.Adam(NET.parameters())),
        ("optimizer", "adam"),
    ),
    Bad("fit with the name of a loss", lambda _: fit(NET, (X, Y), loss="mse"), ("loss", "'mse'")),
    Bad("fit with a schedule's name", lambda _: fit(NET, (X, Y), scheduler="cosine"), ("scheduler", "'cosine'")),
    Bad(
        "fit that monitors NaN",
        lambda _: fit(NET, (X, Y), epochs=1, selection=Selection(lambda m: {"v": NAN}, "v")),
        ("'v'", "nan"),
    ),
    Bad(
        "fit that monitors words",
        lambda _: fit(NET, (X, Y), epochs=1, selection=Selection(lambda m: {"v": "good"}, "v")),
        ("'v'", "good"),
    ),
    Bad(
        "fit that validates to a number",
        lambda _: fit(NET, (X, Y), epochs=1, selection=Selection(lambda m: 0.5)),
        ("validate", "float"),
    ),
    Bad(
        "fit that monitors what validate doesn't give",
        lambda _: fit(NET, (X, Y), epochs=1, selection=Selection(lambda m: {"v": 1.0}, "w")),
        ("monitor", "'w'"),
    ),
    Bad("fit on inputs that are NaN", lambda _: fit(NET, (X * NAN, Y), epochs=1), ("nan",)),
    Bad("fit on labels out of range", lambda _: fit(NET, (X, Y + 1), epochs=1), ("first batch",)),
    Bad("fit on labels as floats", lambda _: fit(NET, (X, Y.float()), epochs=1), ("first batch", "float32")),
    Bad("fit on unlike lengths", lambda _: fit(NET, (X, Y[:3])), ("4", "3")),
    Bad("fit on nothing", lambda _: fit(NET, (X[:0], Y[:0])), ("0 samples",)),
    Bad("fit in half a batch", lambda _: fit(NET, (X, Y), batch_size=0.5), ("batch_size", "0.5")),
    Bad("fit of a function", lambda _: fit(len, (X, Y)), ("model", "nn.module")),
    # tasks
    Bad(
        "outputs as an array of objects",
        lambda _: Classification(2).read(np.array([["a", None]], dtype=object)),
        ("output", "object"),
    ),
    Bad("outputs as words", lambda _: Classification(2).read(np.array([["a", "b"]])), ("output", "<u1")),
    Bad("a task from a single number", lambda _: infer(torch.tensor(1.0), torch.tensor(1.0)), ("task", "()")),
    Bad("a task from no targets", lambda _: infer(torch.rand(0, 2), torch.rand(0)), ("task", "(0,")),
    Bad(
        "a mean of no targets",
        lambda _: Regression().baseline(torch.empty(0, 1), torch.rand(3, 1)),
        ("training targets", "none"),
    ),
    Bad(
        "a task of targets that are NaN",
        lambda _: Regression().check_targets(torch.tensor([NAN, 1.0])),
        ("targets", "nan"),
    ),
    Bad("a threshold that is NaN", lambda _: Binary(threshold=NAN), ("threshold", "nan")),
    Bad("a tolerance below 0", lambda _: Regression(tolerance=-1.0), ("tolerance", "-1")),
    # statistics
    Bad("a share of more than all", lambda _: wilson(5, 3), ("5 of 3",)),
    Bad("an interval at level 1", lambda _: wilson(1, 3, level=1.0), ("level", "1.0")),
    Bad("a bootstrap at a level in percent", lambda _: bootstrap(ONE, level=95), ("level", "95")),
    Bad("a bootstrap of what is NaN", lambda _: bootstrap(torch.tensor([NAN, 1.0])), ("values", "nan")),
    Bad("a bootstrap of one sample", lambda _: bootstrap(ONE[:1]), ("values", "1 of them", "two")),
    Bad("a bootstrap of no resample", lambda _: bootstrap(ONE, rows=0), ("rows", "0")),
    Bad("the mean of nothing", lambda _: statistics.mean_interval([]), ("values", "none")),
    Bad("the mean of what is NaN", lambda _: statistics.mean_interval([1.0, NAN]), ("values", "nan")),
    Bad("pairs of unlike lengths", lambda _: paired_permutation([1.0, 2.0], [1.0]), ("2", "1")),
    Bad("pairs that are NaN", lambda _: paired_permutation([1.0, NAN], [1.0, 2.0]), ("nan",)),
    Bad("two classifiers on unlike samples", lambda _: mcnemar(torch.ones(3).bool(), torch.ones(1).bool()), ("3", "1")),
    Bad(
        "two classifiers, one in a column",
        lambda _: mcnemar(torch.ones(3).bool(), torch.ones(3, 1).bool()),
        ("right", "(3, 1)"),
    ),
    Bad("two classifiers' scores", lambda _: mcnemar(torch.rand(3), torch.rand(3)), ("float32", "bool")),
    Bad("p-values above 1", lambda _: statistics.holm([0.1, 1.5]), ("p-values", "1.5")),
    Bad("p-values that are NaN", lambda _: statistics.benjamini_hochberg([0.1, NAN]), ("p-values", "nan")),
    Bad("an AUROC's interval without negatives", lambda _: statistics.newcombe(0.5, 3, 0), ("negatives", "0")),
    Bad(
        "conformal p-values from NaN",
        lambda _: conformal_pvalues(torch.tensor([NAN, 1.0]), ONE),
        ("calibration scores", "nan"),
    ),
    Bad("conformal p-values of NaN", lambda _: conformal_pvalues(ONE, torch.tensor([NAN])), ("scores", "nan")),
    Bad("more alarms than inputs", lambda _: drift_pvalue(5, 3, 0.1), ("5 of 3",)),
    Bad(
        "streams of samples as fractions",
        lambda _: Streams(0, torch.tensor([0.5, 1.0]), "noise"),
        ("samples", "float32"),
    ),
    # networks
    Bad("a perceptron without inputs", lambda _: mlp(0, 2), ("inputs", "0")),
    Bad("a perceptron with a layer of no width", lambda _: mlp(2, 2, (0,)), ("hidden", "0")),
    Bad("a residual network of depth 9", lambda _: cifar_resnet(9), ("depth", "9", "8")),
    Bad("a residual network of depth 19 for photographs", lambda _: imagenet_resnet(19), ("depth", "19")),
    Bad("a residual network of no class", lambda _: cifar_resnet(8, classes=0), ("classes", "0")),
]

test_it_is_refused = over(ROWS)
