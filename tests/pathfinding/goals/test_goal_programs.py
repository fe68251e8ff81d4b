"""Goals by answer sets against the states themselves."""

import itertools

import pytest
import torch

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.pathfinding import (
    DomainError,
    GoalProgram,
    GridWorld,
    Hanoi,
    LightsOut,
    LowerBoundHeuristic,
    NPuzzle,
    Pancakes,
    PartialGoals,
    RubiksCube,
    atoms_of,
    bwas,
    check_domain,
    pursue,
    validate_path,
)
from deepwright.pathfinding.goals.program import _require_plain

MAP = torch.tensor([[0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1]]).bool()
DOMAINS = [NPuzzle(3), LightsOut(3), GridWorld(MAP), RubiksCube(2), RubiksCube(3), Pancakes(5)]


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_states_are_their_atoms(domain):
    space = atoms_of(domain)
    states, _ = domain.sample_instances(torch.tensor([0, 3, 9]), 1)
    for state, holds in zip(states, space.holds(states)):
        atoms = space.of_state(state)
        assert [a for a, h in zip(space.atoms, holds.tolist()) if h] == atoms
        assert torch.equal(space.partial(atoms).to(state.dtype), state)
    assert space.partial([]).eq(-1).all()
    assert len(set(space.atoms)) == len(space.atoms)


@pytest.mark.parametrize("domain", [NPuzzle(3), LightsOut(3), GridWorld(MAP), Pancakes(5)], ids=repr)
def test_partial_assignments_are_completed(domain):
    goals = PartialGoals(domain)
    _, partial = goals.sample_instances(torch.full((40,), 3), 2)
    for one in partial:
        state = goals.space.complete(one)
        domain.require_states(state[None])
        assert goals.is_goal(state[None], one[None]).item()
        if isinstance(domain, NPuzzle):
            assert domain.is_solvable(state[None], domain.goal[None]).item()


def test_what_no_state_fulfils_is_not_completed():
    board = NPuzzle(2)
    space = atoms_of(board)
    assert space.complete(torch.tensor([2, 1, 3, 0], dtype=torch.int16)) is None
    assert space.complete(torch.tensor([2, 2, -1, -1], dtype=torch.int16)) is None
    assert atoms_of(GridWorld(MAP)).complete(torch.tensor([1, 0], dtype=torch.int16)) is None
    with pytest.raises(DomainError, match="search"):
        atoms_of(RubiksCube(2)).complete(torch.full((24,), -1, dtype=torch.int16))
    with pytest.raises(InputError, match=r"at\(9,9,9\)"):
        space.partial(["at(9,9,9)"])
    with pytest.raises(InputError, match="beside"):
        space.partial(["at(1,0,0)", "at(2,0,0)"])
    with pytest.raises(DomainError, match="no atoms"):
        atoms_of(Hanoi(3))


@pytest.mark.parametrize("domain", [NPuzzle(3), LightsOut(3), GridWorld(MAP), RubiksCube(2)], ids=repr)
def test_partial_goals_are_a_domain(domain):
    goals = PartialGoals(domain)
    assert check_domain(goals, 60) > 5
    states, wanted = goals.sample_instances(torch.tensor([2, 4]), 0)
    assert torch.equal(wanted, goals.sample_instances(torch.tensor([2, 4]), 0)[1])
    for state, goal, most in zip(states, wanted, (2, 4)):
        found = bwas(goals, state, goal, LowerBoundHeuristic(goals), batch_size=20)
        assert found.cost <= most
        assert validate_path(goals, state, goal, found.actions) == found.cost


@pytest.fixture(scope="module")
def clingo():
    return pytest.importorskip("clingo")


@pytest.fixture(scope="module")
def corner(clingo):
    text = "goal :- at(1,0,0).\ngoal :- at(T,1,1), T > 6, not at(1,0,1)."
    return GoalProgram(atoms_of(NPuzzle(3)), text)


def test_a_state_is_a_goal_as_its_atoms_say(corner):
    boards = torch.stack([torch.randperm(9, generator=torch.Generator().manual_seed(i)) for i in range(40)]).byte()
    wanted = [b[0] == 1 or (b[4] > 6 and b[1] != 1) for b in boards.tolist()]
    assert [corner.check(b) for b in boards] == wanted
    assert any(wanted)
    assert not all(wanted)


def test_smallest_models_are_what_clauses_need(corner):
    program = GoalProgram(corner.space, corner.text, seed=1)
    found = set()
    for _ in range(20):
        model = next(program.models(1), None)
        if model is None:
            break
        found.add(model)
        program.ban(model)
    assert found == {frozenset({a}) for a in ("at(1,0,0)", "at(7,1,1)", "at(8,1,1)")}


def test_models_are_partial_assignments_for_which_the_goal_holds(clingo):
    lights = LightsOut(2)
    program = GoalProgram(atoms_of(lights), "goal :- 3 { lit(R,C) }, not lit(0,0).", seed=3)
    assert set(program.models(5)) == {frozenset({"lit(0,1)", "lit(1,0)", "lit(1,1)"})}
    model = next(program.models(1, minimal=False))
    assert {"lit(0,1)", "lit(1,0)", "lit(1,1)"} <= model
    assert "lit(0,0)" not in model
    assert {next(iter(program.models(1, {"dark(0,0)"}))) for _ in range(3)} == {model | {"dark(0,0)"}}


def test_paths_to_goals_that_forbid(clingo):
    lights = LightsOut(2)
    program = GoalProgram(atoms_of(lights), "goal :- lit(0,1), not lit(1,0), not lit(1,1).")
    for bits in itertools.islice(itertools.product((0, 1), repeat=4), 0, 16, 5):
        start = torch.tensor(bits, dtype=torch.uint8)
        fresh = GoalProgram(program.space, program.text)
        found = pursue(fresh, start)
        assert found.status == "solved"
        end = start
        for action in found.result.actions:
            end = lights.step(end[None], torch.tensor([action]))[0][0]
        assert end[1:].tolist() == [1, 0, 0]


def test_what_nothing_leads_to_is_banned(clingo):
    room = GridWorld(torch.tensor([[0, 1, 0], [0, 1, 0]]).bool())
    start = torch.tensor([1, 0], dtype=torch.int16)
    program = GoalProgram(atoms_of(room), "goal :- column(2).\ngoal :- row(0), column(C), C > 0.")
    found = pursue(program, start)
    assert (found.status, found.model) == ("impossible", None)
    assert frozenset({"column(2)"}) in found.unreachable
    both = GoalProgram(atoms_of(room), "goal :- column(2).\ngoal :- row(0).")
    assert pursue(both, start).model == {"row(0)"}


def test_stickers_of_a_cube(clingo):
    cube = RubiksCube(2)
    text = "same(F) :- sticker(F,0,0,K), sticker(F,1,1,K).\ngoal :- same(u), same(f)."
    program = GoalProgram(atoms_of(cube), text, seed=2)
    start, _ = cube.sample_instances(torch.tensor([3]), 4)
    found = pursue(program, start[0])
    assert found.status == "solved"
    assert len(found.model) == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("goal :- at(1,0,0)\ngoal.", "line 2, column 1"),
        ("goal :- at(1,0,0) at.", "line 1, column 19"),
        ("x :- at(1,0,0).", "no way to `goal`|goal"),
        ("goal :- at(9,9,9).", "line 1, column 9"),
        ("goal :- at(X,0,0), not at(Y,0,1).", "unsafe"),
        pytest.param("goal.\nn(X+1) :- n(X). n(0).", "more than|seconds|grounding", marks=pytest.mark.slow),
    ],
)
def test_what_is_no_program_is_named(clingo, text, told):
    with pytest.raises(InputError, match=told):
        GoalProgram(atoms_of(NPuzzle(3)), text, seconds=1, max_bytes=400_000_000)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("goal.\n#script (python)\nimport os\n#end.", "line 2, column 1"),
        ("goal. % #script(lua)", "line 1, column 9"),
        ('goal. #include "/etc/passwd".', "include"),
        ("# include <incmode>.", "include"),
        ("goal :- X = @exit().", "'@'"),
        ("&sum { x } = 1.", "'&'"),
        (":~ at(1,0,0). [1]", "':~'"),
        ("#program base(k).", "program"),
        ("#external at(1,0,0).", "external"),
        ("goal. " * 4000, "24000 characters"),
    ],
)
def test_what_reaches_out_of_a_program_is_refused(text, told):
    with pytest.raises(InputError, match=told.replace("(", r"\(")):
        _require_plain(text)


def test_aggregates_are_no_directives():
    _require_plain("goal :- #count { R : lit(R,C) } > 2, #sum { R : lit(R,C) } < 4, #true.")


def test_without_clingo_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "clingo", None)
    with pytest.raises(MissingExtraError, match=r"deepwright\[asp\]"):
        GoalProgram(atoms_of(NPuzzle(2)), "goal.")


def test_models_end_when_all_were_given():
    program = GoalProgram(atoms_of(NPuzzle(2)), "goal :- at(1,0,0). goal :- at(2,0,0).")
    two = {frozenset({"at(1,0,0)"}), frozenset({"at(2,0,0)"})}
    for _ in range(2):  # what one call gave another may give again
        given = list(program.models())
        assert len(given) == 2
        assert set(given) == two
    whole = list(program.models(20, minimal=False))
    assert len(set(whole)) == 20
