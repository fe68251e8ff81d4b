"""The trainer: it learns, resumes bit for bit, refuses other work, and stops where a network breaks."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.pathfinding import (
    CollapseWarning,
    DivergedError,
    DomainError,
    GraphDomain,
    GridWorld,
    LearnedHeuristic,
    NPuzzle,
    QNet,
    TableHeuristic,
    Trainer,
    ValueNet,
    audit_heuristic,
)
from deepwright.pathfinding.learning import Curriculum

WAYS = {
    "davi": {},
    "davi with warm walks": {"warmup_walks": 3},
    "davi that searches": {"search_itrs": 4},
    "lhbl": {"method": "lhbl", "search_itrs": 5, "balance": False},
    "lhbl with hindsight": {"method": "lhbl", "search_itrs": 4, "her": True, "replay": 300, "goals": True},
    "q": {"method": "q", "search_itrs": 2},
    "q of actions": {"method": "q", "action_in": True},
    "supervised": {"method": "supervised", "loss": "huber", "over_weight": 2.0},
}


def made(name="davi", seed=0, **more):
    words = {"k_max": 12, "batch_size": 60, "target_update": 3, "check_every": 4, **WAYS[name], **more}
    net = {k: words.pop(k) for k in ("goals", "action_in") if k in words}
    puzzle = NPuzzle(3)
    kind = QNet if words.get("method") == "q" else ValueNet
    return Trainer(puzzle, kind(puzzle, 16, 1, norm="batch", seed=seed, **net), seed=seed, **words)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("name", WAYS)
def test_an_interrupted_training_ends_at_the_same_bits(name, tmp_path):
    whole, part = made(name), made(name)
    whole.fit(max_itrs=14)
    part.fit(max_itrs=7, checkpoint=tmp_path / "kept")
    rest = made(name)
    rest.fit(max_itrs=14, checkpoint=tmp_path / "kept")
    assert same(whole.state_dict(), rest.state_dict())
    part.step()  # in the same process, without a file
    part.fit(max_itrs=14)
    assert same(whole.state_dict(), part.state_dict())
    assert whole.states_seen > 14 * 20


def test_a_state_in_memory_is_enough():
    one, other = made("lhbl"), made("lhbl", seed=0)
    one.fit(max_itrs=5)
    other.load_state_dict(one.state_dict())
    assert same(one.fit(max_itrs=9).module.state_dict(), other.fit(max_itrs=9).module.state_dict())


def test_seeds_are_all_that_is_drawn_from():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    a = made().fit(max_itrs=5).module.state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    b, c = (made(seed=s).fit(max_itrs=5).module.state_dict() for s in (0, 1))
    assert same(a, b)
    assert not same(a, c)


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from test_heuristic_training import made
trainer = made("lhbl")
trainer.fit(max_itrs=10**6, checkpoint={path!r}, every=1)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_costs_nothing(tmp_path):
    path, folder = str(tmp_path / "kept"), os.path.dirname(__file__)
    for wait in (0.05, 0.31):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT.format(folder=folder, path=path)])
        end = time.monotonic() + 120
        while not os.path.exists(path) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    rest = made("lhbl")
    rest.fit(max_itrs=1, checkpoint=path)  # more are done: what was kept is taken up, and nothing else
    done = rest.iteration
    assert done >= 1
    rest.fit(max_itrs=done + 6, checkpoint=path)
    whole = made("lhbl")
    whole.fit(max_itrs=done + 6)
    assert same(whole.state_dict(), rest.state_dict())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"k_max": 13}, "another k max: 13, was 12"),
        ({"lr": 0.01}, "another lr"),
        ({"seed": 1}, "seed"),
        ({"name": "lhbl"}, "method"),
    ],
)
def test_a_checkpoint_of_other_work_is_refused_by_name(tmp_path, change, said):
    made().fit(max_itrs=2, checkpoint=tmp_path / "kept")
    other = made(**change)
    with pytest.raises(InputError, match=said):
        other.fit(max_itrs=4, checkpoint=tmp_path / "kept")


def test_other_first_weights_networks_and_domains_are_other_work(tmp_path):
    made().fit(max_itrs=2, checkpoint=tmp_path / "kept")
    words = {"k_max": 12, "batch_size": 60, "target_update": 3, "check_every": 4}
    for domain, width, seed, said in (
        (NPuzzle(3), 16, 5, "first weights"),
        (NPuzzle(3), 24, 0, "network"),
        (NPuzzle(2), 16, 0, "domain"),
    ):
        other = Trainer(domain, ValueNet(domain, width, 1, norm="batch", seed=seed), **words)
        with pytest.raises(InputError, match=said):
            other.fit(max_itrs=4, checkpoint=tmp_path / "kept")
    with pytest.raises(InputError, match=r"k_max 12.*k_max 9"):
        made(k_max=9).load_state_dict(made().state_dict())


class Breaks(torch.nn.Module):
    """A network that says NaN from a call on."""

    def __init__(self, after):
        super().__init__()
        self.inner = ValueNet(NPuzzle(3), 8, 1)
        self.left = after
        self.goals = False

    def forward(self, states, goals):
        self.left -= self.training
        return self.inner(states, goals) * (float("nan") if self.left < 0 else 1.0)


def test_nan_stops_and_leaves_the_last_good_weights(tmp_path):
    trainer = Trainer(NPuzzle(3), Breaks(10), k_max=5, batch_size=20, check_every=4)
    good = {}
    with pytest.raises(DivergedError, match=r"iteration 10.*NaN"):
        trainer.fit(until=lambda t: good.update({t.iteration: t.state_dict()}) or False, checkpoint=tmp_path / "kept")
    assert trainer.iteration == 8
    assert same(trainer.state_dict(), good[8])
    again = Trainer(NPuzzle(3), Breaks(100), k_max=5, batch_size=20, check_every=4)
    again.load_state_dict(trainer.state_dict())
    assert again.iteration == 8
    assert all(bool(t.isfinite().all()) for t in again.net.state_dict().values())


def test_a_few_seconds_beat_chance():
    puzzle = NPuzzle(3)
    table = TableHeuristic(puzzle)
    net = ValueNet(puzzle, 64, 1)
    trainer = Trainer(puzzle, net, "lhbl", k_max=20, balance=False, batch_size=300, search_itrs=4, target_update=10)
    instances = puzzle.sample_instances(torch.full((60,), 10), 9)
    before = trainer.evaluate(*instances, iterations=20).float().mean()
    h = trainer.fit(max_itrs=120)
    after = trainer.evaluate(*instances, iterations=20).float().mean()
    assert float(after) > float(before) + 0.5
    states, goals = puzzle.sample_instances(torch.arange(400) % 20, 10)
    constant = table(states, goals)
    found = audit_heuristic(h, puzzle, table, states, goals)
    assert found.mae < 0.5 * float((constant - constant.median()).abs().mean())


@pytest.mark.parametrize("name", ["q", "q of actions", "supervised", "davi"])
def test_every_way_learns_a_corridor(name):
    """Eight cells in a row: the distance is the column, and where there is a choice the better action is known."""
    domain = GridWorld(torch.zeros(1, 8, dtype=torch.bool))
    words = {k: v for k, v in WAYS[name].items() if k in ("method", "search_itrs")}
    action_in = name == "q of actions"
    net = QNet(domain, 32, 1, action_in=action_in) if name.startswith("q") else ValueNet(domain, 32, 1)
    trainer = Trainer(domain, net, k_max=7, batch_size=64, target_update=5, lr=3e-3, balance=False, **words)
    h = trainer.fit(max_itrs=300)
    states = torch.tensor([[0, c] for c in range(8)], dtype=torch.int16)
    goals = domain.goal.expand(8, 2)
    assert (h(states, goals) - torch.arange(8)).abs().max() < 0.8
    if name.startswith("q"):
        assert h.values(states[1:7], goals[1:7])[:, 2:].argmin(1).tolist() == [0] * 6


def test_goals_are_learned_where_the_network_sees_them():
    domain = GridWorld(torch.zeros(1, 6, dtype=torch.bool))
    net = ValueNet(domain, 32, 1, goals=True)
    words = {"k_max": 5, "batch_size": 60, "search_itrs": 3, "target_update": 5, "lr": 3e-3, "balance": False}

    class Anywhere(GridWorld):
        def starts(self, n, rng):
            columns = torch.randint(0, 6, (n, 1), generator=rng)
            return torch.cat([torch.zeros_like(columns), columns], 1).short()

    domain = Anywhere(torch.zeros(1, 6, dtype=torch.bool))
    h = Trainer(domain, net, "lhbl", her=True, replay=600, **words).fit(max_itrs=150)
    a, b = torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij")
    states, goals = (torch.stack([torch.zeros(36), t.flatten()], 1).short() for t in (a, b))
    assert (h(states, goals) - (a - b).abs().flatten()).abs().max() < 0.9


def test_walks_forward_where_there_is_no_way_back():
    domain = GraphDomain(torch.tensor([[0, 1], [1, 2], [2, 0]]), goal=0)
    with pytest.raises(DomainError, match="can't be walked backwards"):
        Trainer(domain, ValueNet(domain, 8, 1))

    def begin(n, rng):
        return torch.randint(0, 3, (n, 1), generator=rng).int()

    net = ValueNet(domain, 32, 1, goals=True)
    h = Trainer(domain, net, begin=begin, balance=False, k_max=2, batch_size=60, lr=3e-3, target_update=3).fit(
        max_itrs=200
    )
    states, goals = (
        (torch.arange(9, dtype=torch.int32) // 3)[:, None],
        (torch.arange(9, dtype=torch.int32) % 3)[:, None],
    )
    assert (h(states, goals) - ((goals - states) % 3)[:, 0]).abs().max() < 0.5


def test_bounded_targets_are_never_above_the_walk():
    puzzle = NPuzzle(3)
    high = ValueNet(puzzle, 8, 1)
    torch.nn.init.constant_(high.head.bias, 50.0)
    for bounded in (True, False):
        trainer = Trainer(puzzle, high, k_max=9, balance=False, batch_size=50, bounded=bounded)
        examples = trainer._examples(torch.Generator().manual_seed(0))
        assert (float(examples.targets.max()) <= 9) == bounded


def test_the_curriculum_doubles_and_falls_back():
    way = Curriculum(20, balance=True)
    assert [way.update(1.0, 0.7) for _ in range(6)] == ["longer"] * 5 + [""]
    assert way.k == 20
    said = [way.update(1.0 + i, 0.4 - i / 100) for i in range(6)]
    assert said == [""] * 5 + ["collapsed"]
    assert (way.k, way.collapses) == (10, 1)
    assert [way.update(t, 0.4) for t in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)] == [""] * 7  # as many are solved
    again = Curriculum(20, balance=True)
    again.load_state_dict(way.state_dict())
    assert vars(again) == vars(way)
    assert Curriculum(20, balance=False).k == 20


def test_a_collapse_is_told(monkeypatch):
    trainer = made(balance=False)
    monkeypatch.setattr(trainer.curriculum, "update", lambda target, solved: "collapsed")
    with pytest.warns(CollapseWarning, match="five checks in a row"):
        trainer.fit(max_itrs=4)


def test_progress_is_told_in_lines():
    lines = []
    made().fit(max_itrs=8, report=lines.append, report_every=1e-9)
    assert len(lines) == 5
    assert all("states/s" in line and "solved" in line for line in lines)
    trainer = made()
    trainer.fit(max_seconds=0.2)
    assert trainer.iteration > 0
    trainer = made()
    assert isinstance(trainer.fit(until=lambda t: t.iteration == 3), LearnedHeuristic)
    assert trainer.iteration == 3
    assert not trainer.net.training


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"method": "sarsa"}, "sarsa"),
        ({"k_max": 0}, "k_max"),
        ({"walk": "zigzag"}, "walk"),
        ({"her": True}, "her"),
        ({"kind": "q_fixed"}, "kind"),
        ({"method": "q", "kind": "v"}, "kind"),
        ({"method": "supervised", "search_itrs": 3}, "search_itrs"),
        ({"lr": 0.0}, "lr"),
        ({"loss": "l1"}, "loss"),
        ({"method": "lhbl", "search_itrs": 3, "her": True}, "doesn't see the goal"),
    ],
)
def test_a_trainer_refuses(words, said):
    puzzle = NPuzzle(3)
    with pytest.raises(InputError, match=said):
        Trainer(puzzle, ValueNet(puzzle, 8, 1), **words)


def test_an_end_is_asked_for():
    with pytest.raises(InputError, match="no end"):
        made().fit()
