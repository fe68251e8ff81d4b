"""`--check`: what agrees within the committed spread, what differs, and the exit code."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from deepwright.cli import main
from deepwright.core.errors import InputError
from deepwright.core.results import Arm, Claim, Figure, StudyResult, Table
from deepwright.core.statistics import Interval
from deepwright.report.study import markdown
from deepwright.studies import STUDIES, agreement, committed_result, evidence_faults

VALUES = [0.9, 1.0, 1.1, 1.0, 1.2]


def result(*claims, rows=((1, None, None),), seeds=5):
    table = Table(["arm", "error", "low", "high"], [["ours", *row] for row in rows])
    figure = Figure("line", "t", [{"name": "n", "x": [0, 1], "y": [1, 2]}])
    return StudyResult("stub", list(claims), table, [figure], settings={"seeds": list(range(seeds))}, seconds=1.0)


def moved(claim, by):
    return replace(claim, measured=claim.measured + by)


def test_a_result_agrees_with_itself():
    same = result(Claim.at_least("c", VALUES, 0.5), Claim.at_most("d", 1e-12, 1e-9), rows=((1.0, 0.9, 1.1),))
    found = agreement(same, same)
    assert found.differing == 0
    assert {row[-1] for row in found.table.rows} == {"agrees"}


def test_rows_of_the_same_words_are_compared_each_with_its_own():
    """A method at several settings: the setting is a number, and no word tells its rows apart."""
    rows = [["ours", 0.4, 1.0, 0.9, 1.1], ["ours", 0.5, 5.0, 4.9, 5.1], ["ours", 0.6, 9.0, 8.9, 9.1]]
    columns = ["arm", "target", "error", "low", "high"]
    same = replace(result(), table=Table(columns, rows))
    found = agreement(same, same)
    assert (found.differing, [row[0] for row in found.table.rows]) == (
        0,
        [f"ours, {t}: error" for t in (0.4, 0.5, 0.6)],
    )
    off = agreement(replace(same, table=Table(columns, [rows[0], [*rows[1][:2], 7.0, 6.9, 7.1], rows[2]])), same)
    assert [row[0] for row in off.table.rows if row[-1] == "differs"] == ["ours, 0.5: error"]
    assert agreement(replace(same, table=Table(columns, rows[:2])), same).table.rows == []  # which two isn't known


@pytest.mark.parametrize("now", [math.nan, None])
def test_a_number_that_is_none_any_more_differs(now):
    assert agreement(result(rows=((now, None, None),)), result(rows=((1.0, 0.9, 1.1),))).differing == 1


def test_what_was_not_measured_now_is_said():
    committed = result(Claim.at_least("c", VALUES, 0.5), rows=((1.0, 0.9, 1.1),))
    now = replace(result(), table=Table(committed.table.columns, [["theirs", 1.0, 0.9, 1.1]]))
    found = agreement(now, committed)
    assert found.differing == 1
    assert "counts as a difference: 1." in " ".join(found.words)
    assert "aren't judged: 1." in " ".join(found.words)


def test_a_table_that_is_missing_now_does_not_shift_the_others():
    """Data that aren't here: a table of the same columns stands in its place, and is compared with its own."""
    columns = ["arm", "area", "low", "high"]
    photographs = Table(columns, [["ours", 9.0, 8.9, 9.1]], "photographs")
    digits = Table(columns, [["ours", 1.0, 0.9, 1.1]], "5 pairs of digits")
    committed = replace(result(), tables=[photographs, digits])
    found = agreement(replace(result(), tables=[replace(digits, caption="4 pairs of digits")]), committed)
    assert [row[:3] for row in found.table.rows] == [["ours: area", 1.0, 1.0]]
    assert "aren't judged: 1." in " ".join(found.words)


def test_a_table_with_other_words_is_known_by_its_columns():
    old = result(rows=((1.0, 0.9, 1.1),))
    now = replace(old, table=replace(old.table, caption="in other words"))
    assert [row[0] for row in agreement(now, old).table.rows] == ["ours: error"]


def test_a_mean_may_differ_by_what_two_means_of_such_a_spread_do():
    """One claim: t(0.975, n - 1) s sqrt(1/n + 1/n)."""
    claim = Claim.at_least("c", VALUES, 0.0)
    margin = stats.t.ppf(0.975, 4) * claim.spread * math.sqrt(2 / 5)
    near, far = (agreement(result(moved(claim, f * margin)), result(claim)).differing for f in (0.99, 1.01))
    assert (near, far) == (0, 1)


def test_how_much_must_change_to_be_seen_is_said():
    claims = [Claim.at_least(f"c{i}", VALUES, 0.0) for i in range(5)]
    least = stats.t.ppf(1 - 0.025 / 5, 4) * math.sqrt(2 / 5)
    words = " ".join(agreement(result(*claims), result(*claims)).words)
    assert f"Over 5 seeds and 5 numbers a mean is seen to differ from {least:.1f} times its spread" in words


def test_of_more_claims_each_may_differ_by_more():
    claims = [Claim.at_least(f"c{i}", VALUES, 0.0) for i in range(5)]
    margin = stats.t.ppf(1 - 0.025 / 5, 4) * claims[0].spread * math.sqrt(2 / 5)
    near, far = ([moved(claims[0], f * margin), *claims[1:]] for f in (0.99, 1.01))
    assert agreement(result(*near), result(*claims)).differing == 0
    assert agreement(result(*far), result(*claims)).differing == 1


def test_a_true_rerun_differs_anywhere_in_one_of_twenty():
    """100 reruns of four claims over eight seeds: 5 % of them at most, within three standard errors."""
    rng = np.random.default_rng(0)

    def drawn():
        return result(*(Claim.at_least(f"c{i}", rng.normal(1, 0.1, 8).tolist(), 0.0) for i in range(4)), seeds=8)

    share = sum(agreement(drawn(), drawn()).differing > 0 for _ in range(100)) / 100
    assert share < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)


def test_a_claim_that_held_and_fails_differs_at_any_number():
    held = Claim.at_least("c", VALUES, 0.85)
    now = replace(held, holds=False, low=0.8, high=0.84)
    assert agreement(result(now), result(held)).table.rows[0][-1] == "fails, and the committed one holds"


def test_a_claim_that_is_no_longer_shown_still_agrees():
    held = Claim.at_least("c", VALUES, 0.89)
    assert agreement(result(replace(held, holds=False, low=0.88)), result(held)).differing == 0


def test_a_claim_that_is_gone_differs():
    rows = agreement(result(), result(Claim.at_least("c", VALUES, 0.0))).table.rows
    assert [row[-1] for row in rows] == ["only committed"]


@pytest.mark.parametrize("change", [{"threshold": 0.1}, {"sense": "<="}])
def test_a_bar_that_was_moved_differs(change):
    claim = Claim.at_least("c", VALUES, 0.5)
    found = agreement(result(replace(claim, **change)), result(claim))
    assert found.differing == 1
    assert "and was >= 0.5" in found.table.rows[0][-1]


def test_no_bar_is_so_high_that_anything_agrees():
    old = Claim.at_most("c", VALUES, math.inf)
    assert agreement(result(replace(old, measured=99.0)), result(old)).differing == 1


@pytest.mark.parametrize(("now", "differing"), [(math.inf, 0), (-math.inf, 1), (math.nan, 1), (1.0, 1)])
def test_an_infinity_agrees_with_itself_alone(now, differing):
    old = Claim.at_least("c", math.inf, 0.5)
    assert agreement(result(replace(old, measured=now)), result(old)).differing == differing


def test_claims_of_the_same_words_are_compared_each_with_its_own():
    first, second = Claim.at_least("c", VALUES, 0.5), Claim.at_least("c", [v + 5 for v in VALUES], 0.5)
    assert agreement(result(first, second), result(first, second)).differing == 0
    assert agreement(result(moved(first, 9), second), result(first, second)).differing == 1
    assert agreement(result(second), result(first, second)).differing == 2


GEOMETRIC = Interval(218.0, 218.0 / 5.6, 218.0 * 5.6)


@pytest.mark.parametrize(("times", "differing"), [(0.99, 0), (1.01, 1)])
@pytest.mark.parametrize("up", [True, False])
def test_a_geometric_mean_may_differ_by_a_factor_either_way(up, times, differing):
    """The factor's logarithm is log(5.6) sqrt(2) for one claim over as many seeds: 11.4, not 218 +- 1400."""
    old = Claim.at_least("c", GEOMETRIC, 1.0, n=5)
    factor = math.exp(times * math.sqrt(2) * math.log(5.6))
    now = 218 * factor if up else 218 / factor
    found = agreement(result(replace(old, measured=now)), result(old))
    assert (found.differing, found.table.rows[0][3]) == (differing, "x 11.4")
    row = (GEOMETRIC.value, GEOMETRIC.low, GEOMETRIC.high)
    assert agreement(result(rows=((now, None, None),)), result(rows=(row,))).differing == differing


def test_a_geometric_mean_never_agrees_with_what_is_not_above_0():
    assert agreement(result(rows=((0.0, None, None),)), result(rows=((218.0, 39.0, 218**2 / 39),))).differing == 1


def test_a_row_with_a_number_that_is_none_is_compared_after_json():
    def table(x):
        rows = [["ours", x, x - 0.1, x + 0.1, math.nan, math.inf]]
        return replace(result(), table=Table(["arm", "error", "low", "high", "a", "b"], rows))

    read = StudyResult.from_dict(json.loads(json.dumps(table(1.0).to_dict())))
    assert math.isnan(read.table.rows[0][4])
    assert [agreement(table(x), read).differing for x in (1.0, 9.0)] == [0, 1]


@pytest.mark.parametrize(("now", "differing"), [(3.9, 0), (1.1, 0), (4.1, 1), (0.9, 1)])
def test_a_timing_may_differ_by_a_factor_of_two(now, differing):
    old = Claim.at_least("t", 2.0, 0.5, timing=True)
    found = agreement(result(replace(old, measured=now)), result(old))
    assert found.differing == differing
    assert any("factor of 2" in line for line in found.words)


@pytest.mark.parametrize(("now", "differing"), [(1.9, 0), (0.6, 0), (2.1, 1), (0.4, 1)])
@pytest.mark.parametrize("heading", ["CPU time over static", "by the clock", "CPU seconds"])
def test_a_column_of_times_may_differ_by_a_factor_of_two(heading, now, differing):
    def table(x):
        return replace(result(), table=Table(["arm", heading, "low", "high"], [["ours", x, x - 0.01, x + 0.01]]))

    assert agreement(table(now), table(1.0)).differing == differing


def test_a_cell_with_its_interval_is_compared():
    old = result(rows=((1.0, 0.9, 1.1),))
    assert agreement(result(rows=((1.05, 0.9, 1.1),)), old).differing == 0
    far = agreement(result(rows=((1.5, 1.4, 1.6),)), old)
    assert far.table.rows[0][:3] == ["ours: error", 1.0, 1.5]
    assert far.differing == 1


@pytest.mark.parametrize(("units", "n"), [(0, 5), (10, 10)])
def test_cells_have_the_degrees_of_freedom_of_what_their_interval_is_over(units, n):
    table = Table(["arm", "error", "low", "high"], [["ours", 1.0, 0.0, 2.0]], units=units)
    some = replace(result(), table=table)
    two = replace(some, claims=[Claim.at_least("c", VALUES, 0.5)])  # two numbers share the 5 %
    far, near = (stats.t.ppf(1 - level / 2, n - 1) for level in (0.05 / 2, 0.05))
    cell = next(row for row in agreement(two, two).table.rows if row[0] == "ours: error")
    assert cell[3] == pytest.approx(far / near * math.sqrt(2))


def test_cells_without_an_interval_are_counted_and_not_judged():
    found = agreement(result(rows=((2.0, None, None),)), result(rows=((1.0, None, None),)))
    assert found.differing == 0
    assert "Of 1 numbers in tables, 1 differ by more than 10%" in found.words[-1]


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_its_committed_result_in_the_package(name):
    assert committed_result(name).study == name


def test_a_result_of_another_study_is_refused(tmp_path):
    path = result().to_json(tmp_path / "r.json")
    with pytest.raises(InputError, match="stub"):
        committed_result("bbas", path)


def places(part, way=()):
    """Every place of a result's JSON; of lists the first."""
    yield way
    if isinstance(part, dict):
        for key, value in part.items():
            yield from places(value, (*way, key))
    elif isinstance(part, list) and part:
        yield from places(part[0], (*way, 0))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("wrong", [None, "x", -1, 1e400, [], {}, True, 10**400, [None], {"a": None}], ids=repr)
def test_a_file_from_a_stranger_is_read_and_compared_or_refused(wrong):
    arms = [Arm("a", "r", "d", "b", {"lr": [1]}, 2, {"lr = 1": 5})]
    good = replace(result(Claim.at_least("c", VALUES, 0.5), rows=((1.0, 0.9, 1.1),)), arms=arms, limits=["l"])
    whole = json.dumps(good.to_dict())
    for way in places(json.loads(whole)):
        data = json.loads(whole)
        part = data
        for key in way[:-1]:
            part = part[key]
        if way:
            part[way[-1]] = wrong
        try:
            read = StudyResult.from_dict(data if way else wrong)
        except InputError:
            continue
        agreement(good, read).table.markdown()
        evidence_faults(read)
        markdown(read)


@pytest.fixture
def stub(monkeypatch):
    """A study whose number follows its seeds."""

    def run(settings):
        seeds = settings.seeds_or(range(5))
        claims = [Claim.at_least("c", [VALUES[s % 5] + (s >= 100) for s in seeds], 0.5)]
        return replace(result(*claims), settings={"seeds": list(seeds)})

    monkeypatch.setitem(STUDIES, "stub", lambda: SimpleNamespace(run=run))
    monkeypatch.setattr("deepwright.report.write_study", lambda r, folder: r.to_json(folder / f"{r.study}.json"))


def command(tmp_path, *more):
    folders = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    return CliRunner().invoke(main, ["study", "stub", *folders, *more])


def test_the_command_says_that_a_study_reproduces(stub, tmp_path):
    command(tmp_path)
    again = command(tmp_path, "--check", "--against", str(tmp_path / "out" / "stub.json"))
    assert again.exit_code == 0
    assert "stub reproduces." in again.output


def test_the_command_fails_where_a_number_differs(stub, tmp_path):
    command(tmp_path)
    file = tmp_path / "out" / "stub.json"
    before = file.read_bytes()
    again = command(tmp_path, "--check", "--against", str(file), "--seeds", "100-104")
    assert again.exit_code == 1
    assert "1 of 1 differ" in again.output
    assert file.read_bytes() == before


def test_the_command_says_what_keeps_a_result_from_being_evidence(stub, tmp_path):
    words = "not yet evidence: it doesn't say what it doesn't show (limits)"
    assert words in command(tmp_path).output
    assert words not in command(tmp_path, "--quick").output
    assert words not in command(tmp_path, "--seeds", "1-5").output


def test_a_smoke_test_of_one_seed_shows_nothing_and_fails_nothing(stub, tmp_path):
    assert command(tmp_path, "--seeds", "1").exit_code == 1
    assert command(tmp_path, "--seeds", "1", "--quick").exit_code == 0


@pytest.mark.parametrize(
    "words", [("--check", "--quick"), ("--against", "x.json"), ("bbas", "--check", "--against", "x")]
)
def test_what_cannot_be_compared_is_refused_before_any_work(words, stub, tmp_path):
    found = command(tmp_path, *words)
    assert found.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_check_that_compares_nothing_fails(stub, tmp_path):
    empty = replace(result(), settings={}).to_json(tmp_path / "empty.json")
    found = command(tmp_path, "--check", "--against", str(empty), "--seeds", "1-5")
    assert found.exit_code == 1
    none = replace(result(Claim.at_least("c", VALUES, 0.5)), claims=[]).to_json(tmp_path / "none.json")
    STUDIES["stub"] = lambda: SimpleNamespace(run=lambda settings: replace(result(), settings={}))
    found = command(tmp_path, "--check", "--against", str(none))
    assert found.exit_code == 1
    assert "nothing was compared" in found.output


def test_a_check_that_cannot_be_written_keeps_its_trials(stub, tmp_path, monkeypatch):
    command(tmp_path)
    store = tmp_path / "store" / "check" / "stub"
    store.mkdir(parents=True)

    def full(result, folder):
        raise InputError("cannot write it", given="No space left on device")

    monkeypatch.setattr("deepwright.report.write_study", full)
    assert command(tmp_path, "--check", "--against", str(tmp_path / "out" / "stub.json")).exit_code == 2
    assert store.is_dir()


def test_a_smoke_test_without_a_number_fails(stub, tmp_path):
    STUDIES["stub"] = lambda: SimpleNamespace(run=lambda s: result(Claim.at_least("c", [1.0, math.nan], 0.5)))
    assert command(tmp_path, "--quick").exit_code == 1


@pytest.mark.parametrize("option", ["--out", "--store"])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(option, stub, tmp_path):
    (tmp_path / "file").write_text("x")
    STUDIES["stub"] = lambda: pytest.fail("it was run")
    found = command(tmp_path, option, str(tmp_path / "file"))
    assert found.exit_code == 2
    assert f"deepwright: {option}; given" in found.output


def test_two_checks_of_one_study_do_not_share_a_store(stub, tmp_path):
    command(tmp_path)
    words = ("--check", "--against", str(tmp_path / "out" / "stub.json"))
    store = tmp_path / "store" / "check" / "stub"
    holding = f"from pathlib import Path; from deepwright.core.lock import lock; a = lock(Path({str(store)!r})); "
    other = subprocess.Popen(
        [sys.executable, "-c", holding + "print('held', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout.readline() == b"held\n"
    refused = command(tmp_path, *words)
    assert refused.exit_code == 2
    assert f"{store} is in use" in refused.output
    other.communicate(b"\n", timeout=60)
    assert command(tmp_path, *words).exit_code == 0
    assert list(store.parent.iterdir()) == []  # neither the store nor its lock
