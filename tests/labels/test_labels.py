"""Scores against closed forms, diversity against brute force, fusion, and a loop that never loses a label."""

import itertools
import json
import math
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.features import extract
from deepwright.data.synthetic import make_redundant_pool
from deepwright.labels import (
    STRATEGIES,
    DistillLoss,
    LabelingLoop,
    PrunedSelector,
    Strategy,
    View,
    WholeSelector,
    as_skactiveml,
    badge,
    bald,
    default_trainer,
    entropy,
    from_skactiveml,
    k_center_greedy,
    least_confidence,
    margin,
    subsampled,
    train_fused,
    typiclust,
)
from deepwright.nets import cifar_resnet, mlp


def test_scores_in_closed_form():
    even = torch.zeros(3, 7)
    assert torch.allclose(least_confidence(even), torch.full((3,), 1 - 1 / 7))
    assert torch.allclose(entropy(even), torch.full((3,), math.log(7)))
    assert torch.allclose(margin(even), torch.ones(3))
    z = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    p = z.double().softmax(1).sort(1, descending=True).values
    assert torch.allclose(margin(z).double(), 1 - (p[:, 0] - p[:, 1]))
    assert torch.allclose(entropy(z).double(), -(p * p.log()).sum(1))
    for score in (least_confidence, entropy, margin):
        assert (score(z / 3) >= score(z) - 1e-6).all()  # a softer output is never surer
    assert entropy(torch.tensor([[1e4, 0.0]])).item() == 0.0
    with pytest.raises(InputError, match=r"NaN for samples \[1\]"):
        margin(torch.tensor([[0.0, 1.0], [math.nan, 0.0]]))


def test_scores_equal_scikit_activeml_where_it_is_installed():
    pool = pytest.importorskip("skactiveml.pool")
    p = torch.randn(500, 4).softmax(1).numpy()
    for name, ours in (("least_confident", least_confidence), ("entropy", entropy), ("margin_sampling", margin)):
        theirs = pool.uncertainty_scores(p, method=name)
        assert np.allclose(theirs, ours(torch.from_numpy(p).log()).numpy(), atol=1e-5)


def test_bald():
    rng = torch.Generator().manual_seed(0)
    passes = torch.randn(6, 40, 3, generator=rng)
    p = passes.double().softmax(2)
    expected = -(p.mean(0) * p.mean(0).log()).sum(1) + (p * p.log()).sum(2).mean(0)
    assert torch.allclose(bald(passes).double(), expected, atol=1e-6)
    sure = torch.tensor([[[9.0, 0.0]], [[0.0, 9.0]]])  # two sure passes that disagree: one bit
    assert bald(sure).item() == pytest.approx(math.log(2), rel=0.01)
    with pytest.raises(InputError, match="all the same"):
        bald(torch.zeros(3, 5, 2))


def test_k_centers_equal_brute_force_and_keep_their_bound():
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(200, 6, generator=rng)
    labelled = torch.tensor([3, 77])
    chosen = k_center_greedy(x, labelled, 10)
    have = labelled.tolist()
    for pick in chosen.tolist():
        distance = torch.cdist(x, x[have]).amin(1)
        distance[have] = -1
        assert pick == int(distance.argmax())
        have.append(pick)
    few = torch.randn(12, 2, generator=rng)
    greedy = torch.cdist(few, few[k_center_greedy(few, torch.zeros(0, dtype=torch.long), 3)]).amin(1).max()
    best = min(float(torch.cdist(few, few[list(c)]).amin(1).max()) for c in itertools.combinations(range(12), 3))
    assert float(greedy) <= 2 * best + 1e-6


def test_badge_spreads_over_gradients():
    rng = torch.Generator().manual_seed(0)
    # two directions of features; only the uncertain half has gradients
    h = torch.zeros(40, 2)
    h[::2, 0] = 1
    h[1::2, 1] = 1
    z = torch.zeros(40, 2)
    z[:20, 0] = 30.0
    free = torch.arange(40)
    picks = badge(z, h, 2, free, rng)
    assert (picks >= 20).all()
    assert {int(p) % 2 for p in picks} == {0, 1}
    a = z.double().softmax(1) - nn.functional.one_hot(z.argmax(1), 2)
    g = (a[:, :, None] * h.double()[:, None]).flatten(1)
    size = a.square().sum(1) * h.double().square().sum(1)
    built = size[:, None] + size[None] - 2 * (a @ a.T) * (h.double() @ h.double().T)
    assert torch.allclose(built.clamp_min(0).sqrt(), torch.cdist(g, g), atol=1e-6)


def test_typiclust_takes_the_middle_of_uncovered_clusters():
    rng = torch.Generator().manual_seed(0)
    centres = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    x = torch.cat([c + 0.05 * torch.randn(60, 3, generator=rng) for c in centres])
    picks = typiclust(x, torch.tensor([5]), 2)  # the first cluster has a label already
    assert {int(p) // 60 for p in picks} == {1, 2}
    unit = nn.functional.normalize(x, dim=1)
    for p in picks.tolist():
        own = unit[p // 60 * 60 : p // 60 * 60 + 60]
        spread = torch.cdist(own, own).topk(21, 1, largest=False).values.sum(1)
        assert spread[p % 60] == spread.min()


POOL = torch.randn(160, 6, generator=torch.Generator().manual_seed(0))
TRUTH = POOL[:, :3].argmax(1)


def network(dropout=0.0):
    torch.manual_seed(0)
    layers = [nn.Linear(6, 24), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else []), nn.Linear(24, 3)]
    return nn.Sequential(*layers)


def loop(**more):
    options = {
        "budget": 60,
        "round_size": 15,
        "seed_size": 20,
        "trainer": default_trainer(4, 0.05),
        "classes": 3,
        "validation": (POOL, TRUTH),
    }
    options |= {"oracle": lambda i: TRUTH[i], **more}
    name = options.pop("strategy", "least-confidence")
    selector = options.pop("selector", None) or PrunedSelector(network(0.2 if name == "bald" else 0.0), POOL[:2])
    return LabelingLoop(options.pop("pool", POOL), selector, name, **options)


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
        score = least_confidence(running.last(POOL))
    rest = torch.tensor([i for i in range(160) if i not in running.labels and i not in picks.tolist()])
    assert score[picks].min() >= score[rest].max() - 1e-6


def test_a_person_answers_in_portions(tmp_path):
    running = loop(oracle=None, state_dir=tmp_path)
    asked = running.ask()
    assert len(asked) == 20
    running.tell(asked[:5], TRUTH[asked[:5]])
    assert torch.equal(running.ask(), asked[5:])
    for indices, labels, message in (
        (asked[:2], TRUTH[asked[:2]], "have a label already"),
        (asked[5:7].repeat(2), TRUTH[asked[5:7]].repeat(2), "have a label already"),
        ([i for i in range(160) if i not in asked.tolist()][:1], [0], "weren't asked for"),
        (asked[5:6], [7], r"0\.\.2"),
        (asked[5:7], [1], "as many"),
    ):
        with pytest.raises(InputError, match=message):
            running.tell(indices, labels)
    again = loop(oracle=None, state_dir=tmp_path)
    assert torch.equal(again.ask(), asked[5:])
    assert again.labels == running.labels
    with (tmp_path / "labels.jsonl").open("a") as stream:
        stream.write('{"name": "9')  # torn by a crash
    again = loop(oracle=None, state_dir=tmp_path)
    assert again.labels == running.labels
    again.tell(asked[5:6], TRUTH[asked[5:6]])  # the first label after the torn line isn't lost with it
    assert loop(oracle=None, state_dir=tmp_path).labels == again.labels
    with pytest.raises(InputError, match="another seed"):
        loop(oracle=None, state_dir=tmp_path, seed=3)
    with pytest.raises(InputError, match="oracle"):
        loop(oracle=None).run()
    with pytest.raises(InputError, match="another pool"):
        loop(oracle=None, state_dir=tmp_path, pool=POOL + 1)
    (tmp_path / "rounds.json").write_text('{"rounds": [{"strange": 1}]}')
    with pytest.raises(InputError, match=r"rounds\.json of a labelling loop"):
        loop(oracle=None, state_dir=tmp_path)


KILLED = """
import sys, torch
sys.path.insert(0, sys.argv[2])
from test_labels import TRUTH, loop
count = 0
def oracle(i):
    global count
    count += 1
    print("round", count, flush=True)
    if count == int(sys.argv[3]):
        import time; time.sleep(60)
    return TRUTH[i]
print(loop(oracle=oracle, state_dir=sys.argv[1], t_sync=2).run().indices)
"""


def test_a_killed_loop_asks_the_same_questions(tmp_path):
    whole = loop(t_sync=2).run()
    command = [sys.executable, "-c", KILLED, str(tmp_path), os.path.dirname(__file__)]
    process = subprocess.Popen([*command, "3"], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "round 3" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len((tmp_path / "labels.jsonl").read_text().splitlines()) == 1 + 35
    done = subprocess.run([*command, "99"], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == str(whole.indices)
    assert (tmp_path / "sync-2.pt").exists()


def test_selector_is_a_subset_of_the_network():
    torch.manual_seed(0)
    for depth, small, whole in ((20, 68_786, 272_474), (56, 215_282, 855_770)):
        model = cifar_resnet(depth)
        selector = PrunedSelector(model, torch.rand(1, 3, 32, 32), rescale=False)
        assert selector.params == (small, whole)
        assert selector.macs[0] / selector.macs[1] < 0.25 * 1.35
    kept = selector.index_map["layer1.0.conv1.weight"]
    assert torch.equal(selector.network.layer1[0].conv1.weight, model.layer1[0].conv1.weight[kept[0]][:, kept[1]])
    scaled = PrunedSelector(model, torch.rand(1, 3, 32, 32))
    assert torch.allclose(
        scaled.network.layer1[0].conv1.weight, selector.network.layer1[0].conv1.weight * 2**0.5
    )  # half the fan-in
    assert PrunedSelector(mlp(4, 2, (7,)), torch.rand(1, 4), removed=0.9).network[0].out_features == 1
    with pytest.raises(InputError, match="removed"):
        PrunedSelector(model, torch.rand(1, 3, 32, 32), removed=1.0)


def test_distillation():
    z, y = torch.randn(8, 4), torch.arange(8) % 4
    teacher = nn.Linear(5, 4)
    x = torch.randn(8, 5)
    loss = DistillLoss(teacher, 0.3, 4.0)
    p, q = (teacher(x) / 4).softmax(1), (z / 4).softmax(1)
    kl = (p * (p / q).log()).sum(1).mean()
    expected = 0.7 * nn.functional.cross_entropy(z, y) + 0.3 * 16 * kl
    assert float(loss(z, x, y)) == pytest.approx(float(expected), rel=1e-5)
    assert float(DistillLoss(None, 1.0)(z, z, y)) == pytest.approx(0, abs=1e-6)
    loss.train()
    assert not loss.teacher.training


def test_fused_network_learns_on():
    selector = PrunedSelector(network(), POOL[:2])
    small = default_trainer(20, 0.05)(selector.fresh(), POOL, TRUTH, 0, 0)
    same = selector.fuse(small, rest="function_preserving")
    with torch.no_grad():
        assert torch.allclose(same(POOL), small(POOL), atol=1e-5)
    fused = train_fused(selector, small, POOL, TRUTH, epochs=5, lr=0.05)
    with torch.no_grad():
        assert float((fused(POOL).argmax(1) == TRUTH).double().mean()) > 0.9


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
    class Items(torch.utils.data.Dataset):
        def __len__(self):
            return 160

        def __getitem__(self, i):
            return POOL[i], 99  # whatever stands beside the input is ignored

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


def test_scikit_activeml_both_ways():
    pool = pytest.importorskip("skactiveml.pool")
    model = mlp(5, 3, (8,)).eval()
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    found = extract(model, [x], ())
    labelled = torch.arange(10)
    free = torch.arange(10, 60)
    view = View(found.logits, found.features, labelled, free, 3, truth=labelled % 3)
    for theirs, ours in (
        (pool.UncertaintySampling(method="least_confident"), "least-confidence"),
        (pool.UncertaintySampling(method="entropy"), "entropy"),
        (pool.CoreSet(), "k-center"),
    ):
        expected = set(STRATEGIES[ours].select(view, 6).tolist())
        assert set(from_skactiveml(theirs).select(view, 6).tolist()) == expected
        y = torch.full((60,), math.nan)
        y[labelled] = (labelled % 3).float()
        assert set(as_skactiveml(ours, model).query(x.numpy(), y.numpy(), batch_size=6).tolist()) == expected
    running = loop(strategy=from_skactiveml(pool.TypiClust()), budget=40)
    assert len(set(running.run().indices)) == 40
    with pytest.raises(InputError, match="ensemble"):
        from_skactiveml(pool.QueryByCommittee())
    with pytest.raises(InputError, match="stochastic"):
        as_skactiveml("bald", model)
