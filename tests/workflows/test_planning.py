"""`deepwright plan`: domains by name and of the user's, instances of a file, arms at their weights, what is refused."""

import json
import math

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from deepwright.cli import main
from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    DomainError,
    NPuzzle,
    Result,
    TableHeuristic,
    Trainer,
    ValueNet,
    named_domain,
    validate_path,
)
from deepwright.workflows import PlanOptions, domains, growth, plan
from deepwright.workflows.path_films import _picture
from deepwright.workflows.plan_options import domain_of
from deepwright.workflows.planned import Arm, Planned
from deepwright.workflows.planning import _corners, bounds_of

CLOCK = """
import torch
from deepwright.pathfinding import Children, Domain

class Clock(Domain):
    name, state_shape, num_values, num_actions, inverse = "clock", (1,), 12, 2, (1, 0)
    goal = torch.zeros(1, dtype=torch.uint8)

    def expand(self, states):
        hours = torch.stack([(states + 1) % 12, (states + {back}) % 12], 1)
        costs = torch.ones(len(states), 2, device=states.device)
        return Children(hours, costs, costs.bool())

domain = Clock()
"""


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    out = tmp_path_factory.mktemp("plan")
    options = PlanOptions("npuzzle.2", seconds=0.5, k_max=8, instances=6, width=16, blocks=1, out=out)
    return plan(options), out


def test_every_arm_solves_and_costs_are_held_against_the_table(planned):
    found, out = planned
    held = np.load(out / "instances.npz")
    states, goals = torch.as_tensor(held["states"]), torch.as_tensor(held["goals"])
    puzzle = NPuzzle(2)
    assert found.exact
    assert found.least == TableHeuristic(puzzle)(states, goals).tolist()
    for arm in found.arms:
        for state, result in zip(states, arm.results, strict=True):
            assert validate_path(puzzle, state, puzzle.goal, result.actions) == result.cost
    bound = found.arms[1]
    assert [r.cost for r in bound.results if bound.weight == 1] == (found.least if bound.weight == 1 else [])


def test_the_files_say_what_the_result_says(planned):
    _found, out = planned
    assert json.loads((out / "plan.json").read_text())["arms"][0]["name"] == "learned"
    page = (out / "plan.html").read_text()
    assert "npuzzle.2" in page
    assert "data:image/gif" in page
    assert not (out / ".unfinished").exists()


def test_instances_of_a_file_are_solved_with_an_earlier_heuristic(planned, tmp_path):
    _, out = planned
    options = PlanOptions("npuzzle.2", heuristic=out, file=out / "instances.npz", weight=1, k_max=8, out=tmp_path)
    again = plan(options)
    assert again.least == planned[0].least
    assert {arm.weight for arm in again.arms} == {1}


def test_a_heuristic_of_another_domain_is_refused(planned, tmp_path):
    with pytest.raises(InputError, match=r"npuzzle\.2"):
        plan(PlanOptions("lightsout.2", heuristic=planned[1], out=tmp_path))


def test_a_domain_of_the_user_s_is_run_and_checked(tmp_path):
    (tmp_path / "clock.py").write_text(CLOCK.format(back=11))
    made = PlanOptions(tmp_path / "clock.py", seconds=0.2, k_max=6, instances=3, width=8, out=tmp_path / "plan")
    found = plan(made)
    assert found.domain == "clock"
    assert max(found.least) <= 6


def test_a_domain_that_breaks_its_contract_is_refused(tmp_path):
    (tmp_path / "clock.py").write_text(CLOCK.format(back=10))
    with pytest.raises(DomainError):
        plan(PlanOptions(tmp_path / "clock.py", out=tmp_path / "plan"))


def test_ratios_leave_out_what_was_given_up():
    def arm(name, *results):
        found = [Result(status, None, math.inf, None, n, n, n, 0.1) for status, n in results]
        return Arm(name, 1.0, found)

    ours, theirs = (
        arm("learned", ("exhausted", 10), ("exhausted", 20), ("limit:nodes", 9)),
        arm("bound", ("exhausted", 20), ("exhausted", 40), ("exhausted", 90)),
    )
    found = Planned("none", [ours, theirs], [math.inf] * 3, False)
    assert found.ratio(theirs).value == 0.5
    assert any("1 searches reached their limit" in line for line in found.lines())


def test_a_long_state_is_drawn_small(tmp_path):
    wide = NPuzzle(2)
    image = _picture(wide, torch.zeros(1, 3000, dtype=torch.uint8))
    assert image.size[0] <= 3000


def test_growth_counts_the_states_at_each_distance():
    assert growth("cube3", 3) == [1, 12, 114, 1068]  # quarter turns


@pytest.mark.parametrize("name", domains())
def test_every_name_makes_a_domain(name):
    assert named_domain(name).name.startswith(name)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("npuzle.3", "npuzzle"),
        ("npuzzle.3.3", r"npuzzle\.4"),
        ("npuzzle.x", r"npuzzle\.4"),
        ("npuzzle.-3", r"npuzzle\.4"),
        ("npuzzle.03", r"npuzzle\.4"),
        ("npuzzle.٣", r"npuzzle\.4"),
        ("none.py", "does not exist"),
    ],
)
def test_names_that_are_none_are_refused(given, told):
    with pytest.raises(InputError, match=told):
        domain_of(given)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"other": np.zeros((2, 4), np.uint8)}, "states"),
        ({"states": np.full((1, 4), 9, np.uint8)}, "npuzzle.2"),
        ({"states": np.array([[1, 1, 2, 0]], np.uint8)}, "npuzzle.2"),
        ({"states": np.array([[1.5, 1, 2, 0]])}, "npuzzle.2"),
        ({"states": np.array([[257, 2, 3, 0]])}, "npuzzle.2"),  # as a byte it would be a board
        ({"states": np.array([[2**64 - 255, 2, 3, 0]], np.uint64)}, "npuzzle.2"),
        ({"states": np.array([[1j, 2, 3, 0]])}, "complex128"),
        ({"states": np.zeros((0, 4), np.uint8)}, "no states"),
        ({"states": np.array([[1, 2, 3, 0]], np.uint8), "goals": np.zeros((1, 1), np.uint8)}, "goals of the file"),
        ({"states": np.array([[1, 2, 3, 0]], np.uint8), "goals": np.zeros((2, 4), np.uint8)}, "1 states, 2 goals"),
    ],
)
def test_files_of_something_else_are_refused(arrays, told, tmp_path):
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(InputError, match=told):
        plan(PlanOptions("npuzzle.2", file=tmp_path / "f.npz", out=tmp_path / "plan"))


@pytest.mark.parametrize(
    "options", [{"seconds": 0}, {"weight": 2}, {"instances": 0}, {"method": "none"}, {"device": "none"}, {"k_max": 0}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        PlanOptions(**options)


@pytest.mark.parametrize("word", ["--seconds 5", "--method davi", "--width 9", "--blocks 1"])
def test_words_of_a_training_are_refused_beside_a_heuristic(word):
    told = CliRunner().invoke(main, ["plan", "npuzzle.2", "--heuristic", "there", *word.split()])
    assert told.exit_code == 2
    assert word.split()[0].strip("-") in told.output
    name, value = word.strip("-").split()
    with pytest.raises(InputError, match=f"leave out {name}"):
        PlanOptions("npuzzle.2", heuristic="there", **{name: value if name == "method" else int(value)})


@pytest.mark.parametrize(
    "line",
    ["--list npuzzle.2", "--list --growth 2", "--list --seconds 3", "--growth 2 --seconds 3", "--growth 2 --seed 1"],
)
def test_words_beside_a_list_or_growth_are_refused(line):
    told = CliRunner().invoke(main, ["plan", *line.split()])
    assert told.exit_code == 2
    assert "leave out" in told.output


def test_the_remedies_run():
    for line in ("--list", "--growth 2", "npuzzle.2 --growth 2"):
        assert CliRunner().invoke(main, ["plan", *line.split()]).exit_code == 0


def test_time_of_training_is_counted_in_all(tmp_path):
    puzzle = NPuzzle(2)

    def trainer():
        return Trainer(puzzle, ValueNet(puzzle, 8, 1), k_max=6, batch_size=20)

    stopped = trainer()
    stopped.fit(max_seconds=0.05, checkpoint=tmp_path / "t.state")
    again = trainer()
    again.fit(max_seconds=0.05, checkpoint=tmp_path / "t.state")
    assert again.iteration == stopped.iteration
    assert again.seconds == stopped.seconds >= 0.05


def test_reach_depends_on_the_domain_however_it_is_named():
    assert PlanOptions("npuzzle.3").reach == PlanOptions(NPuzzle(3)).reach == 100


def test_all_of_a_file_is_solved_unless_fewer_are_asked_for(planned, tmp_path):
    states = NPuzzle(2).sample_instances(torch.full((103,), 4), 0)[0]
    np.savez(tmp_path / "f.npz", states=states.numpy())
    words = {"heuristic": planned[1], "file": tmp_path / "f.npz", "weight": 1, "k_max": 8, "out": tmp_path / "plan"}
    assert len(plan(PlanOptions("npuzzle.2", **words)).least) == 103
    fewer = plan(PlanOptions("npuzzle.2", instances=2, **words))
    assert len(fewer.least) == 2
    assert any("2 of 103 instances" in line for line in fewer.lines())


ONE_WAY = """
import torch
from deepwright.pathfinding import GraphDomain
edges = [(i, i - d) for i in range(1, 12) for d in (1, 2) if i >= d]
domain = GraphDomain(torch.tensor(edges), nodes=12, goal=0)
"""


def test_actions_without_ways_back_begin_at_the_file_s_states(tmp_path):
    (tmp_path / "slide.py").write_text(ONE_WAY)
    with pytest.raises(InputError, match="a file"):
        plan(PlanOptions(tmp_path / "slide.py", out=tmp_path / "plan"))
    np.savez(tmp_path / "f.npz", states=np.arange(4, 12, dtype=np.int32)[:, None])
    words = {"seconds": 0.2, "k_max": 6, "width": 8, "file": tmp_path / "f.npz"}
    found = plan(PlanOptions(tmp_path / "slide.py", out=tmp_path / "plan", **words))
    assert [r.cost for r in found.arms[1].results] == [2, 3, 3, 4, 4, 5, 5, 6]


def test_ratios_of_nothing_are_not_given():
    def arm(name, *expanded):
        return Arm(name, 1.0, [Result("solved", [], 0.0, None, n, n, n, 0.1) for n in expanded])

    learned = arm("learned", 12, 0)
    assert Planned("none", [learned, arm("b", 0, 0)], [0.0, 0.0], False).ratio(arm("b", 0, 0)) is None
    alike = Planned("none", [learned, learned], [0.0, 0.0], False).ratio(learned)
    assert (alike.value, alike.low, alike.high) == (1, 1, 1)
    row = Planned("none", [learned], [0.0, 0.0], False).table.rows[0]
    assert "-" not in str(row[5])


@pytest.mark.parametrize(
    ("name", "arms"), [("npuzzle.3", "linear conflict"), ("cube2", "nearest"), ("hanoi", "nearest")]
)
def test_rivals_are_what_the_room_has(name, arms):
    domain = named_domain(name)
    known = bounds_of(domain, domain.goal[None])
    assert any(arms in other for other in known)
    assert all(h.admissible for h in known.values())


def test_a_table_of_corners_is_of_the_cube_alone(tmp_path):
    with pytest.raises(InputError, match="cube3"):
        PlanOptions("npuzzle.3", corners=tmp_path / "corners")
    with pytest.raises(InputError, match="other goals"):
        _corners(named_domain("cube3"), named_domain("cube3").sample_instances(torch.tensor([1]), 0)[0], tmp_path)
    assert _corners(NPuzzle(2), NPuzzle(2).goal[None], None) == {}


@pytest.mark.slow
def test_a_cube_is_planned_with_the_table_of_its_corners(tmp_path):
    words = {"seconds": 0.5, "k_max": 5, "instances": 3, "width": 16, "weight": 1, "max_nodes": 30_000}
    found = plan(PlanOptions("cube3", corners=tmp_path / "corners", out=tmp_path / "plan", **words))
    arm = next(arm for arm in found.arms if "corners" in arm.name)
    assert all(r.optimal for r in arm.results)
    assert (tmp_path / "corners").stat().st_size > 88_179_840


@pytest.mark.parametrize("dtype", [np.uint16, np.uint64, np.int8])
def test_files_of_any_whole_dtype_are_read_and_what_has_no_way_is_said(dtype, planned, tmp_path):
    np.savez(tmp_path / "f.npz", states=np.array([[2, 1, 3, 0], [1, 2, 0, 3]], dtype))
    words = {"heuristic": planned[1], "file": tmp_path / "f.npz", "weight": 1, "k_max": 8, "out": tmp_path / "plan"}
    found = plan(PlanOptions("npuzzle.2", **words))
    assert found.least == [math.inf, 1]
    assert "1 of 2 instances have no way to the goal, however long" in found.lines()
    assert json.loads((tmp_path / "plan" / "plan.json").read_text())["least"] == [None, 1]
