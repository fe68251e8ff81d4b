"""PDDL: known optimal lengths, a search over sets of facts as reference, what is refused."""

from collections import deque

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    Domain,
    LowerBoundHeuristic,
    Strips,
    Trainer,
    ValueNet,
    ZeroHeuristic,
    bwas,
    check_domain,
    read_task,
    validate_path,
)

BLOCKS = """
(define (domain blocks) ; four operators
  (:requirements :strips)
  (:predicates (on ?x ?y) (table ?x) (clear ?x) (empty) (holding ?x))
  (:action pick-up :parameters (?x) :precondition (and (clear ?x) (table ?x) (empty))
    :effect (and (not (table ?x)) (not (clear ?x)) (not (empty)) (holding ?x)))
  (:action put-down :parameters (?x) :precondition (holding ?x)
    :effect (and (not (holding ?x)) (clear ?x) (empty) (table ?x)))
  (:action stack :parameters (?x ?y) :precondition (and (holding ?x) (clear ?y))
    :effect (and (not (holding ?x)) (not (clear ?y)) (clear ?x) (empty) (on ?x ?y)))
  (:action unstack :parameters (?x ?y) :precondition (and (on ?x ?y) (clear ?x) (empty))
    :effect (and (holding ?x) (clear ?y) (not (clear ?x)) (not (empty)) (not (on ?x ?y)))))
"""
SUSSMAN = """
(define (problem sussman) (:domain blocks) (:objects a b c)
  (:init (table a) (table b) (on c a) (clear b) (clear c) (empty))
  (:goal (and (on a b) (on b c))))
"""
GRIPPER = """
(define (domain gripper)
  (:requirements :strips :typing :negative-preconditions :equality)
  (:types room thing - object ball hand - thing)
  (:predicates (robby ?r - room) (at ?b - ball ?r - room) (full ?g - hand) (carry ?b - ball ?g - hand))
  (:action move :parameters (?from ?to - room) :precondition (and (robby ?from) (not (= ?from ?to)))
    :effect (and (robby ?to) (not (robby ?from))))
  (:action pick :parameters (?b - ball ?r - room ?g - hand)
    :precondition (and (at ?b ?r) (robby ?r) (not (full ?g)))
    :effect (and (carry ?b ?g) (full ?g) (not (at ?b ?r))))
  (:action drop :parameters (?b - ball ?r - room ?g - hand) :precondition (and (carry ?b ?g) (robby ?r))
    :effect (and (at ?b ?r) (not (full ?g)) (not (carry ?b ?g)))))
"""


def balls(n):
    names = " ".join(f"b{i}" for i in range(n))
    here, there = (" ".join(f"(at b{i} {room})" for i in range(n)) for room in ("one", "two"))
    return f"""(define (problem p{n}) (:domain gripper)
      (:objects one two - room left right - hand {names} - ball)
      (:init (robby one) {here}) (:goal (and {there})))"""


@pytest.mark.parametrize(
    ("domain", "problem", "least"),
    [(BLOCKS, SUSSMAN, 6), (GRIPPER, balls(1), 3), (GRIPPER, balls(2), 5), (GRIPPER, balls(4), 11)],
)
def test_known_tasks_take_what_is_known(domain, problem, least):
    task = Strips.from_pddl(domain, problem)
    found = bwas(task, task.start, task.wanted, LowerBoundHeuristic(task), batch_size=10)
    assert found.cost == found.lower_bound == least
    assert validate_path(task, task.start, task.wanted, found.actions) == least
    assert bwas(task, task.start, task.wanted, ZeroHeuristic(), batch_size=10).cost == least


def test_states_are_the_sets_that_the_text_describes():
    task = read_task(GRIPPER, balls(2))
    space = Strips(task)
    named = {s.name: s for s in task.schemas}

    def after(state):
        found = {}
        for a, name in enumerate(space.names):
            word, *objects = name.split()
            schema = named[word]
            put = dict(zip((v for v, _ in schema.parameters), objects, strict=True))
            true, false, added, removed = (
                {(x[0], *(put.get(y, y) for y in x[1:])) for x in part}
                for part in (schema.true, schema.false, schema.added, schema.removed)
            )
            false = {x for x in false if x[0] != "="}
            if true <= state and not false & state:
                found[a] = frozenset((state - removed) | added)
        return found

    def told(row):
        return frozenset(
            (f.split("(")[0], *f.split("(")[1][:-1].split(",")) for f, on in zip(space.facts, row.tolist()) if on
        )

    seen, waiting = {frozenset(task.init): 0}, deque([(frozenset(task.init), space.start)])
    while waiting:
        state, row = waiting.popleft()
        assert told(row) == state
        found, wanted = space.expand(row[None]), after(state)
        assert found.valid[0].nonzero()[:, 0].tolist() == sorted(wanted)
        for a, child in wanted.items():
            if child not in seen:
                seen[child] = seen[state] + 1
                waiting.append((child, found.states[0, a]))
    assert len(seen) == 2 * (2**2 + 2 * 2 * 2 + 2)  # rooms; both placed, one carried, both carried


def test_it_is_a_domain():
    task = Strips.from_pddl(GRIPPER, balls(2))
    states = task.start[None]
    for action in (0, 3, 5, 1, 2, 4):
        states = torch.cat([states, task.step(states, torch.full((len(states),), action))[0]])
    states = states.unique(dim=0)
    assert check_domain(task, states=states) >= len(states)
    actions = torch.arange(len(states)) % task.num_actions
    for one, other in zip(task.step(states, actions), Domain.step(task, states, actions), strict=True):
        assert torch.equal(one, other)
    exact = [bwas(task, s, task.wanted, ZeroHeuristic(), batch_size=50).cost for s in states]
    bound = task.lower_bound(states, task.wanted.expand(len(states), -1))
    assert bool((bound <= torch.tensor(exact)).all())


def test_a_network_learns_of_it():
    task = Strips.from_pddl(GRIPPER, balls(1))
    trainer = Trainer(task, ValueNet(task, 8, 1, goals=True), k_max=4, batch_size=20, begin=task.starts)
    h = trainer.fit(max_itrs=3)
    assert h(task.start[None], task.goal_from_state(task.start)[None]).tolist() == [0.0]


def test_what_cannot_be_is_exhausted():
    task = Strips.from_pddl(BLOCKS, SUSSMAN.replace("(and (on a b) (on b c))", "(and (on a b) (on b a))"))
    assert bwas(task, task.start, task.wanted, ZeroHeuristic()).status == "exhausted"
    never = SUSSMAN.replace("(and (on a b) (on b c))", "(on a a)").replace("(table b)", "")
    space = Strips.from_pddl(BLOCKS, never)
    assert bwas(space, space.start, space.wanted, LowerBoundHeuristic(space)).status == "exhausted"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (":strips)", ":strips :adl)", "requirement :adl"),
        ("(clear ?y))\n", "(clear ?z))\n", r"'\?z'"),
        ("(holding ?x))\n  (:action pick-up", "(holdng ?x))\n  (:action pick-up", "holding"),
        ("(and (clear ?x) (table ?x) (empty))", "(or (clear ?x) (empty))", "'or'"),
        ("(and (clear ?x) (table ?x) (empty))", "(forall (?y) (clear ?y))", "'forall'"),
        (":parameters (?x ?y)", ":parameters (?x ?x)", "twice"),
        ("(on ?x ?y)))\n  (:action unstack", "(on ?x)))\n  (:action unstack", "1 arguments"),
        ("(not (on ?x ?y)))))", "(not (on ?x ?y))))", "closed"),
        ("(define (domain", "(x)) (define (domain", "closes"),
        ("(:predicates", "(:functions (total-cost)) (:predicates", ":functions"),
    ],
)
def test_more_than_strips_is_refused_with_its_line(old, new, told):
    assert BLOCKS.count(old) >= 1
    with pytest.raises(InputError, match=rf"(?s)PDDL, line \d+.*{told}"):
        read_task(BLOCKS.replace(old, new, 1), SUSSMAN)


def test_deep_brackets_and_types_in_a_circle_are_refused():
    with pytest.raises(InputError, match="brackets"):
        read_task("(" * 100, SUSSMAN)
    circle = GRIPPER.replace("room thing - object ball hand - thing", "ball - hand hand - ball room")
    with pytest.raises(InputError, match=r"tree|above itself"):
        read_task(circle, balls(1))
    with pytest.raises(InputError, match="kind"):
        read_task(GRIPPER, balls(1).replace("- hand", "- kind"))
