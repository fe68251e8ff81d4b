"""Batches in parts, distributions over distances, several processes."""

import subprocess
import sys

import pytest
import torch

from deepwright.core.devices import Compute
from deepwright.core.errors import InputError
from deepwright.core.files import load_state
from deepwright.pathfinding import LearnedHeuristic, NPuzzle, QNet, TableHeuristic, Trainer, ValueNet, audit_heuristic
from deepwright.pathfinding.learning.learner import distance_entropy


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.net.parameters()])


@pytest.mark.parametrize("make", [ValueNet, QNet])
def test_a_batch_in_parts_is_the_whole_batch(make):
    def trained(parts):
        puzzle = NPuzzle(2)
        net = make(puzzle, 16, 1).double()
        trainer = Trainer(puzzle, net, "supervised", k_max=6, batch_size=30, accumulate=parts, check_every=2)
        trainer.fit(max_itrs=4)
        return weights(trainer)

    whole = trained(1)
    for parts in (2, 7, 30, 100):
        assert torch.allclose(trained(parts), whole, atol=1e-12)


def test_a_distribution_s_entropy_is_least_where_its_mean_is_the_target():
    logits = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([2.25], dtype=torch.float64)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        distance_entropy(logits, target).sum().backward()
        optimizer.step()
    found = logits.detach().softmax(1)
    assert float(found @ torch.arange(6.0).double()) == pytest.approx(2.25, abs=0.02)
    assert found[0, 2:4].tolist() == pytest.approx([0.75, 0.25], abs=0.02)


def test_ends_of_a_distribution():
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    log = logits.log_softmax(1)
    told = distance_entropy(logits, torch.tensor([0.0, 4.0, 9.0, -1.0]))
    assert torch.allclose(told, -torch.stack([log[0, 0], log[1, 4], log[2, 4], log[3, 0]]))


def test_a_distribution_is_learned_and_kept(tmp_path):
    puzzle = NPuzzle(2)
    net = ValueNet(puzzle, 32, 1, bins=9)
    trainer = Trainer(puzzle, net, k_max=8, balance=False, batch_size=100, target_update=5, loss="categorical", lr=3e-3)
    h = trainer.fit(max_itrs=300)
    assert audit_heuristic(h, puzzle, TableHeuristic(puzzle), n=200, k_max=8).mae < 0.4
    again = LearnedHeuristic.load(h.save(tmp_path / "h.safetensors"), puzzle)
    states, goals = puzzle.sample_instances(torch.arange(9), 1)
    assert torch.equal(again(states, goals), h(states, goals))
    assert again.reach == 8


@pytest.mark.parametrize(
    ("words", "net"),
    [
        ({"loss": "categorical"}, {}),
        ({"loss": "categorical", "over_weight": 2.0}, {"bins": 5}),
        ({"loss": "other"}, {}),
        ({"accumulate": 0}, {}),
        ({"accumulate": 2}, {"norm": "batch"}),
        ({"device": "cpu", "compute": Compute()}, {}),
    ],
)
def test_words_that_do_not_go_together_are_refused(words, net):
    puzzle = NPuzzle(2)
    with pytest.raises(InputError):
        Trainer(puzzle, ValueNet(puzzle, 8, 1, **net), **words)


def test_one_bin_is_refused():
    with pytest.raises(InputError, match="bins"):
        ValueNet(NPuzzle(2), 8, 1, bins=1)


def test_one_device_by_fabric_trains_as_none():
    def trained(compute):
        puzzle = NPuzzle(2)
        trainer = Trainer(puzzle, ValueNet(puzzle, 8, 1), k_max=6, batch_size=20, check_every=2, compute=compute)
        trainer.fit(max_itrs=4)
        return weights(trainer)

    assert torch.equal(trained(Compute()), trained(None))


TWO = """
import sys, torch
from deepwright.core.devices import Compute
from deepwright.core.files import save_state
from deepwright.pathfinding import NPuzzle, Trainer, ValueNet
torch.set_num_threads(1)
puzzle = NPuzzle(2)
net = ValueNet(puzzle, 8, 1).double()
trainer = Trainer(puzzle, net, "{method}", k_max=6, batch_size=20, check_every=2, seed=3,
    search_itrs={itrs}, compute=Compute(devices=2, strategy="ddp"))
gradients, examples, learn = [], [], trainer.learner.learn
def watched(some, iteration):
    examples.append(some)
    loss = learn(some, iteration)
    gradients.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    return loss
trainer.learner.learn = watched
trainer.fit(max_itrs=4, max_seconds=1000, checkpoint="t.state")
row = trainer.history[-1]
save_state(f"{{sys.argv[1]}}-{{trainer.team.rank}}", {{
    "net": net.state_dict(), "gradient": gradients[0], "states": examples[0].states, "targets": examples[0].targets,
    "numbers": [row["loss"], row["target"], row["k"], trainer.states_seen]}})
torch.distributed.barrier()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("method", "itrs"), [("davi", 1), ("lhbl", 3)])
def test_two_processes_learn_the_mean_over_both_batches(tmp_path, method, itrs):
    (tmp_path / "script.py").write_text(TWO.format(method=method, itrs=itrs))
    command = [sys.executable, "script.py", str(tmp_path / "w")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    one, two = (load_state(tmp_path / f"w-{rank}") for rank in range(2))
    for name, held in one["net"].items():
        assert torch.equal(held, two["net"][name])
    assert one["numbers"] == two["numbers"]
    assert not torch.equal(one["states"][:15], two["states"][:15])  # each made its own
    puzzle = NPuzzle(2)
    net = ValueNet(puzzle, 8, 1).double()
    states, targets = (torch.cat([each[name] for each in (one, two)]) for name in ("states", "targets"))
    (net(states, puzzle.goal.expand(len(states), -1)) - targets.double()).square().mean().backward()
    alone = torch.cat([p.grad.flatten() for p in net.parameters()])
    assert torch.allclose(one["gradient"], alone, atol=1e-12)
