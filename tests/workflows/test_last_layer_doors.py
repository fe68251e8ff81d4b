"""`harden --with hsfm` and its like on a column of groups, and what the audit's section on groups says."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from deepwright import InputError
from deepwright.checks import Subject, run_check
from deepwright.checks.quality.groups import check_groups
from deepwright.checks.quality.shortcuts import _change_of_least, _probe, attribute_of, head_rows
from deepwright.data import Data, gaussian_spurious
from deepwright.nets import load_exported
from deepwright.workflows import HardenOptions, harden
from deepwright.workflows.last_layers import HEADS

WORLD = gaussian_spurious(4, d=10, p_val=0.8, n=(800, 500, 900))
DATA = WORLD.data


def network(outputs=2):
    """Features that hold both directions, and a head that follows the shortcut."""
    model = nn.Sequential(nn.Linear(10, 6), nn.Linear(6, outputs)).eval()
    with torch.no_grad():
        basis = torch.linalg.qr(torch.stack([WORLD.core, WORLD.shortcut, *torch.eye(10)[:4]]).T).Q.T
        basis[:2] = torch.stack([WORLD.core, WORLD.shortcut])
        model[0].weight.copy_(basis)
        model[0].bias.zero_()
        pull = torch.tensor([1.0, 2.0, 0, 0, 0, 0])
        model[1].weight.copy_(torch.stack([-pull, pull]) if outputs == 2 else 2 * pull[None])
        model[1].bias.zero_()
    return model


def test_the_audit_names_the_worst_pair_what_there_is_to_gain_and_what_is_encoded():
    found = run_check("groups", check_groups, Subject(network(), DATA, groups="attribute"))
    assert found.number("worst_class_group") < 0.4
    assert found.number("headroom") > 0.3
    assert found.number("attribute_probe") > 0.95
    assert "By class and attribute it is lowest for" in found.summary
    assert "--with dfr --groups attribute" in found.remedy
    table = found.tables[-1]
    assert len(table.rows) == 4
    assert table.rows[0][2] == pytest.approx(found.number("worst_class_group"))


def test_a_network_that_no_shortcut_fails_has_nothing_to_gain():
    model = network()
    with torch.no_grad():
        model[1].weight[:, 1] = 0
    found = run_check("groups", check_groups, Subject(model, DATA, groups="attribute"))
    assert abs(found.number("headroom")) < 0.06
    assert "--with dfr" not in found.remedy


def test_without_held_out_samples_the_headroom_is_not_known():
    data = Data("seen", "tabular", DATA.classes, DATA.train, DATA.validation, DATA.test, seen_validation=True)
    found = run_check("groups", check_groups, Subject(network(), data, groups="attribute"))
    assert "headroom" not in found.values
    assert "isn't known" in found.summary


def lacking(kept):
    """The data without some validation samples."""
    attribute = torch.as_tensor(DATA.validation.columns["attribute"])
    rows = kept(DATA.validation.y, attribute).nonzero().flatten()
    return replace(DATA, validation=DATA.validation.where(rows))


@pytest.mark.parametrize("method", ["hsfm", "dfr"])
def test_a_group_that_validation_lacks_is_refused_by_name(tmp_path, method):
    data = lacking(lambda y, attribute: (y != 1) | (attribute != 0))
    found = run_check("groups", check_groups, Subject(network(), data, groups="attribute"))
    assert "headroom" not in found.values
    assert "no sample of 1 with attribute 0" in found.summary
    with pytest.raises(InputError, match="no sample of 1 with attribute 0"):
        harden(HardenOptions(network(), data=data, method=method, groups="attribute", checks=["groups"], out=tmp_path))


def test_a_probe_that_never_ran_is_not_reported():
    data = lacking(lambda y, attribute: attribute == 1)
    found = run_check("groups", check_groups, Subject(network(), data, groups="attribute"))
    assert "attribute_probe" not in found.values
    assert "isn't known" in found.summary
    assert "--with dfr" not in found.remedy
    subject = Subject(network(), DATA, groups="attribute")
    known = attribute_of(subject, "attribute")
    rows = head_rows(subject, known)
    one = tuple(part[rows.validation[2] % 2 == 1] for part in rows.validation)
    assert _probe(subject, known, replace(rows, validation=one)) is None
    assert _probe(subject, known, rows).value > 0.95


def test_the_headroom_has_an_interval_and_a_rare_value_that_is_encoded_reads_as_encoded():
    found = run_check("groups", check_groups, Subject(network(), DATA, groups="attribute"))
    gain = found.values["headroom"]
    assert 0 < gain.low < gain.value < gain.high
    groups = torch.arange(4).repeat_interleave(40)
    rng = torch.Generator().manual_seed(0)
    above = 0
    for seed in range(20):  # two heads that are alike: right by chance, each on its own
        before, after = (torch.rand(160, generator=rng) < 0.8 for _ in range(2))
        above += _change_of_least(before, after, groups, seed).low > 0
    assert above <= 2
    same = _change_of_least(before, before, groups, 0)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    rare = gaussian_spurious(1, d=10, p_train=0.5, p_val=0.5, n=(800, 500, 900)).data
    parts = [part.where(_mostly(part, 0.06)) for part in (rare.train, rare.validation, rare.test)]
    said = run_check("groups", check_groups, Subject(network(), replace_parts(rare, parts), groups="attribute"))
    assert said.number("attribute_probe") > 0.8  # the most frequent value alone would have 0.5


def _mostly(split, share):
    """Rows of which so many have attribute 1, each class alike."""
    attribute = torch.as_tensor(split.columns["attribute"])
    some = (attribute == 1).nonzero().flatten()
    return torch.cat([(attribute == 0).nonzero().flatten(), some[: int(share * len(attribute))]])


def replace_parts(data, parts):
    return replace(data, train=parts[0], validation=parts[1], test=parts[2])


@pytest.mark.parametrize("method", ["hsfm", *(pytest.param(m, marks=pytest.mark.slow) for m in HEADS if m != "hsfm")])
def test_a_new_last_layer_with_both_audits(tmp_path, method):
    model = network()
    options = HardenOptions(model, data=DATA, method=method, groups="attribute", checks=["groups"], out=tmp_path)
    found = harden(options)
    before, after = (report["groups"].number("worst_class_group") for report in (found.before, found.after))
    assert after > before + (0.2 if method != "last-layer" else 0.05)
    new = found.hardened.model
    assert torch.equal(new[0].weight, model[0].weight)
    assert not torch.equal(new[1].weight, model[1].weight)
    x = DATA.test.x[:7]
    assert torch.allclose(load_exported(tmp_path / "network.pt2")(x), new(x), atol=1e-4)
    said = {"dfr": "training: yes", "group-dro": "training: yes", "last-layer": "settings: no"}.get(
        method, "training: no"
    )
    assert said in found.notes[0]


def test_a_network_of_half_precision_gets_a_head_of_half_precision(tmp_path):
    options = HardenOptions(
        network().bfloat16(), data=DATA, method="dfr", groups="attribute", checks=["groups"], out=tmp_path
    )
    found = harden(options)
    assert found.hardened.model[1].weight.dtype == torch.bfloat16
    before, after = (report["groups"].number("worst_class_group") for report in (found.before, found.after))
    assert after > before + 0.2


def test_a_single_logit_keeps_its_shape(tmp_path):
    options = HardenOptions(
        network(1), data=DATA, method="dfr", groups="attribute", task="binary", checks=["groups"], out=tmp_path
    )
    found = harden(options)
    assert found.hardened.model(DATA.test.x[:3]).shape == (3, 1)
    assert found.after["groups"].number("worst_class_group") > 0.6


def test_groups_of_a_file(tmp_path):
    parts = []
    for k, split in enumerate((DATA.train, DATA.validation, DATA.test)):
        files = np.array([f"{k}/{i}.png" for i in range(len(split))])
        parts.append(type(split)(split.x, split.y, {"file": files}))
    data = Data("filed", "tabular", DATA.classes, *parts)
    with (tmp_path / "groups.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "place"])
        for split, part in zip((DATA.train, DATA.validation, DATA.test), parts):
            writer.writerows(zip(part.columns["file"], (("land", "water")[a] for a in split.columns["attribute"])))
    options = HardenOptions(
        network(), data=data, method="dfr", groups=tmp_path / "groups.csv", checks=["groups"], out=tmp_path / "out"
    )
    found = harden(options)
    assert "with place" in found.before["groups"].summary


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "smoothing", "groups": "attribute"}, "hsfm"),
        ({"method": "dfr"}, "no column was named"),
        ({"method": "dfr", "groups": "class"}, "no attribute"),
        ({"method": "hsfm", "groups": "attribute", "epochs": 3}, "isn't trained"),
        ({"method": "hsfm", "groups": "colour"}, "colour"),
    ],
)
def test_what_does_not_apply_is_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        harden(HardenOptions(network(), data=DATA, out=tmp_path, checks=["accuracy"], **options))


@pytest.mark.slow
def test_the_default_ends_by_itself(tmp_path):
    found = harden(HardenOptions(method="dfr", out=tmp_path))
    before, after = (report["groups"].number("worst_class_group") for report in (found.before, found.after))
    assert after > before + 0.1
