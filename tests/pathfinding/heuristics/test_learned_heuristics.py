"""Networks as heuristics: what they refuse, how they are kept, and how they are held against exact tables."""

import itertools
import json

import pytest
import torch
from safetensors.torch import save_file

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    GraphDomain,
    Heuristic,
    LearnedHeuristic,
    LowerBoundHeuristic,
    NPuzzle,
    Pancakes,
    PermutationDomain,
    QHeuristic,
    QNet,
    TableHeuristic,
    Trainer,
    ValueNet,
    ZeroHeuristic,
    audit_heuristic,
    bwas,
    states_within,
)
from deepwright.pathfinding.heuristics.networks import CellSum


@pytest.fixture(scope="module")
def puzzle():
    return NPuzzle(3)


@pytest.fixture(scope="module")
def table(puzzle):
    return TableHeuristic(puzzle)


def some(domain, n=8, k=20):
    return domain.sample_instances(torch.arange(n) % k, 0)


class Says(torch.nn.Module):
    """A network that says one thing."""

    def __init__(self, what):
        super().__init__()
        self.what = what
        self.w = torch.nn.Parameter(torch.zeros(1))

    def forward(self, states, goals):
        return self.what(states, goals)


class Told:
    """A heuristic that a function says."""

    admissible = False

    def __init__(self, what):
        self.what = what

    def __call__(self, states, goals):
        return self.what(states, goals)


def test_a_sum_of_embeddings_is_a_linear_layer_on_one_hot_cells(puzzle):
    states, _ = some(puzzle)
    layer = CellSum(9, 9, 5).double()
    hot = torch.nn.functional.one_hot(states.long(), 9).flatten(1).double()
    weight = layer.weight.detach().clone().requires_grad_()
    torch.testing.assert_close(layer(states), hot @ weight)
    coefficients = torch.randn(8, 5, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    (layer(states) * coefficients).sum().backward()
    ((hot @ weight) * coefficients).sum().backward()
    torch.testing.assert_close(layer.weight.grad, weight.grad)


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("goals", [False, True])
def test_networks_say_what_their_kind_is(puzzle, norm, goals):
    states, wanted = some(puzzle)
    words = {"norm": norm, "goals": goals, "seed": 3}
    v = LearnedHeuristic(ValueNet(puzzle, 16, 1, **words).eval(), puzzle)
    q = LearnedHeuristic(QNet(puzzle, 16, 1, **words).eval(), puzzle, "q_fixed", batch_size=3)
    one = LearnedHeuristic(QNet(puzzle, 16, 1, action_in=True, **words).eval(), puzzle, "q_in", batch_size=3)
    assert isinstance(v, Heuristic)
    assert isinstance(q, QHeuristic)
    assert v(states, wanted).shape == (8,)
    for h in (q, one):
        assert h.values(states, wanted).shape == (8, 4)
        on = puzzle.expand(states).valid
        least = h.values(states, wanted).masked_fill(~on, torch.inf).amin(1)
        assert torch.equal(h(states, wanted)[1:], least[1:])
    with pytest.raises(InputError, match="q_fixed"):
        v.values(states, wanted)


def test_networks_are_seeded_and_batches_change_nothing(puzzle):
    states, goals = some(puzzle, 30)
    with torch.random.fork_rng():
        before = torch.get_rng_state()
        nets = [ValueNet(puzzle, 16, 1, seed=s) for s in (0, 0, 1)]
        assert torch.equal(before, torch.get_rng_state())
    a, b, c = (LearnedHeuristic(net.eval(), puzzle, batch_size=7)(states, goals) for net in nets)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    torch.testing.assert_close(LearnedHeuristic(nets[0], puzzle)(states, goals), a)


def test_goals_are_zero_and_nothing_is_below(puzzle):
    states, goals = some(puzzle)
    high, low = (LearnedHeuristic(Says(lambda s, g, v=v: torch.full((len(s),), v)), puzzle) for v in (9.0, -3.0))
    assert high(states, goals).tolist() == [0.0] + [9.0] * 7
    assert low(states, goals).tolist() == [0.0] * 8
    assert LearnedHeuristic(low.module, puzzle, clamp_min=1.0)(states, goals).tolist() == [0.0] + [1.0] * 7
    assert len(high(states[:0], goals[:0])) == 0


def test_no_bound_comes_from_what_is_learned(puzzle, table):
    states, goals = some(puzzle)
    h = LearnedHeuristic(Says(table), puzzle)
    found = bwas(puzzle, states[7], goals[7], h, batch_size=10)
    assert (found.cost, found.lower_bound, found.bound) == (float(table(states, goals)[7]), None, None)


def test_a_dead_end_has_no_way_by_actions():
    domain = GraphDomain(torch.tensor([[0, 1], [0, 2], [2, 0]]), goal=2)
    h = LearnedHeuristic(Says(lambda s, g: torch.ones(len(s), 2)), domain, "q_fixed")
    states = torch.tensor([[0], [1], [2]], dtype=torch.int32)
    assert h(states, domain.goal.expand(3, 1)).tolist() == [1.0, torch.inf, 0.0]


def test_what_would_mean_nothing_is_refused(puzzle):
    states, goals = some(puzzle)
    nan = LearnedHeuristic(Says(lambda s, g: s[:, 0] / 0.0 * 0), puzzle)
    with pytest.raises(InputError, match="NaN for the state"):
        nan(states, goals)
    net = ValueNet(puzzle, 8, 1, norm="batch")
    with pytest.raises(InputError, match=r"BatchNorm1d.*training mode"):
        LearnedHeuristic(net, puzzle)(states, goals)
    h = LearnedHeuristic(net.eval(), puzzle)
    with pytest.raises(InputError, match="another goal"):
        h(states, states)
    with pytest.raises(InputError, match=r"as of npuzzle\.3"):
        h(*some(NPuzzle(2)))
    with pytest.raises(InputError, match="one a state"):
        h(states, goals[:3])
    wide = LearnedHeuristic(Says(lambda s, g: torch.zeros(len(s), 1)), puzzle)
    with pytest.raises(InputError, match=r"\(8, 1\)"):
        wide(states, goals)


@pytest.mark.parametrize("words", [{"kind": "w"}, {"batch_size": 0}, {"clamp_min": -1.0}], ids=lambda w: next(iter(w)))
def test_a_heuristic_refuses(puzzle, words):
    with pytest.raises(InputError, match=next(iter(words))):
        LearnedHeuristic(**{"module": Says(None), "domain": puzzle, **words})


@pytest.mark.parametrize("words", [{"width": 0}, {"blocks": -1}, {"norm": "group"}], ids=lambda w: next(iter(w)))
def test_a_network_refuses(puzzle, words):
    with pytest.raises(InputError, match=next(iter(words))):
        ValueNet(puzzle, **words)


def test_actions_are_given_where_they_are_read(puzzle):
    states, goals = some(puzzle)
    with pytest.raises(InputError, match="actions"):
        QNet(puzzle, 8, 1)(states, goals, torch.zeros(8, dtype=torch.long))
    with pytest.raises(InputError, match="actions"):
        QNet(puzzle, 8, 1, action_in=True)(states, goals)


def test_a_saved_heuristic_is_the_same_and_knows_its_domain(puzzle, tmp_path):
    states, goals = some(puzzle)
    made = {
        "v": ValueNet(puzzle, 16, 1, norm="batch", goals=True, seed=1),
        "q_fixed": QNet(puzzle, 16, 1, seed=2),
        "q_in": QNet(puzzle, 16, 1, norm="layer", action_in=True),
    }
    for kind, net in made.items():
        h = LearnedHeuristic(net.eval(), puzzle, kind, clamp_min=0.5)
        again = LearnedHeuristic.load(h.save(tmp_path / f"{kind}.safetensors"), NPuzzle(3))
        assert torch.equal(again(states, goals), h(states, goals))
        assert (again.kind, again.clamp_min, again.identity) == (kind, 0.5, h.identity)
    for other in (NPuzzle(4), Pancakes(9)):
        with pytest.raises(InputError, match="another domain") as told:
            LearnedHeuristic.load(tmp_path / "v.safetensors", other)
        assert "npuzzle.3" in str(told.value)
        assert other.name in str(told.value)
    moved = NPuzzle(3)
    moved.goal = moved.goal.flip(0)
    LearnedHeuristic.load(tmp_path / "v.safetensors", moved)  # trained for whatever goal
    with pytest.raises(InputError, match="goal"):
        LearnedHeuristic.load(tmp_path / "q_fixed.safetensors", moved)


def test_files_that_arent_heuristics_are_refused(puzzle, tmp_path):
    with pytest.raises(InputError, match="no file"):
        LearnedHeuristic.load(tmp_path / "none", puzzle)
    (tmp_path / "text").write_text(json.dumps({"a": 1}))
    with pytest.raises(InputError, match="a file that `save` wrote"):
        LearnedHeuristic.load(tmp_path / "text", puzzle)
    save_file({"w": torch.zeros(1)}, tmp_path / "bare")
    with pytest.raises(InputError, match="don't say what they are for"):
        LearnedHeuristic.load(tmp_path / "bare", puzzle)
    path = LearnedHeuristic(Says(None), puzzle).save(tmp_path / "own")
    with pytest.raises(InputError, match="the Says whose weights"):
        LearnedHeuristic.load(path, puzzle)
    assert LearnedHeuristic.load(path, puzzle, Says(None)).kind == "v"
    with pytest.raises(InputError, match="module"):
        LearnedHeuristic.load(path, puzzle, ValueNet(puzzle, 8, 1))


def test_all_states_have_their_distances(puzzle, table):
    states, depths = states_within(puzzle)
    assert len(states) == 181440
    assert torch.equal(depths, table(states, puzzle.goal.expand_as(states)))
    assert float(depths.mean()) == pytest.approx(21.9724, abs=1e-4)
    with pytest.raises(InputError, match="more than 10"):
        states_within(puzzle, 5, max_states=10)


def test_an_audit_of_exact_and_admissible_heuristics(puzzle, table):
    exact = audit_heuristic(table, puzzle, table, n=500, k_max=60)
    assert (exact.mae, exact.overestimated, exact.inconsistent, exact.calibration) == (0, 0, 0, 1)
    bound = audit_heuristic(LowerBoundHeuristic(puzzle), puzzle, table, n=500, k_max=60)
    assert bound.admissible_here
    assert bound.inconsistent == 0  # Manhattan distance is consistent
    assert bound.bias == -bound.mae < 0
    assert sum(row["count"] for row in bound.by_depth) == 500


def test_an_audit_counts_by_loops(puzzle, table):
    states, goals = some(puzzle, 40, 40)
    places = torch.arange(9)

    def odd(s, g):
        return ((s.long() * places).sum(1) % 23).float()

    found = audit_heuristic(Told(odd), puzzle, table, states, goals)
    truth, said = table(states, goals), odd(states, goals)
    above = (said - truth)[said > truth]
    assert found.overestimated == pytest.approx(len(above) / 40)
    assert found.overestimation == pytest.approx(float(above.mean()))
    assert found.worst_overestimation == float(above.max())
    assert found.calibration == pytest.approx(float((said * truth).sum() / (truth * truth).sum()))
    edges = [(s, c) for s, a in itertools.product(range(40), range(4)) for c in [puzzle.expand(states[s : s + 1])]
             if bool(c.valid[0, a]) for c in [c.states[0, a]]]  # fmt: skip
    gaps = [abs(float(said[s]) - float(odd(c[None], None))) - 1 for s, c in edges]
    assert found.edges == len(gaps)
    assert found.inconsistent == pytest.approx(sum(g > 0.01 for g in gaps) / len(gaps))
    assert found.worst_inconsistency == max(gaps)


def test_an_audit_says_what_has_no_way(puzzle, table):
    odd = puzzle.goal.clone()
    odd[[0, 1]] = odd[[1, 0]]
    states = torch.stack([puzzle.goal, odd])
    found = audit_heuristic(ZeroHeuristic(), puzzle, table, states)
    assert (found.states, found.unreachable) == (1, 1)
    with pytest.raises(InputError, match="none from which"):
        audit_heuristic(ZeroHeuristic(), puzzle, table, odd[None])
    with pytest.raises(InputError, match="cut off"):
        audit_heuristic(ZeroHeuristic(), puzzle, TableHeuristic(puzzle, 3))
    hopeless = audit_heuristic(Told(lambda s, g: torch.full((len(s),), torch.inf)), puzzle, table, states[:1])
    assert (hopeless.hopeless, hopeless.worst_overestimation, hopeless.mae) == (1.0, torch.inf, torch.inf)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            GraphDomain(torch.tensor([[1, 0], [2, 1], [3, 2]]), torch.tensor([1.0, 2.0, 3.0])),
            GraphDomain(torch.tensor([[1, 0], [2, 1], [3, 2]]), torch.tensor([1.0, 2.0, 4.0])),
        ),
        (PermutationDomain([[1, 2, 0], [2, 0, 1]]), PermutationDomain([[1, 0, 2], [0, 2, 1]])),
        (NPuzzle(2), NPuzzle(2, strict_actions=False)),
    ],
)
def test_a_heuristic_of_other_actions_is_refused(one, other, tmp_path):
    LearnedHeuristic(ValueNet(one, 8, 1), one).save(tmp_path / "h.safetensors")
    LearnedHeuristic.load(tmp_path / "h.safetensors", one)
    with pytest.raises(InputError, match="actions"):
        LearnedHeuristic.load(tmp_path / "h.safetensors", other)
    begin = None if one.inverse is not None else lambda n, rng: torch.full((n, 1), 3, dtype=torch.int32)
    kept, fresh = (
        Trainer(d, ValueNet(d, 8, 1, goals=begin is not None), k_max=3, batch_size=8, begin=begin) for d in (one, other)
    )
    with pytest.raises(InputError, match="actions"):
        fresh.load_state_dict(kept.state_dict())


def test_networks_that_cannot_learn_are_refused():
    puzzle = NPuzzle(2)
    with pytest.raises(InputError, match="frozen"):
        Trainer(puzzle, ValueNet(puzzle, 8, 1).requires_grad_(False))
    with pytest.raises(InputError, match="batch_size"):
        Trainer(puzzle, ValueNet(puzzle, 8, 1, norm="batch"), batch_size=1)
