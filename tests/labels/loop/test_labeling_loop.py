"""A loop that asks, takes answers in any portion, and never loses one."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.resume import DamagedFileError, DamagedFileWarning, OtherWorkError
from deepwright.core.tasks import Binary, Classification, MultiLabel, Regression
from deepwright.data import make_redundant_pool
from deepwright.labels import (
    STRATEGIES,
    LabelingLoop,
    PrunedSelector,
    Strategy,
    WholeSelector,
    default_trainer,
    least_confidence,
    margin,
    read_labels,
    subsampled,
)
from deepwright.nets import mlp
from labels.small_loops import POOL, TRUTH, loop, network


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_keeps_the_contract(name):
    """Distinct indices without a label, the same ones for the same seed, the budget exactly."""
    first, second = loop(strategy=name).run(), loop(strategy=name).run()
    assert first.indices == second.indices
    assert len(set(first.indices)) == 60
    assert torch.equal(torch.tensor(first.labels), TRUTH[first.indices])
    assert [len(r.asked) for r in first.rounds] == [20, 15, 15, 10]  # the last round is shorter
    if name != "random":
        assert first.macs > 0
        assert all(r.accuracy is not None for r in first.rounds[1:])
    assert first.selector is not None


def test_higher_scores_come_first():
    """Uncertainty labels what the selector is least sure of (flipped, it would label the surest)."""
    running = loop()
    running.tell(asked := running.ask(), TRUTH[asked])
    picks = running.ask()
    with torch.no_grad():
        score = least_confidence(running.result().selector(POOL))
    rest = torch.tensor([i for i in range(160) if i not in running.labels and i not in picks.tolist()])
    assert score[picks].min() >= score[rest].max() - 1e-6


@pytest.fixture
def file(tmp_path):
    return tmp_path / "labels.jsonl"


def asking(file, **more):
    return loop(oracle=None, checkpoint=file, **more)


def test_a_person_answers_in_portions(file):
    running = asking(file)
    asked = running.ask()
    assert len(asked) == 20
    running.tell(asked[:5], TRUTH[asked[:5]])
    assert torch.equal(running.ask(), asked[5:])


@pytest.mark.parametrize(
    ("choose", "labels", "message"),
    [
        (lambda asked: asked[:1], [0], "have a label already"),
        (lambda asked: asked[[5, 5]], [0, 0], "have a label already"),
        (lambda asked: [i for i in range(160) if i not in asked.tolist()][:1], [0], "weren't asked for"),
        (lambda asked: [-1], [0], "weren't asked for"),
        (lambda asked: asked[5:6], [7], r"0\.\.2"),
        (lambda asked: asked[5:6], torch.tensor([1.5]), "integers"),
        (lambda asked: asked[5:6], torch.tensor([float("nan")]), "integers"),
        (lambda asked: asked[5:6], [True], "booleans"),
        (lambda asked: asked[5:6] + 0.5, [1], "indices.*integers"),
        (lambda asked: asked[5:6, None], [1], "shape"),
        (lambda asked: asked[5:7], [1], "as many"),
    ],
)
def test_a_wrong_answer_is_refused_as_a_whole(choose, labels, message, file):
    running = asking(file)
    asked = running.ask()
    running.tell(asked[:5], TRUTH[asked[:5]])
    with pytest.raises(InputError, match=message):
        running.tell(choose(asked), labels)
    assert list(asking(file).labels) == asked[:5].tolist()


def test_a_loop_goes_on_with_the_same_questions(file):
    running = asking(file)
    asked = running.ask()
    running.tell(asked[:5], TRUTH[asked[:5]])
    again = asking(file)
    assert torch.equal(again.ask(), asked[5:])
    assert again.labels == running.labels


def test_the_label_after_a_torn_line_is_kept(file):
    running = asking(file)
    asked = running.ask()
    running.tell(asked[:5], TRUTH[asked[:5]])
    with file.open("a") as stream:
        stream.write('{"name": "9')  # torn by a crash
    again = asking(file)
    again.tell(asked[5:6], TRUTH[asked[5:6]])
    assert asking(file).labels == again.labels == running.labels | {int(asked[5]): int(TRUTH[asked[5]])}


def test_an_answer_does_not_depend_on_the_order_of_the_last(file):
    """What is asked next follows from the labels, not from the order in which they came."""
    one, two = loop(strategy="typiclust"), loop(strategy="typiclust")
    asked = one.ask()
    one.tell(asked, TRUTH[asked])
    two.ask()
    two.tell(asked.flip(0), TRUTH[asked.flip(0)])
    assert torch.equal(one.ask(), two.ask())


def test_a_budget_may_be_raised(file):
    first = loop(checkpoint=file, budget=50).run()
    more = loop(checkpoint=file, budget=65).run()
    assert more.indices[:50] == first.indices
    assert len(more.indices) == 65


def test_run_asks_for_an_oracle():
    with pytest.raises(InputError, match="oracle"):
        loop(oracle=None).run()


def test_labels_of_another_loop_are_known_to_a_new_one(file, tmp_path):
    """A new version or another strategy refuses the file, but nobody has to label twice."""
    running = loop(checkpoint=file, budget=35)
    running.run()
    with pytest.raises(OtherWorkError, match=r"another seed: 3, was 0.*read_labels"):
        asking(file, seed=3)
    known = read_labels(file)
    assert known == running.labels
    new = asking(tmp_path / "new.jsonl", seed=3, known=known)
    assert new.labels == known
    assert new.rounds[0].strategy == "known"
    assert not set(new.ask().tolist()) & set(known)


def test_labels_of_undamaged_lines_can_be_read(file):
    running = asking(file)
    running.tell(asked := running.ask(), TRUTH[asked])
    lines = file.read_text().splitlines(keepends=True)
    lines[5] = lines[5].replace('"value": ', '"value":  ')
    file.write_text("".join(lines))
    with pytest.raises(DamagedFileError, match="line 6 isn't as it was written"):
        asking(file)
    with pytest.warns(DamagedFileWarning, match=r"damaged lines \[6\]"):
        kept = read_labels(file)
    assert len(kept) == 19
    assert kept.items() < running.labels.items()


@pytest.mark.parametrize("known", [{160: 0}, {-1: 0}, {0: 3}])
def test_known_labels_are_checked(known):
    with pytest.raises(InputError, match=r"0\.\."):
        loop(known=known)


class Items(torch.utils.data.Dataset):
    """160 samples; `changed` is one that is unlike POOL's."""

    def __init__(self, changed=None):
        self.changed = changed

    def __len__(self):
        return 160

    def __getitem__(self, i):
        return POOL[i] + float(i == self.changed), 99  # whatever stands beside the input is ignored


@pytest.mark.parametrize("changed", [0, 77, 159])
def test_every_sample_of_a_data_set_counts(changed, file):
    asking(file, pool=Items()).ask()
    with pytest.raises(OtherWorkError, match="another pool"):
        asking(file, pool=Items(changed))


# --- whatever happens, a label that was told is there --------------------------------------------------------------

TELLING = """
import sys
sys.path.insert(0, sys.argv[2])
from labels.small_loops import TRUTH, loop
running = loop(oracle=None, checkpoint=sys.argv[1])
asked = running.ask()
print("ready", flush=True)
for i in asked.tolist():
    running.tell([i], [int(TRUTH[i])])
    print(i, flush=True)  # from here on a person counts on it
"""


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, *(pytest.param(s, marks=pytest.mark.slow) for s in (signal.SIGTERM, signal.SIGINT))],
    ids=lambda s: s.name,
)
def test_no_label_that_was_told_is_lost(number, file):
    command = [sys.executable, "-c", TELLING, str(file), str(Path(__file__).parents[2])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    told = []
    for line in process.stdout:
        if line != "ready\n":
            told.append(int(line))
        if len(told) == 7:
            process.send_signal(number)
    process.wait()
    kept = asking(file).labels
    assert set(told) <= set(kept)
    assert all(kept[i] == int(TRUTH[i]) for i in kept)


def short_of_space(monkeypatch, room):
    """A disk on which only so many bytes more find room."""
    write = FileIO.write

    class Full(FileIO):
        def write(self, data):
            nonlocal room
            if room == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken = write(self, bytes(data)[:room])
            room -= taken
            return taken

    monkeypatch.setattr(Path, "open", lambda path, mode, buffering=-1: Full(path, mode.replace("b", "")))


@pytest.mark.parametrize("room", [0, 1, 30, 100])
def test_a_full_disk_takes_nothing_and_harms_nothing(room, file, monkeypatch):
    running = asking(file)
    asked = running.ask()
    running.tell(asked[:5], TRUTH[asked[:5]])
    content = file.read_bytes()
    with monkeypatch.context() as patch:
        short_of_space(patch, room)
        with pytest.raises(InputError, match=r"cannot write .*labels\.jsonl.*No space left"):
            running.tell(asked[5:], TRUTH[asked[5:]])
    assert file.read_bytes() == content
    running.tell(asked[5:], TRUTH[asked[5:]])
    assert len(asking(file).labels) == 20


def test_an_interrupt_in_the_middle_of_writing_takes_nothing(file, monkeypatch):
    running = asking(file)
    asked = running.ask()

    def interrupted(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("deepwright.core.journal.os.fsync", interrupted)
        running.tell(asked[:5], TRUTH[asked[:5]])
    running.tell(asked[:5], TRUTH[asked[:5]])
    assert len(asking(file).labels) == 5


# --- synchronised networks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("t_sync", [1, 2])
@pytest.mark.parametrize("stop", [2, 3])
def test_a_loop_that_was_stopped_ends_with_the_same_selector(t_sync, stop, file):
    whole = loop(t_sync=t_sync).run()
    part = loop(t_sync=t_sync, checkpoint=file, oracle=None)
    for _ in range(stop):
        part.tell(asked := part.ask(), TRUTH[asked])
    rest = loop(t_sync=t_sync, checkpoint=file, oracle=None)
    while not rest.done:
        rest.tell(asked := rest.ask(), TRUTH[asked])
    found = rest.result()
    assert found.indices == whole.indices
    assert [r.macs for r in found.rounds] == [r.macs for r in whole.rounds]
    assert same_weights(found.selector, whole.selector)


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("gone", [(3,), (1, 2, 3)])
def test_synchronised_networks_that_are_gone_are_trained_again(gone, file):
    whole = loop(t_sync=1, checkpoint=file).run()
    for number in gone:
        file.with_name(f"labels.sync-{number}.pt").unlink()
    assert same_weights(loop(t_sync=1, checkpoint=file).result().selector, whole.selector)


def test_a_synchronised_network_of_other_labels_is_refused(file, tmp_path):
    loop(t_sync=1, checkpoint=file).run()
    other = tmp_path / "other" / "labels.jsonl"
    loop(t_sync=1, checkpoint=other, seed=1).run()
    shutil.copy(other.with_name("labels.sync-3.pt"), tmp_path)
    with pytest.raises(OtherWorkError, match=r"labels\.sync-3\.pt.*another loop\.seed: 0, was 1, another labels"):
        loop(t_sync=1, checkpoint=file)


def test_random_units_are_drawn_from_the_loops_seed():
    def run(global_seed):
        torch.manual_seed(global_seed)
        rng = torch.Generator().manual_seed(0)
        selector = PrunedSelector(network(), POOL[:2], criterion="random", generator=rng)
        torch.manual_seed(global_seed)
        return loop(t_sync=1, selector=selector).run().indices

    assert run(1) == run(2)


def test_a_collapsed_selector_is_not_trusted():
    def constant(model, x, y, number, seed):
        with torch.no_grad():
            model[-1].weight.zero_()
            model[-1].bias.copy_(torch.tensor([5.0, 0, 0]))
        return model.eval()

    with pytest.warns(UserWarning, match="one class for 100%"):
        result = loop(trainer=constant).run()
    assert [r.strategy for r in result.rounds] == ["random"] * 4


def test_streams_and_options():
    whole = WholeSelector(network())
    from_tensor = LabelingLoop(
        POOL, whole, budget=30, round_size=10, trainer=default_trainer(2), oracle=lambda i: TRUTH[i]
    ).run()
    from_items = LabelingLoop(
        Items(), whole, budget=30, round_size=10, trainer=default_trainer(2), oracle=lambda i: TRUTH[i]
    ).run()
    assert from_tensor.indices == from_items.indices
    part = loop(strategy=subsampled("margin", 40)).run()
    assert len(set(part.indices)) == 60
    for bad in ({"budget": 999}, {"seed_size": 61}, {"round_size": 0}):
        with pytest.raises(InputError, match="pool of 160"):
            loop(**bad)
    with pytest.raises(InputError, match="did you mean"):
        loop(strategy="margins")
    with pytest.raises(InputError, match="PrunedSelector"):
        loop(selector=whole, t_sync=1)
    with pytest.raises(InputError, match="dropout"):
        loop(strategy="bald", selector=whole).run()
    assert json.dumps(from_tensor.labels)


@pytest.mark.slow
def test_uncertainty_finds_the_rare_modes_and_a_wrong_sign_does_not():
    """On redundant data: what is uncertain beats random on the rare modes, what is certain falls below."""
    x, y, mode = make_redundant_pool(6000, seed=0)
    rare = (mode > 0) & (torch.arange(6000) >= 4000)  # measured on what isn't in the pool

    def wrong_sign(view, k):
        score = margin(view.logits)
        return view.free[score[view.free].argsort()[:k]]

    found = {}
    for name in ("random", "margin", Strategy("certain", wrong_sign)):
        values = []
        for seed in range(3):
            torch.manual_seed(seed)
            selector = PrunedSelector(mlp(32, 8, (64, 64)), x[:2])
            running = LabelingLoop(
                x[:4000],
                selector,
                name,
                budget=400,
                round_size=60,
                seed_size=100,
                seed=seed,
                trainer=default_trainer(30, 0.05),
                oracle=lambda i: y[i],
            )
            result = running.run()
            with torch.no_grad():
                values.append(float((result.selector(x[rare]).argmax(1) == y[rare]).double().mean()))
        found[getattr(name, "name", name)] = sum(values) / 3
    assert found["margin"] > found["random"] + 0.02
    assert found["certain"] < found["random"] - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["local", "ray"])
def test_shards_ask_for_the_same_samples(backend):
    whole = loop(strategy="k-center").run()
    if backend == "ray":
        ray = pytest.importorskip("ray")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        assert loop(strategy="k-center", jobs=3, backend=backend).run().indices == whole.indices
    finally:
        if backend == "ray":
            ray.shutdown()


# --- tasks ---------------------------------------------------------------------------------------------------------


class Softmax(nn.Module):
    """A network that gives probabilities."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        return self.inner(x).softmax(1)


class OneLogit(nn.Module):
    """A network that gives one logit a sample."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x):
        return self.layers(x)


def as_found(model, x, y, number, seed):
    return model.eval()


def test_probabilities_are_refused_where_logits_were_expected():
    with pytest.raises(InputError, match="these look like probabilities"):
        loop(selector=WholeSelector(Softmax()), trainer=as_found, validation=None).run()


def test_probabilities_ask_for_the_same_samples_as_logits():
    task = Classification(3, outputs="probabilities")
    plain = loop(selector=WholeSelector(network()), trainer=as_found).run()
    read = loop(selector=WholeSelector(Softmax()), trainer=as_found, task=task).run()
    assert read.indices == plain.indices
    assert [r.accuracy for r in read.rounds] == [r.accuracy for r in plain.rounds]


def test_one_logit_is_read_by_its_task():
    truth = (POOL[:, 0] > 0).long()
    running = LabelingLoop(
        POOL,
        WholeSelector(OneLogit()),
        "margin",
        budget=30,
        round_size=10,
        trainer=as_found,
        task=Binary(),
        oracle=lambda i: truth[i],
    )
    model = OneLogit()
    rounds = running.run().rounds
    with torch.no_grad():
        sure = model(POOL)[:, 0].abs()
    rest = [i for i in range(160) if i not in running.labels]
    assert sure[rounds[1].asked].max() <= sure[rest].min()


@pytest.mark.parametrize("task", [Regression(3), MultiLabel(3)], ids=lambda t: t.kind)
def test_a_task_without_classes_is_refused(task):
    with pytest.raises(InputError, match="one class"):
        loop(task=task, trainer=as_found, classes=None).run()


def test_classes_and_task_agree():
    with pytest.raises(InputError, match="3, and a task of 4"):
        loop(task=Classification(4))


# --- the data of the study -----------------------------------------------------------------------------------------


def test_redundant_pool_is_what_it_says():
    x, y, mode = make_redundant_pool(20_000, seed=1)
    share = torch.bincount(mode + 1, minlength=5).double() / 20_000
    assert torch.allclose(share, torch.tensor([0.05, 0.8075, 0.095, 0.038, 0.0095], dtype=torch.float64), atol=0.01)
    means = torch.stack([x[(y == c) & (mode == 0)].mean(0) for c in range(8)])
    gaps = torch.cdist(means, means)[~torch.eye(8, dtype=torch.bool)]
    assert float(gaps.min()) == pytest.approx(6, abs=0.5)
    rare = torch.stack([x[(y == c) & (mode == 1)].mean(0) for c in range(8)])
    nearest = (torch.cdist(rare, rare) + 99 * torch.eye(8)).amin(1)
    assert torch.allclose(nearest, torch.full((8,), 2.0), atol=0.6)
