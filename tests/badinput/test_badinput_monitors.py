"""Bad input to detectors of attacked inputs, and to attackers who know them."""

import functools

import torch
from refusals import Bad, over
from torch import nn

from deepwright.adversarial.semantic import (
    AdaptivePGD,
    ClassDistances,
    DenseFeatureDetector,
    DenseFeatures,
    FeatureSqueezing,
    ImageFeatures,
    JpegDifference,
    LocalDimension,
    Monitored,
    NearestFeatures,
    OneClassUncertainty,
    SequentialAlarm,
    SupervisedFeatures,
    Uncertainty,
    Watch,
    measure_detection,
)
from deepwright.core.covariances import inverse_root, ledoit_wolf
from deepwright.core.statistics import conformal_alarm_rate, most_conformal_alarms

NET = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)).eval()
X = torch.rand(30, 1, 6, 6, generator=torch.Generator().manual_seed(0))
MORE = torch.rand(60, 1, 6, 6, generator=torch.Generator().manual_seed(1))
HOLED = X.clone()
HOLED[2, 0, 0, 0] = torch.nan


@functools.cache
def ours() -> DenseFeatureDetector:
    return DenseFeatureDetector().bind(NET).fit(X).calibrate(MORE)


def bound(cls=ImageFeatures, *args):
    return cls(*args).bind(NET)


ROWS = [
    Bad("no network", lambda _: ImageFeatures().fit(X), ("ImageFeatures", "bind(model)")),
    Bad("a function as network", lambda _: Watch(print), ("model",)),
    Bad("a layer's name alone", lambda _: Watch(NET, "0"), ("layers", "'0'", "['0']")),
    Bad("no layers", lambda _: Watch(NET, []), ("layers", "none")),
    Bad("a layer that isn't there", lambda _: Watch(NET, ["9"])(X), ("layer", "'9'")),
    Bad("a fit on nothing", lambda _: bound().fit([]), ("0 samples",)),
    Bad("a fit on one image", lambda _: bound().fit(X[:1]), ("1", "three or more")),
    Bad("a fit on equal images", lambda _: bound().fit(X[:1].expand(9, 1, 6, 6)), ("all alike",)),
    Bad("a fit on NaN", lambda _: bound().fit(HOLED), ("NaN", "finite")),
    Bad("a fit on bytes", lambda _: bound().fit((X * 255).to(torch.uint8)), ("uint8", "x.float() / 255")),
    Bad("a fit on an array", lambda _: bound().fit([X.numpy()]), ("ndarray", "floats")),
    Bad("a fit on other channels", lambda _: bound().fit(X.expand(30, 2, 6, 6)), ("channels",)),
    Bad("inputs of another size", lambda _: ours().score(torch.rand(2, 1, 6, 7)), ("(1, 6, 7)", "(1, 6, 6)")),
    Bad("inputs of 0..255", lambda _: ours().score(X * 255), ("range", "as at fit")),
    Bad("no inputs", lambda _: ours().score(X[:0]), ("0 samples",)),
    Bad("calibrated on the fit", lambda _: bound().fit(X).calibrate(X), ("100%", "fitted on")),
    Bad("calibrated on few", lambda _: bound().fit(X).calibrate(MORE[:10]), ("10", "at least 19", "9 more")),
    Bad("two scores on few", lambda _: bound(DenseFeatureDetector).fit(X).calibrate(MORE[:20]), ("39", "19 more")),
    Bad("a rate of all", lambda _: bound().fit(X).calibrate(MORE, tpr=1.0), ("tpr",)),
    Bad(
        "scores of one for two",
        lambda _: bound(DenseFeatureDetector).fit(X).calibrate(X[:, 0, 0, 0]),
        ("clean inputs",),
    ),
    Bad("an alarm without calibration", lambda _: bound().fit(X).predict(X), ("calibrate",)),
    Bad("a fused score before it", lambda _: bound(DenseFeatureDetector).fit(X).score(X), ("calibrate",)),
    Bad("no scores to fuse", lambda _: DenseFeatureDetector(()), ("scores", "image")),
    Bad("a score that isn't one", lambda _: DenseFeatureDetector(("image", "odd")), ("scores", "odd")),
    Bad("a score twice", lambda _: DenseFeatureDetector(("image", "image")), ("scores", "once")),
    Bad("an unknown fusion", lambda _: DenseFeatureDetector(fuse="max"), ("fuse", "'max'")),
    Bad("an unknown statistic", lambda _: ImageFeatures(("mode",)), ("stats", "mode")),
    Bad("examples for none", lambda _: ours().examples(X), ("logistic",)),
    Bad("a heat map of whole images", lambda _: ours().heatmap(X), ("heat map", "dense")),
    Bad("a share of no positions", lambda _: DenseFeatures(0.0), ("top",)),
    Bad("an unknown uncertainty", lambda _: Uncertainty("doubt"), ("kind", "'doubt'")),
    Bad("a nu of 2", lambda _: OneClassUncertainty(2.0), ("nu",)),
    Bad("half bits", lambda _: FeatureSqueezing(bits=0.5), ("bits",)),
    Bad("an even median", lambda _: FeatureSqueezing(size=4), ("size", "odd")),
    Bad("a quality of 0", lambda _: JpegDifference(0), ("quality",)),
    Bad("no neighbours", lambda _: NearestFeatures(k=0), ("k",)),
    Bad("more neighbours than images", lambda _: bound(NearestFeatures, 50).fit(X), ("30", "50")),
    Bad("a dimension of one", lambda _: LocalDimension(k=1), ("k",)),
    Bad("a step backwards", lambda _: ClassDistances(-0.1), ("epsilon",)),
    Bad("no attacked images", lambda _: bound(SupervisedFeatures).fit(X), ("attacked",)),
    Bad("a monitor that alarms never", lambda _: Monitored(bound().fit(X)), ("calibrate",)),
    Bad("a report before calibration", lambda _: measure_detection(bound().fit(X), X, {}), ("calibrate",)),
    Bad("another network to attack", lambda _: AdaptivePGD(0.1, ours())(nn.Linear(2, 2), X, X), ("another network",)),
    Bad("an unknown way", lambda _: AdaptivePGD(0.1, ours(), way="loud"), ("way", "'loud'")),
    Bad("a weight of 0", lambda _: AdaptivePGD(0.1, ours(), weight=0), ("weight",)),
    Bad("no detector", lambda _: AdaptivePGD(0.1, NET), ("detector", "Sequential")),
    Bad("a drift of 1", lambda _: SequentialAlarm(drift=1.0), ("drift", "above 1")),
    Bad("a p-value of 0", lambda _: SequentialAlarm().update(0.0), ("p-values",)),
    Bad("no clean films", lambda _: SequentialAlarm().fit_threshold([], 10), ("0 clean frames",)),
    Bad("one sample's covariance", lambda _: ledoit_wolf(X[:1, 0, 0]), ("1", "two")),
    Bad("a covariance without root", lambda _: inverse_root(-torch.eye(2).double()), ("positive definite",)),
    Bad("a rate of nothing", lambda _: conformal_alarm_rate(10, 0.0), ("alpha",)),
    Bad("no calibration", lambda _: most_conformal_alarms(0, 10, 0.05), ("n",)),
]

test_it_is_refused = over(ROWS)
