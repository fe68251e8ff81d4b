"""The check of ordered classes on a network that reads shades, and through the command."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from deepwright.checks import Subject, audit
from deepwright.checks.findings.finding import NotApplicableError
from deepwright.checks.plausibility import check_plausibility
from deepwright.core.errors import InputError
from deepwright.core.tasks import ClassOrder, Segmentation
from deepwright.data import load_nested_anatomy
from deepwright.data.named.anatomy import LAYERS
from deepwright.workflows.auditing import AuditOptions
from deepwright.workflows.auditing import audit as run_audit

ORDER = ClassOrder.chain(list(LAYERS))


class Shades(nn.Module):
    """The class whose shade is nearest, in [0, 1]: the body's is near the background's, so that they are mixed up."""

    def __init__(self, shades: tuple[float, ...] = (0.38, 0.52, 0.42, 0.62)) -> None:
        super().__init__()
        self.shades = nn.Parameter(torch.tensor(shades))

    def forward(self, x: Tensor) -> Tensor:
        smooth = nn.functional.avg_pool2d(x, 3, 1, 1)
        return -100 * (smooth - self.shades[:, None, None]).square()


def subject(order: ClassOrder | None = ORDER, model: nn.Module | None = None) -> Subject:
    data = load_nested_anatomy().limited(20)
    return Subject(model or Shades(), data, task=Segmentation(4, LAYERS, order=order))


def test_contacts_repairs_and_pictures_are_told():
    found = check_plausibility(subject())
    assert found.values["contact_rate"].value > 0.2
    assert found.values["contact_rate_repaired"] < found.values["contact_rate"].value
    assert found.values["contact_rate_of_labels"] == 0.0
    assert [row[0] for row in found.tables[1].rows] == ["as it is", "median class", "repaired (icm)", "repaired (path)"]
    assert found.tables[1].rows[3][1] == 0.0
    assert found.tables[0].rows[0][:2] == ["background", "body"]
    assert [len(series["pictures"]) for series in found.figures[0].series] == [4, 4, 4]
    assert found.conditions == {"order": "background<rim<body<core"}
    found.require_numbers()


def test_the_true_labels_have_no_contacts_and_need_no_repair():
    data = load_nested_anatomy().limited(6)

    class Told(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            place = (x[:, None] - data.test.x).abs().flatten(2).sum(2).argmin(1)
            return nn.functional.one_hot(data.test.y[place], 4).movedim(-1, 1).float() * 20 * self.weight

    found = check_plausibility(Subject(Told(), data, task=Segmentation(4, LAYERS, order=ORDER)))
    assert found.values["contact_rate"].value == 0.0
    assert found.values["macro_dice"] == 1.0
    assert found.remedy == ""
    assert found.figures == []


def test_a_class_that_is_gone_stands_beside_the_rate():
    found = check_plausibility(subject(model=Shades((0.4, 0.52, 9.0, 0.62))))
    assert found.values["vanished_classes"] == 1
    assert "Predicted nowhere: body" in found.summary
    alone = check_plausibility(subject(model=Shades((0.4, 9.0, 9.0, 9.0))))
    assert "contact_rate" not in alone.values
    assert "No related classes touch" in alone.summary


def test_it_says_where_it_does_not_apply_and_runs_where_it_is_named():
    with pytest.raises(NotApplicableError, match="--order"):
        check_plausibility(subject(order=None))
    assert audit(subject(), checks=["plausibility"])["plausibility"].grade == "info"
    report = audit(subject(), checks=["accuracy"])
    assert report["accuracy"].values["contact_rate"].value > 0.2


def test_an_order_asks_for_it_and_names_are_checked():
    options = {"data": "nested-anatomy", "limit": 8, "task": "segmentation", "checks": ["plausibility"], "out": None}
    report = run_audit(AuditOptions(Shades(), order="background<rim<body<core", **options))
    assert report["plausibility"].conditions["order"] == "background<rim<body<core"
    with pytest.raises(InputError, match="lacks core"):
        run_audit(AuditOptions(Shades(), order="background<rim<body", **options))


def test_ignored_positions_are_no_holes_of_the_true_labels():
    whole = subject()
    y = whole.data.test.y.clone()
    y[torch.rand(y.shape, generator=torch.Generator().manual_seed(0)) < 0.01] = 255
    data = replace(whole.data, test=replace(whole.data.test, y=y))
    found, clean = (check_plausibility(Subject(Shades(), d, task=whole.task)).tables[2] for d in (data, whole.data))
    assert [row[2::2] for row in found.rows] == [row[2::2] for row in clean.rows]
    assert "nearest label" in found.caption
    assert "nearest label" not in clean.caption
