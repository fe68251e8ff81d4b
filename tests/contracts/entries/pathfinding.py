"""Calls of the room of pathfinding."""

import torch

from deepwright.pathfinding import (
    AdditivePatterns,
    GraphDomain,
    GridWorld,
    Hanoi,
    LearnedHeuristic,
    LightsOut,
    LinearConflict,
    LowerBoundHeuristic,
    MaxHeuristic,
    NPuzzle,
    Pancakes,
    PartialGoals,
    PatternDatabase,
    PermutationDomain,
    ProjectedTable,
    QNet,
    RubiksCube,
    Sokoban,
    Strips,
    TableHeuristic,
    Trainer,
    ValueNet,
    ZeroHeuristic,
    atoms_of,
    audit_heuristic,
    beam,
    bwas,
    check_domain,
    estimates,
    fewest_presses,
    growth,
    read_cycles,
    sphere_sizes,
    states_along,
    states_within,
    symmetries_of,
    validate_path,
)
from deepwright.pathfinding.heuristics.corners import corner_index
from entries import Entry


def expanded(make):
    """Children of a few states, their keys and lower bounds."""

    def call(device):
        domain = make()
        states, goals = domain.sample_instances(torch.tensor([1, 2, 3, 4], device=device), 0)
        found = domain.expand(states)
        domain.require_states(states)
        rows = torch.zeros(4, dtype=torch.long, device=device)
        more = domain.lower_bound(states, goals), domain.is_goal(states, goals), domain.step(states, rows)
        return states, goals, found.states, found.costs, found.valid, domain.keys(states), more

    return call


def searched(device):
    puzzle = NPuzzle(3)
    start = torch.tensor([2, 3, 6, 1, 7, 4, 8, 5, 0], dtype=torch.uint8, device=device)
    goal = puzzle.goal.to(device)
    table = TableHeuristic(puzzle, radius=6, goal=goal)
    h = MaxHeuristic([LowerBoundHeuristic(puzzle), ZeroHeuristic(), table])
    found = bwas(puzzle, start, goal, h, batch_size=20)
    one = estimates(h, start[None], goal[None], 10)
    return (
        found.actions,
        found.cost,
        validate_path(puzzle, start, goal, found.actions),
        one,
        states_along(puzzle, start, found.actions),
    )


def graph(device):
    domain = GraphDomain(torch.tensor([[0, 1], [1, 2], [0, 2]]), torch.tensor([1.0, 1.0, 3.0]), goal=2)
    start = torch.tensor([0], dtype=torch.int32, device=device)
    return bwas(domain, start, domain.goal.to(device), ZeroHeuristic(), batch_size=2).cost


def exact(device):
    lights = LightsOut(3)
    state = torch.tensor([1, 0, 0, 0, 1, 0, 0, 0, 1], dtype=torch.uint8, device=device)
    return fewest_presses(lights, state), sphere_sizes(lights, 2, goal=state), check_domain(Pancakes(4), 20)


def learned(make, method, **words):
    """A few steps of training, and what is said afterwards."""

    def call(device):
        puzzle = NPuzzle(2)
        puzzle.goal = puzzle.goal.to(device)
        net = make(puzzle).to(device)
        trainer = Trainer(puzzle, net, method, k_max=6, batch_size=20, check_every=2, **words)
        h = trainer.fit(max_itrs=3)
        states, goals = puzzle.sample_instances(torch.arange(6, device=device), 0)
        said = h(states, goals), h.values(states, goals) if h.kind != "v" else None
        return said, trainer.evaluate(states, goals, 5), [t.detach() for t in net.parameters()]

    return call


def audited(device):
    puzzle = NPuzzle(2)
    puzzle.goal = puzzle.goal.to(device)
    states, depths = states_within(puzzle)
    h = LearnedHeuristic(ValueNet(puzzle, 8, 1).to(device).eval(), puzzle)
    return states, depths, audit_heuristic(h, puzzle, TableHeuristic(puzzle), states).to_dict()


def patterns(device):
    """Of a board and of a cube."""
    puzzle, cube = NPuzzle(3), RubiksCube(2)
    kinds = (PatternDatabase(puzzle, (0, 1, 2)), AdditivePatterns(puzzle, [(1, 2), (3, 4)]), LinearConflict(puzzle))
    boards = puzzle.sample_instances(torch.tensor([3, 9], device=device), 0)
    turned = cube.sample_instances(torch.tensor([3, 9], device=device), 0)
    table = ProjectedTable(cube, alike=[(0, 1), (2, 3, 4, 5)])
    return [h(*boards) for h in kinds], table(*turned)


def rooms(device):
    """A level, its picture and its bound."""
    domain, states, goals = Sokoban.from_text("#####\n#@$.#\n#####")
    states, goals = states.to(device), goals.to(device)
    found = bwas(domain, states[0], goals[0], LowerBoundHeuristic(domain), batch_size=2)
    return domain.picture(states[0], goals[0]), domain.lower_bound(states, goals), found.cost


def partly(device):
    """Goals of which some cells are hidden, their atoms, and states of them."""
    goals = PartialGoals(NPuzzle(3))
    states, wanted = goals.sample_instances(torch.tensor([2, 5], device=device), 0)
    space = atoms_of(goals.inner)
    more = goals.is_goal(states, wanted), goals.lower_bound(states, wanted), goals.keys(states)
    return states, wanted, space.holds(states), space.of_state(states[0]), space.complete(wanted[0]), more


def groups(device):
    """Of cycles, and of a cube."""
    cube = RubiksCube(2)
    states, _ = cube.sample_instances(torch.tensor([3, 9], device=device), 0)
    maps = symmetries_of(cube)
    small = PermutationDomain(read_cycles("(1,2,3), (1,2)"), add_inverses=True)
    return maps.images(states), maps.canonical(states), growth(small, start=small.goal.to(device))


def planning(device):
    """A task of PDDL: children, bounds, goals, a path."""
    actions = "(:action wipe :effect (not (dusty))) (:action press :precondition (not (dusty)) :effect (on))"
    domain = f"(define (domain lamp) (:predicates (on) (dusty)) {actions})"
    task = Strips.from_pddl(domain, "(define (problem p) (:init (dusty)) (:goal (on)))")
    states, goals = task.start[None].to(device), task.wanted[None].to(device)
    found = task.expand(states)
    rows = torch.zeros(1, dtype=torch.long, device=device)
    more = task.lower_bound(states, goals), task.is_goal(states, goals), task.step(states, rows)
    way = bwas(task, states[0], goals[0], LowerBoundHeuristic(task), batch_size=2).actions
    return found.states, found.costs, found.valid, more, task.goal_from_state(states), way


def followed(device):
    """Several actions at once, of permutations and of lights."""
    cube, lights = RubiksCube(2), LightsOut(3)
    actions = torch.tensor([[0, 1, 6, 2], [3, 6, 6, 6]], device=device)
    turned = cube.follow(cube.goal.expand(2, -1).to(device), actions)
    return turned, lights.follow(lights.goal.expand(2, -1).to(device), actions)


def steered(device):
    """A policy, what it says, and a beam by it."""
    puzzle = NPuzzle(2)
    puzzle.goal = puzzle.goal.to(device)
    net = QNet(puzzle, 8, 1).to(device)
    words = {"kind": "policy", "k_max": 6, "batch_size": 20, "check_every": 2}
    policy = Trainer(puzzle, net, "supervised", **words).fit(max_itrs=3)
    states, goals = puzzle.sample_instances(torch.arange(6, device=device), 0)
    return policy.values(states, goals), beam(puzzle, states[3], puzzle.goal, policy, width=20).actions


def corners(device):
    """Numbers of a cube's corners."""
    states, _ = RubiksCube(3).sample_instances(torch.tensor([0, 3, 9], device=device), 0)
    return corner_index(states)


ENTRIES = [
    Entry("NPuzzle", expanded(lambda: NPuzzle(3))),
    Entry("RubiksCube", expanded(lambda: RubiksCube(2))),
    Entry("LightsOut", expanded(lambda: LightsOut(3))),
    Entry("Pancakes", expanded(lambda: Pancakes(5))),
    Entry("Hanoi", expanded(lambda: Hanoi(3))),
    Entry("GridWorld", expanded(lambda: GridWorld(torch.zeros(3, 4, dtype=torch.bool)))),
    Entry("PermutationDomain", expanded(lambda: PermutationDomain([[1, 2, 0], [2, 0, 1]]))),
    Entry("bwas and heuristics", searched),
    Entry("LightsOut in order", expanded(lambda: LightsOut(3, commutative=True))),
    Entry("Sokoban", expanded(lambda: Sokoban(6, 6, 2))),
    Entry("Sokoban's levels", rooms),
    Entry("patterns", patterns),
    Entry("PartialGoals", partly),
    Entry("groups", groups),
    Entry("Strips", planning),
    Entry("actions at once", followed),
    Entry("Trainer of distributions", learned(lambda d: ValueNet(d, 8, 1, bins=7), "davi", loss="categorical")),
    Entry("GraphDomain", graph),
    Entry("exact answers", exact),
    Entry("Trainer of values", learned(lambda d: ValueNet(d, 8, 1, norm="batch"), "davi")),
    Entry(
        "Trainer of trees",
        learned(lambda d: ValueNet(d, 8, 1, goals=True), "lhbl", her=True, replay=50, search_itrs=3),
    ),
    Entry("Trainer of actions", learned(lambda d: QNet(d, 8, 1), "q", search_itrs=2)),
    Entry("Trainer of actions as inputs", learned(lambda d: QNet(d, 8, 1, action_in=True), "q")),
    Entry("Trainer of a policy", steered),
    Entry("corners of a cube", corners),
    Entry("audit_heuristic", audited),
]
