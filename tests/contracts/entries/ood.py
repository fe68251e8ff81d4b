"""Calls of the room of detectors."""

from deepwright.core.features import extract
from deepwright.core.tasks import Classification
from deepwright.ood import (
    ALL,
    BBAS,
    MSP,
    ODIN,
    ConformalFusion,
    DetectorSuite,
    DriftAlarm,
    aupr,
    auroc,
    complete_linkage,
    conformal_threshold,
    detection_error,
    fpr_at_tpr,
    wrap_pytorch_ood,
)
from deepwright.ood.bbas.clustering import k_means
from entries import Entry, normal, residual_classifier, uniform


def known_and_other(device):
    model, x, y = residual_classifier(device)
    return model, x, extract(model, [(x, y)]), extract(model, [x.flip(0)[:20] ** 4])


def scored(cls):
    def call(device):
        model, x, known, other = known_and_other(device)
        detector = cls().fit(known)
        detector.calibrate(detector.score(known), tpr=0.9)
        copy = cls()
        copy.load_state_dict(detector.state_dict())
        raw = cls().bind(model).fit(known).score(x[:5])
        return {
            "scores": detector.score(other),
            "copy": copy.score(other),
            "flags": detector.predict(other),
            "raw": raw,
        }

    return call


def moved(cls):
    def call(device):
        _, _, known, other = known_and_other(device)
        return cls().fit(known.to("cpu")).to(device).score(other)

    return call


def odin(device):
    model, x, _ = residual_classifier(device)
    return ODIN().bind(model).score(x[:9])


def odin_of_host_data(device):
    model, x, _ = residual_classifier(device)
    return ODIN().bind(model).score(x[:9].cpu())


def suite(device):
    model, x, y = residual_classifier(device)
    table = DetectorSuite(model).fit([(x, y)]).report([(x, y)], {"dark": [x[:20] ** 4]})
    return [row[2:6] for row in table.rows]


def suite_scores(device):
    """Where the inputs are."""
    model, x, y = residual_classifier(device)
    return DetectorSuite(model).fit([(x, y)]).score([x])


def suite_of_host_data(device):
    model, x, y = residual_classifier(device)
    x, y = x.cpu(), y.cpu()
    return DetectorSuite(model, task=Classification(3)).fit([(x, y)]).score([x])


def bound_to_host_data(device):
    model, x, _ = residual_classifier(device)
    return MSP().bind(model).score(x.cpu())


def not_moved(cls):
    """Fitted on the CPU, scores of the device's activations: these come to the detector, and the scores go back."""

    def call(device):
        _, _, known, other = known_and_other(device)
        return cls().fit(known.to("cpu")).score(other)

    return call


class Norm:
    """As a detector of another library."""

    def fit_features(self, features, labels):
        self.mean = features[labels >= 0].mean(0)

    def predict_features(self, features):
        return (features - self.mean).norm(dim=1)


def wrapped(device):
    _, _, known, other = known_and_other(device)
    return wrap_pytorch_ood(Norm()).fit(known).score(other)


def alarm(device):
    return DriftAlarm(0.1).update(normal(60).to(device) > 1)


def metrics(device):
    a, b = normal(60).to(device), normal(60, seed=1).to(device) + 1
    return conformal_threshold(a, 0.5), auroc(a, b), aupr(a, b), fpr_at_tpr(a, b), detection_error(a, b)


def fused(device, how="min"):
    scores = {"p": normal(60).to(device), "q": uniform(60).to(device)}
    return ConformalFusion(how).calibrate(scores).pvalues(scores)


def explained(device):
    _, _, known, _ = known_and_other(device)
    detector = BBAS().fit(known)
    detector.explain(known[:3], 3)
    detector.partial_fit(known)
    return detector.class_scores(known)


ENTRIES = [
    *(Entry(cls.__name__, scored(cls), tolerance=1e-3) for cls in ALL if cls is not ODIN),
    *(Entry(f"{cls.__name__}, fitted on the CPU", moved(cls), tolerance=1e-3) for cls in ALL if cls is not ODIN),
    Entry("ODIN", odin),
    Entry("ODIN, data on the CPU", odin_of_host_data, returns="cpu"),
    *(Entry(f"{cls.__name__}, not moved", not_moved(cls), tolerance=1e-3) for cls in ALL if cls.trainable),
    Entry("DetectorSuite", suite, tolerance=1e-3),
    Entry("DetectorSuite.score", suite_scores, tolerance=1e-3),
    Entry("DetectorSuite.score, data on the CPU, by a task", suite_of_host_data, returns="cpu", tolerance=1e-3),
    Entry("a bound detector, data on the CPU", bound_to_host_data, returns="cpu"),
    Entry("wrap_pytorch_ood", wrapped),
    Entry("DriftAlarm", alarm),
    Entry("complete_linkage", lambda d: complete_linkage(normal(30, 4).to(d), 3)),
    Entry("complete_linkage, of a subset", lambda d: complete_linkage(normal(60, 4).to(d), 3, most=20)),
    Entry("k_means", lambda d: k_means(normal(30, 4).to(d), 0.5)),
    Entry("ConformalFusion, fisher", lambda d: fused(d, "fisher")),
    Entry("metrics", metrics),
    Entry("ConformalFusion", fused),
    Entry("BBAS.explain, class_scores, partial_fit", explained, tolerance=1e-3),
]
