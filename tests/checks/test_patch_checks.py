"""What a patch and an attenuation do, as an audit says it: with controls, and where they don't apply."""

import pytest
import torch
from subjects import LIMITS, classification
from torch import nn

from deepwright.checks import NotApplicableError, Subject, audit
from deepwright.checks.attenuation import check_attenuation
from deepwright.checks.patches import check_patches
from deepwright.core.boxes import Detections
from deepwright.core.randomness import generator
from deepwright.core.tasks import CandidateDetection, Classification, DetectionBatch, Segmentation
from deepwright.data import Data, Split

PLACE = torch.tensor([[4.0, 4.0, 12.0, 12.0]])
TASK = CandidateDetection(1, score_threshold=0.5)


class Spot(nn.Module):
    """Finds the one box by how bright its middle is."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(12.0))

    def forward(self, x):
        logit = self.scale * (x[:, :, 6:10, 6:10].mean((1, 2, 3)) - 0.5)
        return torch.cat([PLACE.to(x).expand(len(x), 1, 4), logit.view(-1, 1, 1)], -1)


class Mean(nn.Module):
    """Class 1 where the picture is bright; at each position with `dense`."""

    def __init__(self, dense=False):
        super().__init__()
        self.scale, self.dense = nn.Parameter(torch.tensor(30.0)), dense

    def forward(self, x):
        z = self.scale * (x.mean((1, 2, 3)) - 0.53)
        logits = torch.stack([-z, z], 1)
        return logits[:, :, None, None].expand(-1, -1, *x.shape[2:]) if self.dense else logits


def pictures(n=36):
    return torch.rand(n, 1, 16, 16, generator=generator(0)) * 0.2 + 0.4


def parts(kind, x, y, classes):
    cut = [slice(0, 12), slice(12, 24), slice(24, None)]
    return Data("made up", kind, classes, *(Split(x[part], y[part]) for part in cut))


def detector(**options):
    x = pictures()
    x[:, :, 4:12, 4:12] = 0.9
    y = DetectionBatch([Detections(PLACE, torch.zeros(1, dtype=torch.long))] * 36)
    return Subject(Spot(), parts("detection", x, y, ("spot",)), task=TASK, **{**LIMITS, **options})


def dense():
    y = torch.zeros(36, 16, 16, dtype=torch.long)
    return Subject(Mean(True), parts("segmentation", pictures(), y, ("a", "b")), task=Segmentation(2), **LIMITS)


def classes():
    y = torch.zeros(36, dtype=torch.long)
    y[::12] = 1
    x = pictures()
    x[::12] += 0.2
    return Subject(Mean(), parts("image", x, y, ("dark", "bright")), task=Classification(2), **LIMITS)


@pytest.mark.parametrize("made", [classes, dense])
def test_a_bright_patch_fools_who_looks_at_brightness(made):
    found = check_patches(made())
    assert found.values["fooled"].value > 0.5
    assert found.values["fooled_by_grey"].value < 0.2
    assert found.values["p_value"] < 0.05
    assert "more than noise does" in found.summary


def test_a_patch_on_objects_has_rates_beside_it():
    found = check_patches(detector())
    assert found.conditions["where"] == "objects"
    assert {row[0] for row in found.tables[1].rows} == {"none", "patch", "random", "grey"}


def test_an_object_is_lost_at_the_share_that_lies_in_its_middle():
    found = check_attenuation(detector())
    # 16 of 64 pixels count: from 0.9 to 0.5 of these is 16 * 0.4 of 64 * 0.9 altogether, evenly 0.4 of 0.9
    assert found.number("median_share") == pytest.approx(1 / 9, abs=1 / 16)
    assert found.number("median_share_dimmed") == pytest.approx(4 / 9, abs=1 / 16)
    assert found.values["hidden_at_0.125"].value > found.values["dimmed_at_0.125"].value


def test_they_run_where_they_are_named():
    report = audit(detector(), checks=["patches", "attenuation"])
    assert [f.grade for f in report.findings] == ["info", "info"]


def test_they_say_where_they_do_not_apply():
    model, data, task = classification()
    table = Subject(model, data, task=task, **LIMITS)
    with pytest.raises(NotApplicableError, match="pictures"):
        check_patches(table)
    with pytest.raises(NotApplicableError, match="detectors"):
        check_attenuation(table)


def test_a_detectors_candidates_are_attacked_beside_noise():
    found = audit(detector(eps=(0.5,)), checks=["robustness"])["robustness"]
    table = next(t for t in found.tables if t.columns[0] == "attack")
    rows = {row[0]: row for row in table.rows}
    assert set(rows) == {"none", "noise of the same size", "Vanish", "Fabricate"}  # one class: no other label
    assert rows["none"][4] == 0  # nothing is missed
    assert found.values["vanish_succeeds"].value == rows["Vanish"][1] == 1  # 0.9 less the budget is dark
    assert rows["Vanish"][4] == 1
    assert rows["noise of the same size"][4] < 0.5
    assert found.values["fabricate_succeeds"].value == 0  # its only candidate is the object
    assert "vanish_succeeds" in found.lower_is_better
