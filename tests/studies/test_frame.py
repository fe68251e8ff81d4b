"""The frame of the studies: arms, numbers over seeds, figures' series, and trials that are replayed."""

import math
import pickle
from types import SimpleNamespace

import pytest

from deepwright.core.errors import InputError
from deepwright.core.files import read_sealed, write_sealed
from deepwright.core.results import Claim, Figure, Table
from deepwright.core.resume import DamagedFileWarning
from deepwright.core.statistics import Interval, mean_interval
from deepwright.report.study import markdown
from deepwright.studies import STUDIES, Settings, run_study
from deepwright.studies._clock import median_ms
from deepwright.studies._frame import (
    Runs,
    banded,
    barred,
    cells,
    cross,
    curve,
    gaps,
    geometric,
    geometric_mean,
    mean,
    over_trials,
    ratios,
    run_grid,
    study_result,
    training_curve,
)
from deepwright.studies._frame.runs import _Timed


def scaled(factor, seed):
    """A trial."""
    return {"value": float(factor * seed), "parts": [factor, seed]}


def made():
    """Two arms over seeds 1, 2, 3: 2, 4, 6 and 5, 10, 15."""
    specs = cross(factor=(2, 5), seed=(1, 2, 3))
    return Runs(tuple(specs), tuple(scaled(**spec) for spec in specs))


def test_cross_changes_its_first_axis_slowest_and_repeats_constants():
    assert cross(a=("x", "y"), n=range(2), c=7) == [
        {"a": "x", "n": 0, "c": 7},
        {"a": "x", "n": 1, "c": 7},
        {"a": "y", "n": 0, "c": 7},
        {"a": "y", "n": 1, "c": 7},
    ]


def test_a_word_is_a_constant_of_a_cross():
    assert cross(what="word", seed=(1,)) == [{"what": "word", "seed": 1}]


def test_arms_keep_the_order_of_the_grid():
    assert list(made().by("factor")) == [2, 5]


def test_arms_of_two_axes_are_keyed_by_tuples():
    assert made().by("factor", "seed")[5, 2].values("value") == [10.0]


def test_an_arm_holds_its_own_seeds():
    assert made().by("factor")[5].seeds == (1, 2, 3)


def test_values_are_read_by_key():
    assert made().by("factor")[2].values("value") == [2.0, 4.0, 6.0]


def test_values_are_read_by_function():
    assert made().by("factor")[5].values(lambda row: row["parts"][0] - row["parts"][1]) == [4, 3, 2]


def test_mean_over_seeds():
    assert made().by("factor")[5].mean("value") == 10.0


def test_mean_of_truth_values_is_a_share():
    assert mean([True, False, True, True]) == 0.75


def test_the_mean_of_nothing_is_refused():
    with pytest.raises(InputError, match="average"):
        mean([])


def test_interval_over_seeds_is_students():
    """Values 2, 4, 6: standard error 2 / sqrt 3, and t(0.975, 2) = 4.302653."""
    found = made().by("factor")[2].interval("value")
    assert (found.low, found.high) == pytest.approx((4 - 4.302653 * 2 / math.sqrt(3), 4 + 4.302653 * 2 / math.sqrt(3)))


def test_gaps_are_taken_seed_by_seed():
    arms = made().by("factor")
    assert gaps(arms[5], arms[2], "value") == [3.0, 6.0, 9.0]


def test_gaps_between_two_measures_of_one_arm():
    arm = made().by("factor")[5]
    assert gaps(arm, arm, "value", lambda row: row["parts"][1]) == [4.0, 8.0, 12.0]


def test_ratios_are_taken_seed_by_seed():
    arms = made().by("factor")
    assert ratios(arms[5], arms[2], "value") == [2.5, 2.5, 2.5]


def test_arms_of_other_seeds_are_not_paired():
    specs = (*cross(factor=2, seed=(1, 2)), *cross(factor=5, seed=(2, 1)))
    arms = Runs(specs, tuple(scaled(**spec) for spec in specs)).by("factor")
    with pytest.raises(InputError, match="same seeds"):
        gaps(arms[2], arms[5], "value")


def test_a_banded_series_has_means_and_intervals():
    series = banded("ours", ("a", "b"), [[1.0, 3.0], [5.0, 5.0]])
    half = 12.706205  # t(0.975, 1) times a standard error of 1
    assert series["y"] == [2.0, 5.0]
    assert series["low"] == pytest.approx([2 - half, 5.0])
    assert series["high"] == pytest.approx([2 + half, 5.0])


def test_a_series_of_single_seeds_has_no_band():
    """One value shows no spread: neither a whisker of no length nor one without an end."""
    assert banded("ours", ("a", "b"), [[1.0, 3.0], [5.0]]) == {"name": "ours", "x": ["a", "b"], "y": [2.0, 5.0]}
    assert cells(mean_interval([5.0])) == (5.0, None, None)
    assert cells(mean_interval([5.0, 5.0])) == (5.0, 5.0, 5.0)


def test_a_barred_series_has_the_intervals_it_was_given():
    points = [Interval(2.0, 1.0, 4.0), Interval(5.0, 5.0, 6.0)]
    ours = {"name": "ours", "x": ["a", "b"], "y": [2.0, 5.0]}
    assert barred("ours", ("a", "b"), points) == {**ours, "low": [1.0, 5.0], "high": [4.0, 6.0]}
    assert barred("ours", ("a", "b"), [points[0], Interval(5.0, -math.inf, math.inf)]) == ours


def test_a_training_curve_has_geometric_means_over_the_share_of_the_training():
    series = training_curve("ours", [[1.0, 0.01], [4.0, 0.01]])
    assert series["x"] == [0.5, 1.0]
    assert series["y"] == pytest.approx([2.0, 0.01])
    assert 0 < series["low"][0] < 2.0 < series["high"][0]
    alone = {"name": "ours", "x": [0.5, 1.0], "y": pytest.approx([1.0, 0.01])}
    assert training_curve("ours", [[1.0, 0.01]]) == alone


def test_a_curve_takes_what_else_a_figure_reads():
    assert curve("ours", (1, 2), (3, 4), dashed=True) == {"name": "ours", "x": [1, 2], "y": [3, 4], "dashed": True}


def test_trials_come_back_in_the_order_of_the_grid():
    runs = run_grid(scaled, cross(factor=(2, 5), seed=(1, 2)), Settings(), "test")
    assert runs.values("value") == [2.0, 4.0, 5.0, 10.0]


def test_without_a_store_nothing_is_replayed():
    assert run_grid(scaled, cross(factor=2, seed=(1, 2)), Settings(), "test").replayed == 0


def test_stored_trials_are_replayed_and_counted(tmp_path):
    settings = Settings(store=tmp_path)
    run_grid(scaled, cross(factor=2, seed=(1, 2)), settings, "test")
    again = run_grid(scaled, cross(factor=2, seed=(1, 2, 3)), settings, "test")
    assert (again.replayed, again.values("value")) == (2, [2.0, 4.0, 6.0])


def test_a_stored_trial_that_read_another_file_is_not_taken(tmp_path):
    file = tmp_path / "rows.csv"

    def replayed(text):
        file.write_text(text)
        grid = cross(factor=2, seed=(1,))
        return run_grid(scaled, grid, Settings(store=tmp_path / "store"), "test", files=[file]).replayed

    assert [replayed(text) for text in ("1", "1", "2", "1")] == [0, 1, 0, 1]
    file.unlink()
    with pytest.raises(InputError, match="cannot read"):
        run_grid(scaled, [], Settings(), "test", files=[file])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("part", ["header", "state"])
def test_a_sealed_file_of_something_else_is_set_aside(part, tmp_path):
    grid = cross(factor=2, seed=(1,))
    first = run_grid(scaled, grid, Settings(store=tmp_path), "test")
    file = next(tmp_path.glob("*.pt"))
    header, state = read_sealed(file)
    write_sealed(file, *(([1], state) if part == "header" else (header, {"other": 1})))
    with pytest.warns(DamagedFileWarning):
        again = run_grid(scaled, grid, Settings(store=tmp_path), "test")
    assert (again.rows, again.replayed) == (first.rows, 0)


@pytest.mark.parametrize(("diverged", "value"), [(math.inf, math.inf), (math.nan, math.nan)])
def test_a_trial_that_diverged_is_shown_and_decides_nothing(diverged, value):
    specs = tuple({"seed": seed} for seed in range(3))
    bad, good = (Runs(specs, tuple({"v": v} for v in values)) for values in ((1.0, diverged, 2.0), (1.0, 1.0, 2.0)))
    for found in (bad.interval("v"), geometric(bad, good, "v"), over_trials(gaps(bad, good, "v"))):
        assert found.value == pytest.approx(value, nan_ok=True)
        assert cells(found)[1:] == (None, None)
        assert Claim.at_most("c", found, 5.0, n=3).verdict == "no number: not shown"
    assert "low" not in banded("n", [0], [bad.values("v")])


def test_a_quotient_over_nothing_is_no_number():
    specs = tuple({"seed": seed} for seed in range(2))
    over, under = (Runs(specs, tuple({"v": v} for v in values)) for values in ((1.0, 2.0), (0.0, 1.0)))
    assert ratios(over, under, "v") == pytest.approx([math.nan, 2.0], nan_ok=True)


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [math.nan, -1.0]])
def test_a_geometric_mean_needs_values_above_0(values):
    with pytest.raises(InputError, match="above 0"):
        geometric_mean(values)


def test_an_interval_that_is_too_wide_for_a_number_is_not_known():
    found = geometric_mean([1e-200, 1e200])
    assert (found.value, found.known) == (pytest.approx(1.0), False)


def test_the_trial_that_workers_get_survives_pickling():
    again = pickle.loads(pickle.dumps(_Timed(scaled, "this call")))
    found = again(factor=2, seed=3)
    assert (found["result"]["value"], found["call"]) == (6.0, "this call")


@pytest.mark.slow
def test_a_trial_of_another_process_is_not_a_replay(tmp_path):
    runs = run_grid(scaled, cross(factor=(2, 5), seed=(1, 2)), Settings(store=tmp_path, jobs=2), "test")
    assert runs.replayed == 0


def test_trials_bring_the_seconds_they_took_also_when_they_are_replayed(tmp_path, monkeypatch):
    ticks = [0.0, 10.0, 13.5, 14.0]  # the call begins, the trial begins and ends, the call ends
    with monkeypatch.context() as patched:
        patched.setattr("deepwright.studies._frame.runs.time.perf_counter", iter(ticks).__next__)
        fresh = run_grid(scaled, cross(factor=2, seed=(1,)), Settings(store=tmp_path), "test")
    again = run_grid(scaled, cross(factor=2, seed=(1,)), Settings(store=tmp_path), "test")
    assert (fresh.seconds, fresh.waited) == (3.5, 14.0)
    assert again.seconds == 3.5


def test_a_study_counts_a_trial_once_and_a_replay_never(tmp_path, monkeypatch):
    """Whether its trials come from the store or not, a study has the seconds they took when they ran."""

    def run(settings):
        return result_of(run_grid(scaled, cross(factor=2, seed=(1, 2)), settings, "test"))

    monkeypatch.setitem(STUDIES, "tiny", lambda: SimpleNamespace(run=run))
    # study and grid begin, two trials of 50 seconds, grid and study end; then the same without trials
    for ticks in ([0.0, 0.0, 0.0, 50.0, 50.0, 100.0, 100.0, 101.0], [0.0, 0.0, 2.0, 3.0]):
        with monkeypatch.context() as patched:
            patched.setattr("deepwright.studies._frame.runs.time.perf_counter", iter(ticks).__next__)
            assert run_study("tiny", Settings(store=tmp_path)).seconds == 101.0


def result_of(*runs, **settings):
    return study_result(
        "tiny",
        runs,
        seeds=(4, 5),
        claims=[Claim.at_least("a claim", 1.0, 0.5)],
        tables=[Table(["a"], [[1]], "first"), Table(["b"], [[2]], "second")],
        figures=[Figure("line", "t", [curve("n", [0], [1])])],
        summary="Found.",
        settings=settings,
    )


def test_a_result_records_its_seeds_and_settings():
    assert result_of(made(), steps=7).settings == {"seeds": [4, 5], "steps": 7}


def test_the_first_table_is_the_main_one():
    result = result_of(made())
    assert (result.table.caption, [t.caption for t in result.tables]) == ("first", ["second"])


def test_a_result_records_the_machine_of_its_trials():
    runs = run_grid(scaled, cross(factor=2, seed=(1, 2)), Settings(), "test")
    assert len(runs.machines) == 1
    machine = result_of(runs).machine
    assert machine["threads"] == 1  # trials compute on one, whatever this process has
    assert {"cpu", "cores", "device", "torch", "deepwright"} <= set(machine)


def test_a_trial_on_the_cpu_says_so_beside_a_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda *device: "a card that did nothing")
    assert result_of(made()).machine["device"] == "cpu"


def test_machines_that_differ_are_all_named():
    one, two = ({"cpu": name, "cores": 2} for name in ("slow", "fast"))
    runs = Runs(made().specs, made().rows, machines=(one, two))
    assert result_of(runs).machine == {"cpu": "slow and fast", "cores": 2}


def test_the_page_says_what_was_replayed():
    page = markdown(result_of(Runs(made().specs, made().rows, replayed=2, seconds=30.0)))
    assert "30 seconds (2 of 6 trials replayed from the store" in page


def test_the_page_of_a_fresh_run_speaks_of_no_replay():
    assert "replayed" not in markdown(result_of(made()))


def test_a_median_leaves_the_first_call_out(monkeypatch):
    clock = iter([0.0, 9.0, 9.0, 10.0, 10.0, 13.0, 13.0, 15.0])  # 9, 1, 3 and 2 seconds
    monkeypatch.setattr("deepwright.studies._clock.time.process_time", lambda: next(clock))
    assert median_ms({"way": lambda: None}, 3) == {"way": 2000.0}
