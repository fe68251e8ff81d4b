"""Bad input to what stands between the house and other tools: tests, metrics, MAITE."""

from types import SimpleNamespace

import numpy as np
import torch
from refusals import Bad, over

from deepwright.checks import AuditReport, Finding
from deepwright.core.tasks import Detection, Segmentation
from deepwright.data import Split
from deepwright.integrations import assert_audit
from deepwright.integrations.maite import MaiteBatches, MaiteDataset, MaiteMetric, MaiteModel, MaiteNetwork
from deepwright.integrations.maite_detection import MaiteDetectionDataset, MaiteDetectionMetric, MaiteDetector
from deepwright.integrations.metrics import (
    Accuracy,
    AccuracyKept,
    AreaUnderRiskCoverage,
    CalibrationError,
    ClaimCalibrationError,
    DetectionMetrics,
    ForeignAUPR,
    ForeignAUROC,
    ForeignFPR,
    FragilityIndex,
    GroupScores,
    IntervalCoverage,
    LocalisationCalibrationError,
    MeanCorruptionError,
    Miscoverage,
    RelativeError,
    RiskAtCoverage,
    RobustAccuracy,
    RobustnessArea,
    SegmentationMetrics,
    TaskMetrics,
    WorstMisjudgment,
)
from deepwright.integrations.sklearn_estimators import NetworkClassifier, OutlierDetector
from deepwright.ood import MSP

REPORT = AuditReport({}, [Finding("fragility", "D", "It fails.", {"fi": 0.6})])
TWO = [np.array([0.3, 0.7])]
ONES, YES = torch.ones(3), torch.tensor([True, False, True])
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
    Bad("logits of NaN", lambda _: Accuracy().update(torch.full((2, 3), float("nan")), torch.tensor([0, 1])), ("nan",)),
    Bad("logits of one axis", lambda _: Accuracy().update(ONES, YES.long()), ("logits", "(3,)")),
    Bad("nothing seen", lambda _: CalibrationError().compute(), ("calibrationerror", "no data")),
    Bad("numbers for flags", lambda _: ForeignAUROC().update(torch.ones(3), torch.ones(3)), ("is_foreign", "booleans")),
    Bad("fewer flags", lambda _: ForeignAUROC().update(torch.ones(3), torch.tensor([True])), ("is_foreign", "3")),
    Bad("scores of NaN", lambda _: ForeignAUROC().update(torch.tensor([float("nan")]), True), ("scores", "nan")),
    Bad("numbers for outcomes", lambda _: RobustAccuracy().update(torch.ones(3)), ("success", "booleans")),
    Bad("no outcome", lambda _: RobustAccuracy().compute(), ("robustaccuracy", "no data")),
    Bad("no reference", lambda _: MeanCorruptionError({}), ("reference",)),
    Bad("a reference of 0", lambda _: MeanCorruptionError({"fog": 0.0}), ("reference", "above 0")),
    Bad("no such corruption", lambda _: MeanCorruptionError(["fog"]).update("fox", torch.tensor([True])), ("fox",)),
    Bad("both of ECE", lambda _: CalibrationError(debiased=True, adaptive=True), ("debiased", "adaptive")),
    Bad("claims above 1", lambda _: ClaimCalibrationError().update(2 * ONES, YES), ("confidence", "[0, 1]")),
    Bad("groups unasked", lambda _: ClaimCalibrationError().update(ONES, YES, ONES.long()), ("group", "none")),
    Bad("no groups", lambda _: ClaimCalibrationError(grouped=True).update(ONES, YES), ("group", "one a claim")),
    Bad("errors below 0", lambda _: AreaUnderRiskCoverage().update(ONES, -ONES), ("errors", "-1")),
    Bad("fewer errors", lambda _: AreaUnderRiskCoverage().update(ONES, ONES[:2]), ("errors", "3 and 2")),
    Bad("a coverage of 0", lambda _: RiskAtCoverage(0), ("coverage", "0")),
    Bad("another side", lambda _: ForeignAUPR("foreign"), ("positive", "ood")),
    Bad("a rate above 1", lambda _: ForeignFPR(95), ("tpr", "95")),
    Bad("a normalised histogram", lambda _: FragilityIndex(bins=50, normalize=True), ("bins=50",)),
    Bad("a group too many", lambda _: GroupScores(2).update(ONES, torch.tensor([0, 1, 2])), ("group", "0..2")),
    Bad("one group", lambda _: GroupScores(1), ("groups", "1")),
    Bad("ends of two shapes", lambda _: IntervalCoverage().update(ONES, ONES, ONES[:2]), ("intervals", "(2,)")),
    Bad("an end of NaN", lambda _: IntervalCoverage().update(ONES / 0, ONES, ONES), ("intervals", "infinity")),
    Bad("no level", lambda _: Miscoverage(()), ("levels",)),
    Bad("ends of one level", lambda _: Miscoverage((0.5,)).update(ONES, ONES, ONES), ("lower ends", "1, outputs")),
    Bad("an overlap of 3", lambda _: LocalisationCalibrationError().update(ONES, 3 * ONES, YES.long()), ("overlaps",)),
    Bad("fewer outcomes", lambda _: AccuracyKept().update(YES, YES[:2]), ("right and success", "3 and 2")),
    Bad("budgets that fall", lambda _: RobustnessArea((0, 2, 1)), ("budgets", "rising")),
    Bad("another budget", lambda _: RobustnessArea((0, 1)).update(0.5, YES), ("budget", "0.5")),
    Bad("a clean error above", lambda _: MeanCorruptionError({"fog": 0.2}, clean=0.3), ("reference", "above 0.3")),
    Bad("no perturbation", lambda _: RelativeError([]), ("perturbations",)),
    Bad("a letter each", lambda _: RelativeError("fog"), ("perturbations", "list")),
    Bad("a share of 0", lambda _: WorstMisjudgment(0), ("share", "0")),
    Bad("a task that is none", lambda _: TaskMetrics("binary"), ("task", "binary")),
    Bad("boxes elsewhere", lambda _: TaskMetrics(Detection(2)), ("task", "detectionmetrics")),
    Bad("no regions", lambda _: SegmentationMetrics(Detection(2)), ("task", "segmentation")),
    Bad("no boxes", lambda _: DetectionMetrics(Segmentation(2)), ("task", "detection")),
    Bad("a model that is none", lambda _: MaiteNetwork(3), ("model", "int")),
    Bad("an output too few", lambda _: MaiteNetwork(lambda x: [np.ones(2)])(torch.ones(2, 1, 8, 8)), ("output", "2")),
    Bad("a network that is none", lambda _: MaiteModel("resnet", "x"), ("network", "str")),
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
