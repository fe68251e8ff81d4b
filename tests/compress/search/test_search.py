"""The pruning search: exact fronts of small problems, the corridor, resumption, racing, the planted network."""

import concurrent.futures
import copy
import itertools
import signal

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.compress import recalibrate
from deepwright.compress.search import (
    Engine,
    EvolutionaryPruner,
    ParetoResult,
    Preparation,
    PymooEngine,
    SearchError,
    UnitSpace,
    WeightSpace,
    accuracy_on,
)
from deepwright.compress.search.evaluation import Evaluation
from deepwright.compress.search.thresholds import first_thresholds
from deepwright.core.errors import InputError
from deepwright.core.fit import adamw, fit
from deepwright.core.pareto import hypervolume, nondominated
from deepwright.core.resume import OtherWorkError
from deepwright.data import load as load_data
from deepwright.nets import cifar_resnet, mlp


def bias_free(*widths, seed=0):
    torch.manual_seed(seed)
    layers = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b, bias=False), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def planted(seed, up=(1 / 8, 8.0)):
    """3,456 weights of which 2,027 can matter; the others' in-weights are large and the layers' scales skewed by 64."""
    rng = torch.Generator().manual_seed(seed)
    net = bias_free(20, 64, 32, 4)
    with torch.no_grad():
        for layer in (net[0], net[2], net[4]):
            layer.weight.normal_(0, (2 / layer.in_features) ** 0.5, generator=rng)
        net[2].weight[:, :19] = 0
        net[4].weight[:, :9] = 0
        net[0].weight[:19] *= 5
        net[2].weight[:9] *= 5
        a, b = up
        net[0].weight *= a
        net[2].weight *= b / a
        net[4].weight /= b
    x = torch.randn(4000, 20, generator=rng)
    with torch.no_grad():
        return net, x, net(x).argmax(1)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(1)
    net = mlp(8, 3, (16, 12)).eval()
    x = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = net(x).argmax(1)
    return net, x, y


SHORT = {"phase1": {"pop": 12, "gen": 4}, "phase2": {"pop": 12, "gen": 6}}


@pytest.mark.slow
def test_a_front_that_can_be_enumerated():
    """2^18 masks of a 4-3-2 network: 99.8 % of the exact hypervolume in 4,000 evaluations of 4,000 networks."""
    net = bias_free(4, 3, 2, seed=3)
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = net(x).argmax(1)
    space = WeightSpace.of(net)
    assert space.size == 18
    codes = np.arange(2**18)
    masks = ((codes[:, None] >> np.arange(18)) & 1).astype(bool)
    w1, w2 = net[0].weight.detach().numpy(), net[2].weight.detach().numpy()
    errors = np.empty(len(masks))
    for part in np.array_split(codes, 64):
        hidden = np.maximum(np.einsum("nd,phd->pnh", x.numpy(), masks[part, :12].reshape(-1, 3, 4) * w1), 0)
        out = np.einsum("pnh,pch->pnc", hidden, masks[part, 12:].reshape(-1, 2, 3) * w2)
        errors[part] = (out.argmax(2) != y.numpy()).mean(1)
    exact = np.stack([errors, masks.mean(1)], 1)
    exact = hypervolume(exact[nondominated(exact)], (1, 1))
    search = EvolutionaryPruner(net, x[:2], granularity="weight")
    result = search.fit(accuracy_on(x, y), budget=4000)
    assert result.hypervolume() >= 0.998 * exact
    assert result.evaluations == len(search.state.seen) >= 4000  # none of them twice, none of them left over


def test_a_search_that_has_seen_everything_ends():
    """2^3 masks cannot fill 4,080 evaluations."""
    net = bias_free(3, 1)
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    search = EvolutionaryPruner(net, x[:2], granularity="weight")
    assert search.fit(accuracy_on(x, (net(x)[:, 0] > 0).long())).evaluations == 8
    assert search.done


def rescaled(net):
    """The same function bit for bit (powers of two) with its layers at other scales, biases too."""
    other = copy.deepcopy(net)
    with torch.no_grad():
        other[0].weight *= 128
        other[0].bias *= 128
        other[2].weight /= 128 * 16
        other[2].bias /= 16
        other[4].weight *= 16
    return other


@pytest.mark.parametrize("importance", ["magnitude", "taylor"])
@pytest.mark.parametrize("granularity", ["unit", "weight", "block"])
def test_the_same_function_at_other_scales_has_the_same_archive(small, granularity, importance):
    net, x, y = small
    data = {} if importance == "magnitude" else {"data": [(x, y)]}
    searches = [
        EvolutionaryPruner(n, x[:2], granularity=granularity, importance=importance, **data, **SHORT)
        for n in (net, rescaled(net))
    ]
    here, there = (s.fit(accuracy_on(x, y)) for s in searches)
    assert np.array_equal(here.packed, there.packed)
    assert np.array_equal(here.F, there.F)


def test_raw_seeds_hold_the_global_magnitude_cuts(small):
    net, _, _ = small
    space = WeightSpace.of(rescaled(net))
    first = first_thresholds(space, 40, np.random.default_rng(0), raw=True)
    masks = {m.tobytes() for m in space.from_thresholds(first)}
    cuts = np.quantile(space.score, np.linspace(0.05, 0.95, 10))
    reachable = [c for c in cuts if (c / space.scale <= 2.5).all()]
    assert len(reachable) > 1
    assert all((space.score > c).tobytes() in masks for c in reachable)
    scaled = first_thresholds(space, 40, np.random.default_rng(0))
    assert not all((space.score > c).tobytes() in {m.tobytes() for m in space.from_thresholds(scaled)} for c in cuts)


def test_zeros_are_not_called_fewer_parameters(small):
    net, x, y = small
    front = EvolutionaryPruner(net, x[:2], granularity="weight", **SHORT).fit(accuracy_on(x[:200], y[:200]))
    picked = front.pick((x[200:], y[200:]), index=len(front) // 2)
    weights = [p for n, p in picked.model.named_parameters() if n.endswith("weight")]
    kept, entries = sum(int((w != 0).sum()) for w in weights), sum(w.numel() for w in weights)
    dense = sum(p.numel() for p in net.parameters())
    rows = sum(len(w) + 1 for w in weights)
    assert picked.costs == pytest.approx(
        {
            "nonzero weights": kept / entries,
            "params": 1.0,
            "macs": 1.0,
            "bytes": 1.0,
            "bytes as sparse rows": (4 * (dense - entries) + 8 * kept + 4 * rows) / (4 * dense),
        }
    )
    assert "nonzero weights (params)" in front.evaluate(x[200:], y[200:]).columns


def test_the_corridor_holds_without_escape(small):
    net, x, y = small
    search = EvolutionaryPruner(net, x[:2], granularity="weight", escape=0.0, **SHORT)
    evaluate = Evaluation(accuracy_on(x, y), search.space, search.objectives)
    bounds = None
    while not search.done:
        batch = search.ask()
        if search.state.phase == 2 and batch:
            if bounds is None:
                corridor = search.state.corridor
                bounds = corridor.lower.copy(), corridor.upper.copy()
                assert 32 <= corridor.free.sum() <= 0.9 * search.space.size
            lower, upper = bounds
            for c in batch:
                assert not (lower & ~c.mask).any()
                assert not (c.mask & ~upper).any()
        if batch:
            search.tell(batch, evaluate(np.stack([c.mask for c in batch]), search.state))
    assert bounds is not None
    archive = search.state.archive
    assert len({np.packbits(m).tobytes() for m in archive.masks}) == len(archive)


def test_extreme_thresholds(small):
    net, x, y = small
    space = WeightSpace.of(net, min_keep=2)
    none, everything = space.from_thresholds(np.array([[0.0] * 3, [99.0] * 3]))
    assert none.all()
    assert np.bincount(space.layer[everything]).tolist() == [2, 2, 2]
    evaluate = accuracy_on(x, y)
    assert evaluate.wrong(space, none[None]).mean() == 0.0  # the dense network's own decisions are the labels


@pytest.mark.parametrize("granularity", ["weight", "unit"])
def test_the_same_archive_for_any_number_of_workers(small, granularity):
    net, x, y = small
    fronts = []
    for jobs in (None, 4):
        executor = concurrent.futures.ThreadPoolExecutor(4) if jobs else None
        search = EvolutionaryPruner(net, x[:2], granularity=granularity, **SHORT)
        fronts.append(search.fit(accuracy_on(x, y), executor=executor, jobs=jobs or 1))
    assert np.array_equal(fronts[0].F, fronts[1].F)
    assert np.array_equal(fronts[0].packed, fronts[1].packed)


@pytest.mark.slow
def test_the_same_archive_on_ray(small):
    ray = pytest.importorskip("ray")
    net, x, y = small
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        there = EvolutionaryPruner(net, x[:2], **SHORT).fit(accuracy_on(x, y), executor="ray", jobs=3)
    finally:
        ray.shutdown()
    here = EvolutionaryPruner(net, x[:2], **SHORT).fit(accuracy_on(x, y))
    assert np.array_equal(here.F, there.F)
    assert np.array_equal(here.packed, there.packed)


def test_a_stopped_search_goes_on_to_the_same_end(small, tmp_path):
    """Bit for bit; kills, damage and other work are tried by the contract of all doors."""
    net, x, y = small
    whole = EvolutionaryPruner(net, x[:2], granularity="weight", **SHORT).fit(accuracy_on(x, y))
    search = EvolutionaryPruner(net, x[:2], granularity="weight", **SHORT)
    search.fit(accuracy_on(x, y), checkpoint=tmp_path / "search", budget=60)
    again = EvolutionaryPruner(net, x[:2], granularity="weight", **SHORT)
    again = again.fit(accuracy_on(x, y), checkpoint=tmp_path / "search")
    assert np.array_equal(whole.F, again.F)
    assert np.array_equal(whole.packed, again.packed)
    assert whole.history == again.history


def test_an_interrupt_is_raised_after_the_state_is_kept(small, tmp_path):
    net, x, y = small

    def stop(state):
        if state.phase == 2:
            signal.raise_signal(signal.SIGINT)

    search = EvolutionaryPruner(net, x[:2], **SHORT)
    with pytest.raises(KeyboardInterrupt):
        search.fit(accuracy_on(x, y), checkpoint=tmp_path / "search", on_step=stop)
    assert len(search.result()) > 0
    again = EvolutionaryPruner(net, x[:2], **SHORT)
    again.fit(accuracy_on(x, y), checkpoint=tmp_path / "search", on_step=lambda state: None)
    assert again.done


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": 5}, "seed"),
        ({"frozen": ("0",)}, "frozen"),
        ({"engine": "moead"}, "engine"),
        ({"phase2": {"pop": 12, "gen": 7}}, "phase2"),
        ({"corridor": (0.02, 0.1)}, "corridor"),
        ({"min_keep": 2}, "min_keep"),
    ],
)
def test_another_search_is_refused_by_name(small, tmp_path, change, word):
    net, x, y = small
    settings = {"granularity": "weight", **SHORT}
    EvolutionaryPruner(net, x[:2], **settings).fit(accuracy_on(x, y), checkpoint=tmp_path / "search", budget=30)
    with pytest.raises(OtherWorkError, match=word):
        EvolutionaryPruner(net, x[:2], **{**settings, **change}).fit(accuracy_on(x, y), checkpoint=tmp_path / "search")


def test_pymoo_breeds_the_same_children_from_the_same_generator():
    pytest.importorskip("pymoo")
    rng = np.random.default_rng(0)
    genomes, fitness = rng.random((20, 3)), rng.random((20, 2)).round(1)  # equals among them
    bred = [
        PymooEngine().children(genomes, fitness, np.zeros(3), np.ones(3), 20, np.random.default_rng(1))
        for _ in range(3)
    ]
    assert np.array_equal(bred[0], bred[1])
    assert np.array_equal(bred[0], bred[2])


def test_pymoo_breeds_phase_one_and_a_stopped_search_goes_on(small, tmp_path):
    pymoo = pytest.importorskip("pymoo.algorithms.moo.sms")
    net, x, y = small
    settings = {"granularity": "weight", **SHORT}
    whole = EvolutionaryPruner(net, x[:2], engine=PymooEngine(), **settings).fit(accuracy_on(x, y))
    for budget in (60, None):
        again = EvolutionaryPruner(net, x[:2], engine=PymooEngine(), **settings).fit(
            accuracy_on(x, y), checkpoint=tmp_path / "search", budget=budget
        )
    assert np.array_equal(whole.F, again.F)
    other = EvolutionaryPruner(net, x[:2], engine=PymooEngine(pymoo.SMSEMOA()), **settings)
    assert other.fit(accuracy_on(x, y)).hypervolume() > 0
    with pytest.raises(OtherWorkError, match="engine"):
        other.fit(accuracy_on(x, y), checkpoint=tmp_path / "search")


def test_phase_two_can_begin_with_given_networks(small):
    net, x, y = small
    search = EvolutionaryPruner(net, x[:2], granularity="weight", **SHORT)
    masks = np.random.default_rng(0).random((12, search.space.size)) < 0.5
    search.begin_with(masks)
    front = search.fit(accuracy_on(x, y))
    assert set(front.phase.tolist()) == {2}
    with pytest.raises(InputError, match="a new search"):
        search.begin_with(masks)


@pytest.mark.parametrize("phase1", [{"pop": 1}, {"gen": -1}, {"population": 20}])
def test_phases_that_cannot_run_are_refused(small, phase1):
    net, x, _ = small
    with pytest.raises(InputError, match="phase1"):
        EvolutionaryPruner(net, x[:2], phase1=phase1)


def test_pymoo_keeps_what_the_house_keeps():
    pytest.importorskip("pymoo")
    f = np.random.default_rng(0).random((60, 2))
    ours, theirs = (set(e.survivors(f, 20, f.max(0))) for e in (Engine(), PymooEngine()))
    front = set(np.flatnonzero(nondominated(f)))
    assert front <= ours
    assert front <= theirs
    assert len(theirs) == 20
    with pytest.raises(InputError, match="mating and survival"):
        PymooEngine(object())


def test_batched_evaluation_counts_the_same_errors():
    net = cifar_resnet(8, channels=1, width=4).eval()
    x, y = torch.rand(40, 1, 12, 12), torch.arange(40) % 10
    space = WeightSpace.of(net)
    masks = np.random.default_rng(0).random((5, space.size)) < 0.8
    together, in_turn = space._together(masks, x), space._in_turn(masks, x)
    assert torch.allclose(together, in_turn, atol=1e-5)
    wrong = accuracy_on(x, y).wrong(space, masks)
    for mask, row in zip(masks, wrong):
        with torch.no_grad():
            single = space.build(mask)(x).argmax(1) != y
        assert int(single.sum()) == int(row.sum())


def test_points_of_a_unit_front_are_smaller_networks(small):
    net, x, y = small
    front = EvolutionaryPruner(net, x[:2], objectives=("error", "params", "macs"), **SHORT).fit(
        accuracy_on(x[:200], y[:200])
    )
    dense = sum(p.numel() for p in net.parameters())
    for i in front.front()[:6]:
        picked = front.pick((x[200:], y[200:]), index=int(i))
        assert picked.surgery.verification.error <= 1e-9
        assert sum(p.numel() for p in picked.model.parameters()) == round(picked.costs["params"] * dense)
        with torch.no_grad():
            error = float((picked.model(x[200:]).argmax(1) != y[200:]).double().mean())
        assert picked.held_out.value == pytest.approx(error)
        assert picked.held_out.low <= error <= picked.held_out.high
    assert nondominated(front.F).all()
    table = front.evaluate(x[200:], y[200:])
    assert len(table.rows) == len(front)
    assert set(front.sensitivity().column("layer")) == {"0", "2"}


def test_a_front_on_disk(small, tmp_path):
    net, x, y = small
    search = EvolutionaryPruner(net, x[:2], granularity="weight", **SHORT)
    front = search.fit(accuracy_on(x, y))
    back = ParetoResult.load(front.save(tmp_path / "front.pt"), search.space)
    assert np.array_equal(back.masks, front.masks)
    assert np.array_equal(back.F, front.F)
    assert back.knee() == front.knee()
    with pytest.raises(InputError, match="bits"):
        ParetoResult.load(tmp_path / "front.pt", UnitSpace.of(net, x[:2]))


@pytest.mark.slow
def test_racing_costs_less_and_finds_as_good_a_front():
    data = load_data("mnist")
    x = nn.functional.avg_pool2d(data.train.inputs(), 4).flatten(1)
    torch.manual_seed(0)
    net = mlp(49, 10, (24,)).eval()
    fit(net, (x[:1000], data.train.y[:1000]), epochs=20, batch_size=64, optimizer=adamw(3e-3))
    options = {"phase1": {"pop": 20, "gen": 8}, "phase2": {"pop": 20, "gen": 8}}
    evaluate = accuracy_on(x[1000:], data.train.y[1000:])
    plain = EvolutionaryPruner(net, x[:2], **options).fit(evaluate)
    raced = EvolutionaryPruner(net, x[:2], **options).fit(evaluate, racing=True)
    assert raced.evaluations < 0.7 * plain.evaluations
    assert raced.hypervolume() > plain.hypervolume() - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_network(seed):
    """Importance by gradients finds the 58.65 % of the weights that matter; magnitude is misled."""
    net, x, y = planted(seed)
    space = WeightSpace.of(net)
    needed = np.ones(space.size, bool)
    needed[: 19 * 20] = False  # rows of dead units, the columns that read them, and the same one layer on
    second = needed[1280 : 1280 + 32 * 64].reshape(32, 64)
    second[:, :19] = False
    second[:9] = False
    third = needed[1280 + 2048 :].reshape(4, 32)
    third[:, :9] = False
    assert (space.size, int(needed.sum())) == (3456, 2027)
    evaluate = accuracy_on(x, y)
    assert evaluate.wrong(space, needed[None]).mean() == 0.0
    data = [(x[:500], y[:500])]

    class Sharp(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return 5 * self.inner(x)

    sharp = Sharp(net).eval()
    good = EvolutionaryPruner(sharp, x[:2], granularity="weight", importance="taylor", data=data).fit(evaluate)
    least = good.F[good.F[:, 0] <= 0.005, 1].min()
    assert least <= 0.59
    misled = EvolutionaryPruner(sharp, x[:2], granularity="weight", phase2={"gen": 0}).fit(evaluate)
    assert misled.F[misled.F[:, 0] <= 0.005, 1].min() > 0.75


def test_user_objectives_and_bad_input(small):
    net, x, y = small

    def score(model):
        with torch.no_grad():
            out = model(x)
        return float((out.argmax(1) != y).double().mean()), float(out.abs().mean())

    front = EvolutionaryPruner(net, x[:2], objectives=("error", "macs", "size of logits"), **SHORT).fit(score)
    assert front.F.shape[1] == 3
    search = EvolutionaryPruner(net, x[:2], **SHORT)
    with pytest.raises(InputError, match="two populations"):
        search.fit(accuracy_on(x, y), budget=5)
    with pytest.raises(InputError, match="in the test set too"):
        search.fit(accuracy_on(x, y), test=(x[:3], y[:3]))
    with pytest.raises(SearchError, match="20 %"):
        EvolutionaryPruner(net, x[:2], phase1={"pop": 60}).fit(lambda model: float("nan"))
    with pytest.raises(InputError, match="nothing that can be pruned"):
        EvolutionaryPruner(nn.ReLU(), x[:2], granularity="weight")
    broken = mlp(8, 3, (16,))
    with torch.no_grad():
        broken[2].weight[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"2\.weight"):
        EvolutionaryPruner(broken, x[:2], granularity="weight")
    with pytest.raises(InputError, match="error"):
        EvolutionaryPruner(net, x[:2], objectives=("params",))


def test_blocks_go_together(small):
    net, x, y = small
    search = EvolutionaryPruner(net, x[:2], granularity="block", **SHORT)
    space = search.space
    assert space.size == 16 * 8 // 4 + 12 * 16 // 4 + 3 * 12 // 4
    front = search.fit(accuracy_on(x, y))
    sparse = space.build(front.masks[len(front) // 2])
    for name, p in sparse.named_parameters():
        if name in space.parameters:
            zeros = (p.detach().reshape(-1, 4) == 0).sum(1)
            assert set(zeros.unique().tolist()) <= {0, 4}
    kept = sum(int((p != 0).sum()) for n, p in sparse.named_parameters() if n in space.parameters)
    assert kept / space.weights.sum() == pytest.approx(front.F[len(front) // 2, 1])


def test_decomposition_engine(small):
    net, x, y = small
    with pytest.raises(InputError, match="two for engine='moead'"):
        EvolutionaryPruner(net, x[:2], objectives=("error", "macs", "params"), engine="moead")
    front = EvolutionaryPruner(net, x[:2], granularity="weight", engine="moead", **SHORT).fit(accuracy_on(x, y))
    plain = EvolutionaryPruner(net, x[:2], granularity="weight", **SHORT).fit(accuracy_on(x, y))
    assert front.hypervolume() > plain.hypervolume() - 0.05


@pytest.mark.parametrize("granularity", ["unit", "weight"])
def test_importance_is_of_the_loss_that_was_given(granularity):
    """Sums of |w dL/dw|, by autograd, of a loss that isn't the cross-entropy."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    x, y = torch.randn(20, 4), torch.randn(20, 1)
    options = {"importance": "taylor", "data": [(x, y)], "loss": nn.functional.mse_loss}
    found = EvolutionaryPruner(model, x[:2], granularity=granularity, **options).space.score
    gradients = torch.autograd.grad(nn.functional.mse_loss(model(x), y), list(model.parameters()))
    w1, _, w2, _ = ((p * g).detach().abs().double() for p, g in zip(model.parameters(), gradients))
    expected = w1.sum(1) if granularity == "unit" else torch.cat([w1.flatten(), w2.flatten()])
    assert found == pytest.approx(expected.numpy(), rel=1e-5)


@pytest.mark.parametrize("granularity", ["unit", "weight"])
def test_a_loss_that_nothing_looks_at_is_refused(granularity):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    with pytest.raises(InputError, match="loss"):
        EvolutionaryPruner(model, torch.randn(2, 4), granularity=granularity, loss=nn.functional.mse_loss)


def small_resnet():
    """A network with batch norms, a cut of which breaks their statistics."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(8, 24),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Linear(24, 12),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.Linear(12, 3),
    )
    x = torch.randn(600, 8, generator=torch.Generator().manual_seed(0))
    y = (x[:, :3] + x[:, 3:6]).argmax(1)
    fit(net, (x[:300], y[:300]), epochs=15, batch_size=32, optimizer=adamw(1e-2))
    return net.eval(), x, y


@pytest.fixture(scope="module")
def normed():
    return small_resnet()


@pytest.mark.parametrize("racing", [False, True])
@pytest.mark.parametrize("granularity", ["unit", "weight"])
def test_candidates_are_judged_with_what_they_get(normed, granularity, racing):
    """The front's errors are those of networks that were cut, recalibrated and trained by hand; so is what is picked."""
    net, x, y = normed
    before = copy.deepcopy(net.state_dict())
    preparation = Preparation(x[:300], y[:300], statistics=100, steps=3, batch_size=16)
    search = EvolutionaryPruner(net, x[:2], granularity=granularity, phase1={"pop": 8, "gen": 1}, phase2={"gen": 0})
    evaluate = accuracy_on(x[300:450], y[300:450])
    front = search.fit(evaluate, racing=racing, preparation=preparation)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())  # left as found
    for i in (0, len(front) - 1):
        model = search.space.build(front.masks[i])
        zeros = {k: v == 0 for k, v in model.named_parameters() if v.ndim > 1}
        recalibrate(model, x[:100].tensor_split(1))
        untrained = copy.deepcopy(model.state_dict())
        preparation.train(model, sparse=granularity == "weight")
        assert any(not torch.equal(v, untrained[k]) for k, v in model.state_dict().items())
        with torch.no_grad():
            error = float((model(x[300:450]).argmax(1) != y[300:450]).double().mean())
        assert front.F[i, 0] == pytest.approx(error)
        picked = front.pick((x[450:], y[450:]), index=i)
        assert all(torch.equal(v, model.state_dict()[k]) for k, v in picked.model.state_dict().items())
        with torch.no_grad():
            held_out = float((picked.model(x[450:]).argmax(1) != y[450:]).double().mean())
        assert picked.held_out.value == pytest.approx(held_out)
        if granularity == "weight":
            assert all(bool((p[zeros[k]] == 0).all()) for k, p in picked.model.named_parameters() if k in zeros)
    whole = (100 + 3 * 3 * 16 + 100 + 150) / 150  # statistics, steps, statistics again, the validation set
    if not racing:
        assert front.evaluations == pytest.approx(whole * len(search.state.seen))


def test_statistics_taken_anew_mend_what_a_cut_broke(normed):
    """At half of the parameters or fewer the best candidate errs less with them than without."""
    net, x, y = normed
    best = []
    for preparation in (None, Preparation(x[:300], statistics=200)):
        search = EvolutionaryPruner(net, x[:2], phase1={"pop": 24, "gen": 4}, phase2={"gen": 0})
        front = search.fit(accuracy_on(x[300:], y[300:]), preparation=preparation)
        best.append(front.F[front.F[:, 1] <= 0.5, 0].min())
    assert best[1] < best[0]


def test_a_front_of_prepared_networks_is_read_with_their_preparation(normed, tmp_path):
    net, x, y = normed
    search = EvolutionaryPruner(net, x[:2], phase1={"pop": 4, "gen": 1}, phase2={"gen": 0})
    preparation = Preparation(x[:300], statistics=64)
    front = search.fit(accuracy_on(x[300:], y[300:]), preparation=preparation, checkpoint=tmp_path / "search.pt")
    path = front.save(tmp_path / "front.pt")
    again = ParetoResult.load(path, search.space, Preparation(x[:300], statistics=64))
    assert np.array_equal(again.F, front.F)
    for other in (None, Preparation(x[:300], statistics=65)):
        with pytest.raises(InputError, match="preparation"):
            ParetoResult.load(path, search.space, other)
        fresh = EvolutionaryPruner(net, x[:2], phase1={"pop": 4, "gen": 1}, phase2={"gen": 0})
        with pytest.raises(OtherWorkError, match="preparation"):
            fresh.fit(accuracy_on(x[300:], y[300:]), preparation=other, checkpoint=tmp_path / "search.pt")
