"""Calls of the room of detectors."""

from deepwright.core.features import extract
from deepwright.ood import ALL, BBAS, ODIN, DetectorSuite
from deepwright.ood.conformal import ConformalFusion
from deepwright.ood.metrics import aupr, auroc, detection_error, fpr_at_tpr
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


def metrics(device):
    a, b = normal(60).to(device), normal(60, seed=1).to(device) + 1
    return auroc(a, b), aupr(a, b), fpr_at_tpr(a, b), detection_error(a, b)


def fused(device):
    scores = {"p": normal(60).to(device), "q": uniform(60).to(device)}
    return ConformalFusion("min").calibrate(scores).pvalues(scores)


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
    Entry("ODIN, data on the CPU", odin_of_host_data, returns="cpu", fails="results stay on the model's device"),
    Entry("DetectorSuite", suite, tolerance=1e-3),
    Entry("metrics", metrics),
    Entry("ConformalFusion", fused),
    Entry("BBAS.explain, class_scores, partial_fit", explained, tolerance=1e-3),
]
