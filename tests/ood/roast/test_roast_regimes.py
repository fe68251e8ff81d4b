"""The whole of it on a small cohort: nothing of the later parts is learned from, and regimes are measured alike."""

import math

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.data import Windows, make_glucose_cohort, make_machine_fleet
from deepwright.ood import KNNDetector, OutlierExposure, Roast, Setup, SeverityMatrix, attack_cohort, run_regime

MATRIX = SeverityMatrix((3.0, 6.0), ((0.0, 2.0, 8.0), (1.0, 0.0, 4.0), (2.0, 1.0, 0.0)), 1)


class Mean(nn.Module):
    def forward(self, x):
        return x[..., 0].mean(1, keepdim=True).repeat(1, 3)


def push(model, x, y):
    moved = x.clone()
    moved[..., 0] += 0.6 * (x[:, -1:, 0] > 2.5)
    return moved


def fleet(n=3):
    machines = make_machine_fleet(n, n, samples=900, seed=1)
    return {name: stream.windows(8, 3, 4) for name, stream in machines.items()}


@pytest.fixture(scope="module")
def fitted():
    return Roast(Mean(), push, MATRIX, "cv", value=0.9).fit(fleet())


def test_parts_share_no_row():
    windows = fleet()["steady 1"]
    early, late = windows.cut(0.75)
    assert int(early.start[-1]) + 8 + 3 <= int(late.start[0])
    assert len(early) == int(0.75 * len(windows))


def test_the_later_parts_decide_nothing(fitted):
    other = {name: Windows(w.x.clone(), w.y.clone(), w.start, w.event) for name, w in fleet().items()}
    for windows in other.values():
        late = windows.start >= windows.cut(0.75)[1].start[0]
        windows.x[late] = windows.x[late].flip(0)
    again = Roast(Mean(), push, MATRIX, "cv", value=0.9).fit(other)
    assert again.kept_ == fitted.kept_
    assert again.regime_.detector.threshold_ == fitted.regime_.detector.threshold_
    assert {n: p.mean for n, p in again.profiles_.items()} == {n: p.mean for n, p in fitted.profiles_.items()}


def test_all_regimes_stand_at_one_rate_of_false_alarms(fitted):
    found = fitted.regimes()
    for name, regime in found.items():
        if name != "each its own":
            pooled = torch.cat(
                [
                    s > t
                    for s, t in zip(
                        regime.at_rate(0.1).benign.values(), [regime.at_rate(0.1).thresholds[n] for n in regime.benign]
                    )
                ]
            )
            assert float(pooled.double().mean()) <= 0.1
            assert float(pooled.double().mean()) > 0.07
    table = fitted.table(found)
    assert [row[0] for row in table.rows] == list(found)
    assert table.columns[2:4] == ["recall", "false alarms"]
    assert table.rows[0][8] is None


def test_cv_keeps_everybody_where_selection_finds_no_more(fitted):
    assert fitted.cross_validation_.accepted == (fitted.cross_validation_.gain.low > 0)
    wanted = fitted.selector_.less_vulnerable_ if fitted.cross_validation_.accepted else list(fleet())
    assert list(fitted.kept_) == list(wanted)


def test_attacked_entities_are_kept_and_bound_to_what_they_were_made_from(tmp_path):
    calls = []

    def counted(model, x, y):
        calls.append(len(x))
        return push(model, x, y)

    first = attack_cohort(Mean(), push, fleet(), checkpoint=tmp_path / "kept")
    again = attack_cohort(Mean(), push, fleet(), checkpoint=tmp_path / "kept")
    assert all(torch.equal(first.test[n].attacked, again.test[n].attacked) for n in first.test)
    with pytest.raises(InputError, match="attack"):
        attack_cohort(Mean(), counted, fleet(), checkpoint=tmp_path / "kept")
    assert not calls


def test_a_recall_of_nobody_is_no_number():
    cohort = attack_cohort(Mean(), lambda model, x, y: x, fleet())
    found = run_regime(cohort, list(cohort.train), Setup(KNNDetector))
    assert math.isnan(found.recall())
    assert math.isnan(found.auroc())
    assert 0 <= found.false_alarms() <= 1


def test_unlabelled_exposure_hides_what_labelled_shows():
    cohort = attack_cohort(Mean(), lambda model, x, y: x + 8, fleet())
    areas = {}
    for mode in ("mixed", "labeled"):
        setup = Setup(KNNDetector, OutlierExposure(mode), "fbeta", 1.0)
        areas[mode] = run_regime(cohort, list(cohort.train), setup).auroc()
    assert areas["labeled"] > 0.99
    assert areas["mixed"] < areas["labeled"] - 0.1


def test_streams_that_say_nothing_are_named():
    streams = fleet()
    still = Windows(torch.ones(50, 8, 3), torch.ones(50, 3), torch.arange(50) * 4, torch.zeros(50, dtype=torch.bool))
    cohort = attack_cohort(Mean(), push, streams | {"still": still, "gone": still.take(slice(0, 0))})
    assert cohort.left_out == {"still": "a stream that never moves", "gone": "no windows in one of its parts"}
    holed = dict(streams)
    holed["steady 1"] = Windows(*(getattr(holed["steady 1"], f).clone() for f in ("x", "y", "start", "event")))
    holed["steady 1"].x[0, 0, 0] = math.nan
    with pytest.raises(InputError, match="'steady 1'"):
        attack_cohort(Mean(), push, holed)
    with pytest.raises(InputError, match="4 or more"):
        attack_cohort(Mean(), push, dict(list(streams.items())[:3]))
    with pytest.raises(InputError, match="attack on"):
        attack_cohort(Mean(), lambda model, x, y: x[:, :2], streams)


def test_patients_are_as_the_source_describes_them():
    found = make_glucose_cohort(3, 3, days=7, seed=4)
    mean = {name: float(s.values[:, 0].mean()) for name, s in found.items()}
    assert all(95 < mean[f"stable {i}"] < 130 for i in (1, 2, 3))
    assert all(145 < mean[f"labile {i}"] < 205 for i in (1, 2, 3))
    spread = {name: float(s.values[:, 0].std()) for name, s in found.items()}
    assert max(spread[f"stable {i}"] for i in (1, 2, 3)) < min(spread[f"labile {i}"] for i in (1, 2, 3))
    near = make_glucose_cohort(3, 3, days=7, seed=4, overlap=True)
    assert all(float(near[f"stable {i}"].values[:, 0].mean()) > mean[f"stable {i}"] + 8 for i in (1, 2, 3))
    assert torch.equal(
        near["labile 1"].values, make_glucose_cohort(3, 3, days=7, seed=4, overlap=True)["labile 1"].values
    )


def test_no_window_is_its_own_neighbour_in_a_threshold_of_its_entity():
    cohort = attack_cohort(Mean(), push, fleet())
    setup = Setup(lambda: KNNDetector(1), per_entity=True)
    found = run_regime(cohort, list(cohort.train), setup)
    assert min(found.thresholds.values()) > 0
    assert found.false_alarms() < 0.3


def test_names_that_read_alike_are_refused():
    streams = list(fleet().values())
    with pytest.raises(InputError, match="read alike"):
        attack_cohort(Mean(), push, dict(zip((1, "1", 2, 3, 4), streams)))


def test_the_forecaster_is_left_as_found():
    model = nn.Sequential(nn.Dropout(0.5), Mean())
    model[0].eval()
    attack_cohort(model, push, fleet())
    assert [module.training for module in model.modules()] == [True, False, True]


def test_other_events_are_other_work(tmp_path):
    streams = fleet()
    attack_cohort(Mean(), push, streams, checkpoint=tmp_path / "kept")
    moved = {name: Windows(w.x, w.y, w.start, ~w.event) for name, w in streams.items()}
    with pytest.raises(InputError, match="data"):
        attack_cohort(Mean(), push, moved, checkpoint=tmp_path / "kept")


def test_a_threshold_per_entity_has_no_exposure():
    with pytest.raises(InputError, match="beside an exposure"):
        Setup(KNNDetector, OutlierExposure(), per_entity=True)
