"""Calls of the detectors of windows and of what stands around them."""

import torch
from torch import nn

from deepwright.data import Windows
from deepwright.ood import (
    EvasiveSteps,
    ExposureLoss,
    KNNDetector,
    MADGANDetector,
    OCSVMDetector,
    Roast,
    SeverityMatrix,
    WatchedForecaster,
    attack_cohort,
    class_risk,
    dtw,
    importance,
    risk_profile,
)
from entries import Entry, normal

STATES = SeverityMatrix((-1.0, 1.0), SeverityMatrix.glucose().weights, 1)


class Last(nn.Module):
    """The last reading, twice."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x[:, -1:, 0].repeat(1, 2) * self.one


def moved(model, x, y):
    changed = x.clone()
    changed[:, -1, 0] += 0.7
    return changed


def streams(device):
    found = {}
    for k in range(4):
        x = (1 + k) * normal(60, 5, 2, seed=k).to(device)
        y = x[:, -1:, 0].repeat(1, 2)
        found[f"e{k}"] = Windows(x, y, torch.arange(60, device=device), torch.zeros(60, dtype=bool, device=device))
    return found


def detected(make):
    def call(device):
        x = normal(60, 5, 2).to(device)
        detector = make().fit(x)
        detector.set_threshold()
        return detector.score(x[:9]), detector.predict(x[:9]), detector.training_scores_

    return call


def of_host_windows(device):
    return KNNDetector(3).fit(normal(60, 5, 2).to(device)).score(normal(9, 5, 2, seed=1))


def cohort(device):
    made = attack_cohort(Last().eval().to(device), moved, streams(device))
    return [(p.attacked, p.forecast, p.differs) for part in (made.train, made.test) for p in part.values()]


def system(device):
    found = Roast(Last().eval().to(device), moved, STATES, detector=lambda: KNNDetector(3)).fit(streams(device))
    return found.predict(normal(9, 5, 2).to(device)), [p.series for p in found.profiles_.values()]


def watched(device):
    windows = normal(60, 5, 2).to(device)
    model = WatchedForecaster(Last().to(device), windows, 2.0, torch.zeros(2), torch.ones(2), 3)
    x = normal(9, 5, 2, seed=1).to(device)
    attacked = EvasiveSteps(model.score, 1.0, 0.5, steps=4)(Last().to(device), x, model(x).detach() - 0.3)
    return model.watched(x), attacked


def risks(device):
    x = normal(40, 5, 2).to(device)
    said = (x[..., 0].mean(1) > 0).long()
    y = x[:, -2:, 0]
    weights = importance(x, said)
    return weights, class_risk(x, x + 1, said, said, weights).series, risk_profile(y, y + 1, STATES).series


ENTRIES = [
    Entry("ood.KNNDetector", detected(lambda: KNNDetector(3))),
    Entry("ood.KNNDetector, windows on the CPU", of_host_windows, returns="cpu"),
    Entry("ood.OCSVMDetector", detected(OCSVMDetector), tolerance=1e-3),
    Entry("ood.MADGANDetector", detected(lambda: MADGANDetector(4, 2, 1)), random=True, tolerance=1e-2),
    Entry("ood.attack_cohort", cohort),
    Entry("ood.Roast", system),
    Entry("ood.WatchedForecaster, EvasiveSteps", watched),
    Entry("ood.importance, class_risk, risk_profile", risks, tolerance=1e-3),
    Entry("ood.ExposureLoss", lambda device: ExposureLoss()(normal(5).to(device), normal(4).to(device))),
    Entry("ood.dtw", lambda device: dtw(normal(3, 9).to(device), 3)),
]
