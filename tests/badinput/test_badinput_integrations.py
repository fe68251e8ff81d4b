"""Bad input to what stands between the house and other tools: tests, metrics, MAITE."""

from types import SimpleNamespace

import numpy as np
import torch
from refusals import Bad, over

from deepwright.checks import AuditReport, Finding
from deepwright.data import Split
from deepwright.integrations import assert_audit
from deepwright.integrations.maite import MaiteBatches, MaiteDataset, MaiteMetric, MaiteModel, MaiteNetwork
from deepwright.integrations.maite_detection import MaiteDetectionDataset, MaiteDetectionMetric, MaiteDetector
from deepwright.integrations.metrics import CalibrationError, ForeignAUROC, MeanCorruptionError, RobustAccuracy
from deepwright.integrations.sklearn_estimators import NetworkClassifier, OutlierDetector
from deepwright.ood import MSP

REPORT = AuditReport({}, [Finding("fragility", "D", "It fails.", {"fi": 0.6})])
TWO = [np.array([0.3, 0.7])]
BOX = SimpleNamespace(boxes=np.ones((1, 4)), labels=np.array([0, 1]), scores=np.ones(1))
TIED, FLAT = [np.array([1.0, 1])], ([np.zeros((8, 8))], [np.array([1, 0])], [{"id": 0}])

ROWS = [
    Bad("no condition", lambda _: assert_audit(REPORT), ("conditions", "none")),
    Bad("a condition that is none", lambda _: assert_audit(REPORT, "fi=1"), ("fi=1",)),
    Bad("a condition that always holds", lambda _: assert_audit(REPORT, "fi>=0"), ("fi>=0", "never hold")),
    Bad("a condition on nothing", lambda _: assert_audit(REPORT, "fy<1"), ("fy<1", "fi")),
    Bad("a report that isn't there", lambda tmp: assert_audit(tmp / "report.json", "fi<1"), ("report.json",)),
    Bad("no bins", lambda _: CalibrationError(bins=0), ("bins", "0")),
    Bad("fewer labels", lambda _: CalibrationError().update(torch.ones(3, 2), torch.tensor([0, 1])), ("labels",)),
    Bad("nothing seen", lambda _: CalibrationError().compute(), ("calibrationerror", "no data")),
    Bad("numbers for flags", lambda _: ForeignAUROC().update(torch.ones(3), torch.ones(3)), ("is_foreign", "booleans")),
    Bad("fewer flags", lambda _: ForeignAUROC().update(torch.ones(3), torch.tensor([True])), ("is_foreign", "3")),
    Bad("scores of NaN", lambda _: ForeignAUROC().update(torch.tensor([float("nan")]), True), ("scores", "nan")),
    Bad("numbers for outcomes", lambda _: RobustAccuracy().update(torch.ones(3)), ("success", "booleans")),
    Bad("no outcome", lambda _: RobustAccuracy().compute(), ("robustaccuracy", "no data")),
    Bad("no reference", lambda _: MeanCorruptionError({}), ("reference",)),
    Bad("a reference of 0", lambda _: MeanCorruptionError({"fog": 0.0}), ("reference", "above 0")),
    Bad("no such corruption", lambda _: MeanCorruptionError(["fog"]).update("fox", torch.tensor([True])), ("fox",)),
    Bad("a model that is none", lambda _: MaiteNetwork(3), ("model", "int")),
    Bad("an output too few", lambda _: MaiteNetwork(lambda x: [np.ones(2)])(torch.ones(2, 1, 8, 8)), ("output", "2")),
    Bad("a network that is none", lambda _: MaiteModel(len, "x"), ("network",)),
    Bad("a metric of nothing", lambda _: MaiteMetric(2).compute(), ("maitemetric", "no data")),
    Bad("predictions alone", lambda _: MaiteMetric(2).update(TWO, []), ("1 predictions", "0 targets")),
    Bad("targets that tie", lambda _: MaiteMetric(2).update(TWO, TIED), ("targets", "one largest")),
    Bad("predictions of NaN", lambda _: MaiteMetric(2).update([np.array([np.nan, 1])], TWO), ("predictions",)),
    Bad("images without channels", lambda _: list(MaiteBatches([FLAT])), ("images", "(8, 8)")),
    Bad("batches of nothing", lambda _: MaiteBatches([], 0), ("batch_size", "0")),
    Bad(
        "a class too many",
        lambda _: MaiteDataset(Split(torch.ones(1, 1, 8, 8), torch.tensor([1])), "x", ("a",)),
        ("labels up to 1", "one of 1 classes"),
    ),
    Bad("boxes that are none", lambda _: MaiteDetector(lambda x: x)(torch.ones(1, 1, 8, 8)), ("output", "boxes")),
    Bad("fewer boxes", lambda _: MaiteDetectionMetric(2).update([BOX], [BOX]), ("predictions", "2 labels")),
    Bad("no box at all", lambda _: MaiteDetectionMetric(2).compute(), ("no true box",)),
    Bad("a table of boxes", lambda _: MaiteDetectionDataset(Split(torch.ones(1, 4), [{}]), "x", ("a",)), ("split",)),
    Bad("one label", lambda _: NetworkClassifier().fit(np.eye(3), [1, 1, 1]), ("y", "1 class")),
    Bad("all outliers", lambda _: OutlierDetector(contamination=0.6).fit(np.eye(3)), ("contamination", "0.6")),
    Bad("a detector of logits", lambda _: OutlierDetector(MSP()).fit(np.eye(3)), ("detector", "MSP", "KNN")),
    Bad("no detector", lambda _: OutlierDetector("knn").fit(np.eye(3)), ("detector", "knn")),
]

test_it_is_refused = over(ROWS)
