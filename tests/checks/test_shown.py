"""Pictures and rows that the checks hand on: what they show is what was measured."""

import base64
import io

import numpy as np
import pytest
import subjects
import torch
from PIL import Image
from torch import nn

from deepwright.checks import Subject, audit
from deepwright.checks.shown import risk_coverage
from deepwright.corruptions import get


def pixels(item):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(item["png"])))).astype(float) / 255


@pytest.fixture(scope="module", params=[3, pytest.param(1, marks=pytest.mark.slow)])
def of_pictures(request):
    x = torch.rand(90, request.param, 8, 8, generator=subjects.generator(3))
    y = (x[:, 0, :, :4].mean((1, 2)) > x[:, 0, :, 4:].mean((1, 2))).long()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64 * request.param, 2))
    with torch.no_grad():
        half = torch.zeros(request.param, 8, 8)
        half[0] = 1
        half[0, :, 4:] = -1
        model[1].weight.copy_(torch.stack([-half.flatten(), half.flatten()]) * 0.6)
        model[1].bias.zero_()
    few = {**subjects.LIMITS, "corruption_limit": 6, "attack_limit": 8}
    subject = Subject(model.eval(), subjects.data("image", x, y, ("left", "<b>right")), **few)
    return subject, audit(subject, checks=["robustness", "corruptions", "ood"])


def strips(finding):
    return next(f for f in finding.figures if f.kind == "strips").series


def test_the_attack_stays_within_its_budget_and_the_difference_is_amplified(of_pictures):
    _, report = of_pictures
    eps = report["robustness"].conditions["judged at"]
    for row in strips(report["robustness"]):
        before, after, difference = map(pixels, row["pictures"])
        assert np.abs(after - before).max() <= eps + 1.1 / 255
        assert np.abs(difference - (0.5 + 0.5 / eps * (after - before)).clip(0, 1)).max() < (1 + 0.5 / eps) * 1.1 / 255
        words = [item["caption"] for item in row["pictures"]]
        assert "taken for" not in words[0]
        assert words[2].startswith("difference x")


def test_perturbed_pictures_are_those_of_the_suite(of_pictures):
    subject, report = of_pictures
    rows = strips(report["corruptions"])
    names = [str(row[0]) for row in report["corruptions"].tables[0].rows[:3]]
    assert [row["name"] for row in rows] == ["As they are", *(name.replace("_", " ") for name in names)]
    split = subject.data.test.take(subject.corruption_limit, subject.seed)
    ids = torch.arange(len(split))[:: max(1, len(split) // 6)][:6]
    shown = torch.stack([torch.from_numpy(pixels(item)) for item in rows[1]["pictures"]])
    worse = get(names[0])(split.inputs(ids), 3, subject.seed, ids=ids)
    expected = worse.permute(0, 2, 3, 1) if worse.shape[1] == 3 else worse[:, 0]
    assert (shown - expected).abs().max() < 0.51 / 255


def test_foreign_pictures_come_with_what_they_are_taken_for(of_pictures):
    _, report = of_pictures
    foreign, own = strips(report["ood"])
    assert len(foreign["pictures"]) == 6
    assert all("taken for" in item["caption"] for item in foreign["pictures"])
    assert own["note"] in [row[0] for row in report["ood"].tables[0].rows]


def test_a_section_stays_small(of_pictures):
    for finding in of_pictures[1].findings:
        assert sum(len(i["png"]) for row in strips(finding) for i in row["pictures"]) <= 60_000


def test_tables_show_rows(audited):
    table = next(t for t in audited("classification")[1]["robustness"].tables if "before and after" in t.caption)
    eps = audited("classification")[1]["robustness"].conditions["judged at"]
    for before, after in zip(table.rows[::2], table.rows[1::2], strict=True):
        assert (before[1], after[1]) == ("as it is", "attacked")
        assert max(abs(a - b) for a, b in zip(before[3:], after[3:], strict=True)) <= eps + 1e-5


def test_series_are_drawn_over_time():
    model, made, task = subjects.forecast()
    subject = Subject(model.eval(), made, task=task, **subjects.QUICK)
    found = audit(subject, checks=["robustness"])["robustness"]
    before, after = next(f for f in found.figures if f.title.startswith("Before and after")).series
    assert len(before["y"]) == subject.data.shape[0]
    moved = [abs(a - b) for a, b in zip(before["y"], after["y"], strict=True)]
    scale = float(
        subject.data.train.x[..., 0].std()
    )  # the budget is in deviations of a channel, the picture in its units
    assert 0 < max(moved) <= found.conditions["judged at"] * scale + 1e-4


def test_errors_among_the_surest_by_hand():
    figure = risk_coverage(torch.tensor([0.9, 0.5, 0.8, 0.6]), torch.tensor([True, False, True, False]))
    line = figure.series[0]
    assert line["x"] == [0.25, 0.5, 0.75, 1.0]
    assert line["y"] == pytest.approx([0, 0, 1 / 3, 0.5])
    assert figure.series[1]["y"] == [0.5, 0.5]
