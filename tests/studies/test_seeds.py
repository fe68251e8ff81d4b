"""`--seeds`: what is read, what is refused, and that every study runs the seeds that were asked for."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from deepwright.cli import main
from deepwright.core.errors import InputError
from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.studies import STUDIES, Settings, parse_seeds
from deepwright.studies._frame import Runs


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("7", (7,)),
        ("100-104", (100, 101, 102, 103, 104)),
        ("1,2,3", (1, 2, 3)),
        (" 3 - 4 , 0", (3, 4, 0)),
        ("5-5", (5,)),
    ],
)
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", ",", "1,", "a", "-3", "3-", "1--2", "5-3", "1.5", "1,1", "1-3,2", "0-1000", "1-2-3", "٣", "1e3"]
)
def test_other_words_are_refused(text):
    with pytest.raises(InputError, match="100-104"):
        parse_seeds(text)


@pytest.mark.parametrize("digits", [9, 30, 5000])
def test_a_huge_range_is_refused_before_it_is_made(digits):
    with pytest.raises(InputError):
        parse_seeds("0-" + "9" * digits)


def test_a_studys_own_seeds_stay_without_others():
    assert Settings().seeds_or(range(3)) == (0, 1, 2)


def test_other_seeds_replace_a_studys_own():
    assert Settings(seeds=(8, 9)).seeds_or(range(3)) == (8, 9)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("seeds", [(), (1, 1), (1.5,), (True,), (-1,), (2**70,), "100-104", 5, range(1001)], ids=str)
def test_python_gives_seeds_as_the_command_does(seeds):
    with pytest.raises(InputError, match="seed"):
        Settings(seeds=seeds)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("seeds", [[1, 2], range(1, 3), np.arange(1, 3)], ids=str)
def test_seeds_of_any_kind_become_whole_numbers(seeds):
    assert Settings(seeds=seeds).seeds == (1, 2)
    assert {type(seed) for seed in Settings(seeds=seeds).seeds} == {int}


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("100-104", "seeds-100-104"),
        ("1,\n2\t-3", "seeds-1-3"),
        ("3,1,2", "seeds-3,1-2"),
        (",".join(map(str, range(0, 200, 2))), "seeds-0-and-99-more-82c500b3"),
    ],
)
def test_seeds_have_a_folder_of_their_own_that_a_file_system_takes(text, folder):
    assert Settings(seeds=parse_seeds(text)).folder == folder


def test_no_jobs_are_refused():
    with pytest.raises(InputError, match="jobs"):
        Settings(jobs=0)


@pytest.mark.usefixtures("unchecked")
def test_a_data_root_that_is_not_there_is_refused(tmp_path):
    """Else a study leaves out what it should have measured, and says so nowhere."""
    for place in (tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(InputError, match="data_root"):
            Settings(data_root=place)
    assert Settings(data_root=str(tmp_path)).data_root == tmp_path


@pytest.mark.parametrize(("name", "seed"), [("two-phase-pinn", 9000), ("spline-grid-pinn", 9000), ("sciml-core", 9001)])
def test_no_study_is_run_on_seeds_that_its_settings_were_chosen_on(name, seed):
    with pytest.raises(InputError, match="on which settings are chosen"):
        STUDIES[name]().run(Settings(seeds=(seed, 100)))


def test_nor_are_bounding_boxes():
    with pytest.raises(InputError, match="0, 3, on which settings are chosen"):
        STUDIES["bbas"]().run(Settings(seeds=(0, 3, 500)))


class _StopError(Exception):
    """What was to be seen was seen."""


class _Unread(Runs):
    """Stands where results would: a study that begins to read them has sent all its grids."""

    def __init__(self):
        pass

    def __getattribute__(self, name):
        if name.startswith("__"):  # what type checks ask
            return object.__getattribute__(self, name)
        raise _StopError

    def __getitem__(self, key):
        raise _StopError

    def __iter__(self):
        raise _StopError

    def __len__(self):
        raise _StopError


class _Alike:
    """A trial's result in which every number is 1."""

    def __getitem__(self, key):
        return 1.0


CHOOSING = 9000  # from this seed on settings are chosen, and nothing else is done


def grids_of(name, settings, monkeypatch):
    """The trials that a study would run, but for those that choose settings on seeds that nothing else uses."""
    module, grids = STUDIES[name](), []

    def captured(function, grid, *_, **__):
        if all(spec["seed"] >= CHOOSING for spec in grid):
            return Runs(tuple(grid), (_Alike(),) * len(grid))
        grids.extend(grid)
        return _Unread()

    def stop(*_):
        raise _StopError

    monkeypatch.setattr(module, "run_grid", captured)
    monkeypatch.setattr(module, "latencies", stop, raising=False)
    # bbas chooses settings on networks of their own, before those that are tested
    monkeypatch.setattr(module, "choices", lambda *_: SimpleNamespace(digits={}, photographs=None), raising=False)
    with pytest.raises(_StopError):
        module.run(settings)
    return grids


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_runs_the_seeds_that_were_asked_for(name, quick, monkeypatch):
    """As far as grids don't depend on results; `test_quick` sees them all."""
    grids = grids_of(name, Settings(quick=quick, seeds=(100, 101, 102)), monkeypatch)
    assert {spec["seed"] for spec in grids} == {100, 101, 102}


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_seeds_of_its_own_in_a_row(name, monkeypatch):
    seeds = {spec["seed"] for spec in grids_of(name, Settings(), monkeypatch)}
    assert seeds == set(range(min(seeds), max(seeds) + 1))


@pytest.fixture
def stub(monkeypatch):
    """A study that finds nothing but its seeds."""

    def run(settings):
        seeds = list(settings.seeds_or((0, 1)))
        figure = Figure("line", "t", [{"name": "n", "x": [0, 1], "y": [1, 2]}])
        table = Table(["a"], [[1]])
        claims = [Claim.at_least("it runs", 1.0, 0.5)]
        return StudyResult("stub", claims, table, [figure], settings={"seeds": seeds}, seconds=100.0)

    monkeypatch.setitem(STUDIES, "stub", lambda: SimpleNamespace(run=run))
    monkeypatch.setattr("deepwright.report.write_study", lambda r, folder: r.to_json(folder / f"{r.study}.json"))


def command(tmp_path, *more):
    store = ["--store", str(tmp_path / "store")]
    return CliRunner().invoke(main, ["study", "stub", "--out", str(tmp_path / "out"), *store, *more])


def test_the_command_runs_other_seeds_and_leaves_the_committed_page_alone(stub, tmp_path):
    command(tmp_path, "--seeds", "100-102")
    result = StudyResult.from_json(tmp_path / "out" / "seeds-100-102" / "stub.json")
    assert result.settings["seeds"] == [100, 101, 102]
    assert not (tmp_path / "out" / "stub.json").exists()


def test_the_command_without_seeds_runs_the_studys_own(stub, tmp_path):
    command(tmp_path)
    assert StudyResult.from_json(tmp_path / "out" / "stub.json").settings["seeds"] == [0, 1]


def test_the_commands_seconds_count_what_was_replayed(stub, tmp_path):
    command(tmp_path)
    assert StudyResult.from_json(tmp_path / "out" / "stub.json").seconds > 100


def test_the_command_refuses_malformed_seeds_before_any_work(stub, tmp_path):
    result = command(tmp_path, "--seeds", "5-3")
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()
