"""The checks of the data on planted faults: what they say, and when they don't apply."""

from dataclasses import replace

import numpy as np
import pytest
import subjects
import torch
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import nn

import deepwright as dw
from deepwright.checks import Subject, run_check, subject_from_loaders
from deepwright.checks.running import BUILTIN
from deepwright.data import Data, Split, load_csv, load_folder
from deepwright.data.files.archives import Decoding
from deepwright.nets.doors import from_estimator
from deepwright.workflows import AuditOptions
from deepwright.workflows import audit as whole_job

NAMES = ("duplicates", "labels", "slices", "drift", "groups")


def check(name, subject):
    found = run_check(name, BUILTIN[name], subject)
    assert found.grade != "failed", found.summary
    return found


def table(n=1200, shift=0.0, seed=0):
    """Rows whose class is the sign of the first column, and a network that knows it."""
    source = subjects.generator(seed)
    x = torch.randn(n, 4, generator=source)
    y = (x[:, 0] > 0).long()
    x[n // 2 :] += shift
    model = nn.Linear(4, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-9.0, 0, 0, 0], [9.0, 0, 0, 0]]))
        model.bias.zero_()
    return model, x, y


def subject_of(model, x, y, columns=None, **options):
    rows = torch.arange(len(x))
    third = len(x) // 3
    parts = [rows[:third], rows[third : third + third // 2], rows[third + third // 2 :]]
    whole = Split(x, y, columns or {})
    data = Data(
        "made up", "tabular", ("no", "yes"), *(whole.where(part) for part in parts), features=("a", "b", "c", "d")
    )
    return Subject(model, data, **options)


def test_clean_data_give_nothing_to_do():
    subject = subject_of(*table())
    found = {name: check(name, subject) for name in NAMES}
    assert found["duplicates"].grade == "A"
    assert found["duplicates"].number("leaked") == 0
    assert found["labels"].number("suspect_test_labels") <= 3
    assert found["drift"].number("p_value") > 0.01
    assert found["groups"].grade == "n/a"
    assert found["slices"].grade == "n/a"  # no test sample is wrong
    for finding in found.values():
        assert finding.grade == "n/a" or (finding.rule and finding.remedy)


def test_leaks_are_counted_and_the_accuracy_is_that_without_them():
    model, x, y = table()
    y = torch.where(torch.rand(len(y), generator=subjects.generator(5)) < 0.2, 1 - y, y)
    x[1100:1130], y[1100:1130] = x[:30], y[:30]
    x[1130:1135], y[1130:1135] = x[:5], 1 - y[:5]
    subject = subject_of(model, x, y)
    found = check("duplicates", subject)
    n = len(subject.data.test)
    assert found.number("leaked") == pytest.approx(35 / n)
    assert found.number("leaked_equal") == pytest.approx(35 / n)
    assert found.number("conflicting_pairs") == 5
    kept = torch.ones(n, dtype=torch.bool)
    kept[1100 - (1200 - n) : 1135 - (1200 - n)] = False
    assert found.number("accuracy_without_leaked") == pytest.approx(float(subject.right[kept].double().mean()))
    assert found.grade == "D"  # 35 of 600 test samples
    assert found.tables[0].rows[0][0] == "test"


def test_rows_of_few_values_are_no_leak():
    source = subjects.generator(7)
    x = torch.randint(0, 3, (1200, 4), generator=source).float()
    model, _, _ = table()
    found = check("duplicates", subject_of(model, x, (x[:, 0] > 0).long()))
    assert found.grade == "info"
    assert "rows of few values repeat" in found.rule


def test_wrong_labels_of_the_test_part_are_named():
    model, x, y = table()
    wrong = torch.arange(1000, 1040)
    y[wrong] = 1 - y[wrong]
    subject = subject_of(model, x, y)
    found = check("labels", subject)
    share = found.values["wrong_test_labels"]
    assert share.low <= 40 / len(subject.data.test) <= share.high
    named = {int(row[0]) + 1200 - len(subject.data.test) for row in found.tables[0].rows}
    assert len(named & set(wrong.tolist())) >= 0.8 * len(named)


def test_a_weak_slice_of_a_column_beside_is_found():
    model, x, y = table(n=2400)
    site = np.where(torch.rand(2400, generator=subjects.generator(2)) < 0.2, "north", "south")
    bad = torch.from_numpy(site == "north") & (torch.rand(2400, generator=subjects.generator(3)) < 0.3)
    y = torch.where(bad | (torch.rand(2400, generator=subjects.generator(4)) < 0.05), 1 - y, y)
    subject = subject_of(model, x, y, {"site": site}, groups="site")
    found = check("slices", subject)
    assert "site = north" in found.summary
    assert found.number("weak_slices") >= 1
    groups = check("groups", subject)
    assert "lowest for north" in groups.summary
    assert groups.number("smallest_p_value") < 1e-6
    assert groups.number("largest_gap") == pytest.approx(groups.number("best_group") - groups.number("worst_group"))
    assert {"true positive rate", "false positive rate"} <= set(groups.tables[0].columns)


def test_drift_is_seen_against_a_reference_and_between_parts():
    model, x, y = table()
    subject = subject_of(model, x, y)
    same, moved = Split(*table(seed=9)[1:]), Split(table(seed=9)[1] + 0.5, y)
    assert check("drift", replace(subject, reference=same)).number("p_value") > 0.01
    found = check("drift", replace(subject, reference=moved))
    assert found.number("p_value") < 0.01
    assert "reference" in found.summary
    assert check("drift", subject_of(*table(shift=0.5))).number("p_value") < 0.01


@pytest.mark.parametrize("task", ["regression", "multi-label", "segmentation", "detection", "forecast", "graphs"])
@pytest.mark.parametrize("name", NAMES)
def test_other_tasks_are_measured_or_told_why_not(task, name):
    found = check(name, subjects.subject(task))
    assert found.grade != "n/a" or found.summary.startswith("Does not apply: ")


def test_groups_by_a_column_of_the_table_or_by_values():
    model, x, y = table(n=600)
    loader = [(x, y)]
    named = subject_from_loaders(model, loader, split="test", groups="column 1")
    assert len(check("groups", named).tables[0].rows) == 4
    by_value = subject_from_loaders(model, loader, groups=["u", "v", "w"] * 200)
    assert {row[0] for row in check("groups", by_value).tables[0].rows} == {"u", "v", "w"}
    unknown = check("groups", subject_from_loaders(model, loader, groups="sex"))
    assert "no column 'sex'" in unknown.summary
    assert "class" in unknown.summary


def test_columns_aside_are_kept_and_not_fed(tmp_path):
    rows = ["a,sex,id,y", *(f"{i * 0.37 % 1},{'mf'[i % 2]},p{i},{i % 3 % 2}" for i in range(60))]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = load_csv(tmp_path / "t.csv", "y", aside=["id"])
    assert data.features == ("a", "sex_f", "sex_m")
    assert set(data.test.columns) == {"id", "sex"}
    raw = data.test.x * data.scale + data.center
    for i, name in enumerate(data.test.columns["id"]):
        k = int(name[1:])
        assert float(raw[i, 0]) == pytest.approx(k * 0.37 % 1, abs=1e-4)
        assert data.test.columns["sex"][i] == "mf"[k % 2]
    with pytest.raises(dw.InputError, match="aside"):
        load_csv(tmp_path / "t.csv", "y", aside=["name"])


def test_files_of_pictures_are_known_by_name_size_and_camera(tmp_path):
    for i in range(24):
        folder = tmp_path / "data" / "ab"[i % 2] / ("day" if i % 3 else "night")
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(np.full((8, 12, 3), 10 * i, np.uint8))
        tags = Image.Exif()
        tags[272], tags[306] = "<b>Camera</b>", "2019:05:01 10:00:00"
        picture.save(folder / f"{i}.jpg", exif=tags)
    data = load_folder(tmp_path / "data", Decoding(), split="test")
    columns = data.test.columns
    assert set(columns["folder"]) == {"day", "night"}
    assert set(columns["camera"]) == {"<b>Camera</b>"}
    assert set(columns["year"]) == {2019}
    assert set(columns["aspect"]) == {1.5}
    for i, name in enumerate(columns["file"]):
        assert float(data.test.x[i].float().mean()) == pytest.approx(10 * int(name.split("/")[-1][:-4]), abs=3)


def test_the_whole_job_takes_groups_aside_and_a_reference(tmp_path):
    source = np.random.default_rng(0)
    for name, shift in (("here", 0.0), ("there", 1.0)):
        a, sex = source.normal(size=400) + shift, source.choice(["m", "f"], 400)
        lines = ["a,b,sex,y", *(f"{v},{w},{s},{int(v > 0.5)}" for v, w, s in zip(a, source.normal(size=400), sex))]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    options = {"data": tmp_path / "here.csv", "target": "y", "aside": ("sex",), "out": None}
    both = {"groups": "sex", "reference": tmp_path / "there.csv"}
    report = whole_job(AuditOptions(nn.Linear(2, 2).eval(), **options, **both, checks=("groups", "drift")))
    assert report["drift"].number("p_value") < 0.01
    assert report["drift"].conditions == {"against": "reference"}
    assert {row[0] for row in report["groups"].tables[0].rows} == {"m", "f"}
    with pytest.raises(dw.InputError, match="reference"):
        whole_job(AuditOptions(nn.Linear(2, 2).eval(), **options, reference="nowhere.csv"))


class Vote(ClassifierMixin, BaseEstimator):
    """An estimator that gives labels and no scores."""

    classes_ = np.array([0, 1])
    n_features_in_ = 4

    def predict(self, x):
        return (x[:, 0] > 0).astype(int)


def test_labels_alone_tell_no_wrong_labels_and_no_confidence():
    _, x, y = table(n=600)
    y[500:530] = 1 - y[500:530]
    subject = subject_of(from_estimator(Vote()), x, y, {"site": np.array(["u", "v"] * 300)}, groups="site")
    found = check("labels", subject)
    assert found.grade == "n/a"
    assert "labels and no scores" in found.summary
    assert "confidence - accuracy" not in check("groups", subject).tables[0].columns


def test_every_column_of_a_wide_table_is_tested_and_can_be_a_group():
    x = torch.randn(400, 130, generator=subjects.generator(8))
    x[200:, 129] += 3
    model, y = nn.Linear(130, 2).eval(), torch.arange(400) % 2
    parts = [Split(x[:200], y[:200]), Split(x[:50], y[:50]), Split(x[200:], y[200:])]
    names = tuple(f"c{i}" for i in range(130))
    subject = Subject(model, Data("made up", "tabular", ("no", "yes"), *parts, features=names), groups="c129")
    found = check("drift", subject)
    assert found.number("p_value") < 0.01
    assert found.number("auroc") > 0.9
    assert "c129" in found.summary
    assert "(30 of 131 that were tested)" in found.tables[0].caption
    assert len(check("groups", subject).tables[0].rows) == 4
    assert "the first 100" in check("slices", subject).rule


def test_labels_that_a_network_without_skill_contradicts_are_not_counted():
    model, x, y = table()
    flipped = torch.where(torch.rand(len(y), generator=subjects.generator(6)) < 0.1, y, 1 - y)
    found = check("labels", subject_of(model, x, flipped))
    assert "wrong_test_labels" not in found.values
    assert "correct the labels" not in found.remedy
