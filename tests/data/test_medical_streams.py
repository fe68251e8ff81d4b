"""Patients' files: grids and units of OhioT1DM, hours of CinC 2019, and what is refused."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.data import Stream, load_cinc_psv, load_ohio_xml

XML = """<?xml version="1.0" encoding="UTF-8"?>
<patient id="559"><glucose_level>
<event ts="07-12-2021 01:17:00" value="101"/><event ts="07-12-2021 01:22:00" value="98"/>
<event ts="07-12-2021 01:37:00" value="104"/></glucose_level>
<bolus><event ts_begin="07-12-2021 01:21:00" ts_end="07-12-2021 01:21:00" dose="2.5"/></bolus>
<meal><event ts="07-12-2021 01:33:00" type="Snack" carbs="20"/></meal></patient>"""


def test_ohio_is_put_on_a_grid_of_five_minutes(tmp_path):
    path = tmp_path / "559.xml"
    path.write_text(XML)
    found = load_ohio_xml(path)
    assert found.channels == ("glucose", "bolus", "carbs", "finger stick")
    assert found.values[:, 1].tolist() == [0, 2.5, 0, 0, 0]
    assert found.event.tolist() == [False, False, False, True, False]
    glucose = found.values[:, 0]
    assert glucose[[0, 1, 4]].tolist() == [101, 98, 104]
    assert bool(glucose[2:4].isnan().all())
    assert found.filled().values[:, 0].tolist() == [101, 98, 98, 98, 104]
    with pytest.raises(InputError, match="missing"):
        found.windows(2, 1)
    windows = found.filled().windows(2, 2)
    assert windows.y.tolist() == [[98, 98], [98, 104]]
    assert windows.event.tolist() == [False, False]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<patient", '<!DOCTYPE a [<!ENTITY b "c">]><patient', "document type"),
        ('value="101"', 'value="5.6"', None),
        ("07-12-2021 01:22:00", "2021-12-07 01:22", "ts="),
        ('value="98"', 'value="much"', "a number"),
        ("</patient>", "", "XML"),
        ("glucose_level", "sugar", "no glucose"),
    ],
)
def test_other_files_are_refused(tmp_path, old, new, words):
    path = tmp_path / "p.xml"
    text = XML.replace(old, new)
    if words is None:  # all of it in mmol/L
        text, words = text.replace('value="98"', 'value="5.4"').replace('value="104"', 'value="5.8"'), "mg/dL"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        load_ohio_xml(path)


def test_cinc_is_read_by_the_hour(tmp_path):
    path = tmp_path / "p1.psv"
    path.write_text("HR|Temp|SepsisLabel\n80|NaN|0\nNaN|37.5|1\n")
    found = load_cinc_psv(path)
    assert found.channels == ("HR", "Temp")
    assert found.event.tolist() == [False, True]
    assert math.isnan(float(found.values[1, 0]))
    assert found.filled().values.tolist() == [[80, 37.5], [80, 37.5]]
    for text in ("HR|Temp\n1|2\n", "HR|SepsisLabel\nx|0\n"):
        path.write_text(text)
        with pytest.raises(InputError):
            load_cinc_psv(path)


def test_a_channel_without_a_value_cannot_be_filled():
    with pytest.raises(InputError, match="'b'"):
        Stream(torch.tensor([[1.0, math.nan]]), ("a", "b")).filled()


def test_readings_between_two_steps_and_the_last_one_are_kept(tmp_path):
    path = tmp_path / "p.xml"
    times = ("00:00:00", "00:05:00", "00:12:30", "00:17:30")
    events = "".join(f'<event ts="07-12-2021 {t}" value="{100 + i}"/>' for i, t in enumerate(times))
    path.write_text(f"<patient><glucose_level>{events}</glucose_level></patient>")
    glucose = load_ohio_xml(path).values[:, 0]
    assert glucose[glucose.isfinite()].tolist() == [100, 101, 102, 103]
    path.write_text(path.read_text().replace('"102"', '"inf"'))
    with pytest.raises(InputError, match="a number"):
        load_ohio_xml(path)


def test_a_channel_that_was_never_measured_can_be_left_out():
    stream = Stream(torch.tensor([[1.0, math.nan], [2.0, math.nan], [3.0, math.nan]]), ("a", "b"))
    assert stream.without_empty().filled().windows(2, 1).x.shape == (1, 2, 1)
