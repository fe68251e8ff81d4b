"""Resumption bit for bit, equal numbers for any worker count, intervals against references, JSON round trips."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import jsonable, load_state, save_state, write_json
from deepwright.core.fit import Selection, adamw, fit, one_cycle, sgd
from deepwright.core.inference import evaluating, fast_layout, frozen, logits_of, require_labels
from deepwright.core.journal import Journal
from deepwright.core.randomness import Streams, derive_seed, generator, local_rng, restored_rng
from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.resume import stored
from deepwright.core.statistics import (
    benjamini_hochberg,
    bootstrap,
    clopper_pearson,
    conformal_pvalues,
    drift_pvalue,
    holm,
    mcnemar,
    mean_interval,
    paired_permutation,
    wilson,
)
from deepwright.core.trials import run
from deepwright.report.study import markdown

FIT = """
import sys, torch
from torch import nn
from deepwright.core.fit import Selection, fit, sgd, one_cycle
torch.manual_seed(0); torch.set_num_threads(1)
model = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 3))
x = torch.randn(600, 20, generator=torch.Generator().manual_seed(1)); y = x[:, :3].argmax(1)
def validate(m):
    print("epoch", flush=True)
    return {"accuracy": float((m(x).argmax(1) == y).double().mean())}
jitter = lambda b, g: b + 0.1 * torch.randn(b.shape, generator=g)
result = fit(model, (x, y), epochs=int(sys.argv[2]), batch_size=20, optimizer=sgd(0.05), scheduler=one_cycle(0.05),
             augment=jitter, selection=Selection(validate, "accuracy"), checkpoint=sys.argv[1] or None, every=7, seed=3)
torch.save({"model": model.state_dict(), "history": [h["loss"] for h in result.history]}, sys.argv[3])
print("resumed", result.resumed_at)
"""


@pytest.mark.slow  # of a fresh interpreter; the resume contract kills forks in the fast suite
def test_killed_fit_resumes_bit_for_bit(tmp_path):
    whole, resumed = tmp_path / "whole.pt", tmp_path / "resumed.pt"
    run_it = [sys.executable, "-c", FIT]
    subprocess.run([*run_it, "", "12", str(whole)], check=True, capture_output=True)
    checkpoint = tmp_path / "checkpoint.pt"
    process = subprocess.Popen([*run_it, str(checkpoint), "12", str(resumed)], stdout=subprocess.PIPE, text=True)
    for _ in range(4):
        process.stdout.readline()
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not resumed.exists()
    done = subprocess.run([*run_it, str(checkpoint), "12", str(resumed)], check=True, capture_output=True, text=True)
    assert "resumed None" not in done.stdout
    a, b = load_state(whole), load_state(resumed)
    assert a["history"] == b["history"]
    assert all(torch.equal(a["model"][k], b["model"][k]) for k in a["model"])


@pytest.mark.slow  # of a fresh interpreter; the resume contract kills forks in the fast suite
def test_interrupted_fit_saves_first(tmp_path):
    resumed, checkpoint = tmp_path / "r.pt", tmp_path / "c.pt"
    command = [sys.executable, "-c", FIT, str(checkpoint), "2000", str(resumed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in error
    header, state = stored(checkpoint)
    assert state["step"] >= 60
    assert not header["finished"]


def draw(seed, size):
    rng = generator(seed)
    weights = torch.randn(size, size, generator=rng)
    return {"sum": float((weights @ weights).sum()), "values": torch.rand(3, generator=rng)}


TRIALS = """
import sys, time
from deepwright.core.trials import run
sys.path.insert(0, sys.argv[2])
from slow_trial import trial
print([r["value"] for r in run(trial, [{"seed": i} for i in range(8)], store=sys.argv[1], jobs=int(sys.argv[3]))])
"""
SLOW_TRIAL = """
import time, torch
def trial(seed):
    time.sleep(0.3)
    return {"value": float(torch.rand(1, generator=torch.Generator().manual_seed(seed)))}
"""


@pytest.mark.slow  # of a fresh interpreter; the resume contract kills forks in the fast suite
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_trials_resume(tmp_path, jobs):
    (tmp_path / "slow_trial.py").write_text(SLOW_TRIAL)
    command = [sys.executable, "-c", TRIALS, str(tmp_path / "store"), str(tmp_path), str(jobs)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, start_new_session=True)
    deadline = time.time() + 60
    while len(list((tmp_path / "store").glob("*.pt"))) < 2 and time.time() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list((tmp_path / "store").glob("*.pt")))
    assert 2 <= kept < 8
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    expected = [float(torch.rand(1, generator=torch.Generator().manual_seed(i))) for i in range(8)]
    assert done.stdout.strip() == str(expected)


@pytest.mark.slow  # three pools of processes
def test_trials_are_equal_for_any_worker_count():
    trials = [{"seed": i, "size": 50} for i in range(6)]
    one, two = run(draw, trials, jobs=1), run(draw, trials, jobs=2)
    assert [r["sum"] for r in one] == [r["sum"] for r in two]
    assert all(torch.equal(a["values"], b["values"]) for a, b in zip(one, two))


def test_repeated_trials_cost_nothing(tmp_path):
    run(draw, [{"seed": 0, "size": 4}], store=tmp_path)
    before = next(tmp_path.glob("*.pt")).stat().st_mtime_ns
    run(draw, [{"seed": 0, "size": 4}], store=tmp_path)
    assert next(tmp_path.glob("*.pt")).stat().st_mtime_ns == before
    run(draw, [{"seed": 0, "size": 5}], store=tmp_path)
    assert len(list(tmp_path.glob("*.pt"))) == 2
    with pytest.raises(InputError, match="argument"):
        run(draw, [{"seed": object(), "size": 1}], store=tmp_path)
    with pytest.raises(InputError, match="backend"):
        run(draw, [{"seed": 1, "size": 1}], backend="nonsense")


def test_fit_learns_and_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    x = torch.randn(300, 5, generator=generator(0))
    y = (x[:, 0] > 0).long()
    model = nn.Linear(5, 2)
    torch.manual_seed(7)
    result = fit(model, (x, y), epochs=20, batch_size=32, optimizer=adamw(0.02), scheduler=one_cycle(0.02))
    assert torch.equal(torch.rand(1), expected)
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    dataset = torch.utils.data.TensorDataset(x, y)
    again = nn.Linear(5, 2)
    with local_rng(0):
        again.reset_parameters()
    other = nn.Linear(5, 2)
    other.load_state_dict(again.state_dict())
    fit(again, (x, y), epochs=2, seed=1)
    fit(other, dataset, epochs=2, seed=1)
    assert torch.equal(again.weight, other.weight)


def test_global_generators_are_put_back_after_failures_too():
    def drawn():
        return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002 - the global ones are meant

    with pytest.raises(KeyError), restored_rng():
        found = drawn()
        raise KeyError
    assert drawn() == found


@pytest.mark.parametrize("samples", [1, 3, 4, 5, 9, 40])
def test_one_cycle_fits_any_number_of_steps(samples):
    x, y = torch.randn(samples, 4, generator=generator(0)), torch.zeros(samples).long()
    assert fit(nn.Linear(4, 2), (x, y), epochs=1, batch_size=1, scheduler=one_cycle(0.01)).steps == samples


def test_best_weights_and_early_stop():
    x, y = torch.randn(64, 4, generator=generator(0)), torch.zeros(64).long()
    model = nn.Linear(4, 2)
    values = iter([0.5, 0.9, 0.1, 0.1, 0.1, 0.1])
    kept = []

    def validate(net):
        kept.append(net.weight.detach().clone())
        return {"score": next(values)}

    result = fit(model, (x, y), epochs=6, optimizer=sgd(0.1), selection=Selection(validate, "score", patience=2))
    assert (result.best_epoch, len(result.history)) == (1, 4)
    assert torch.equal(model.weight, kept[1])


def test_fit_refuses(tmp_path):
    x, y = torch.randn(8, 2), torch.zeros(8).long()
    with pytest.raises(InputError, match="0 samples"):
        fit(nn.Linear(2, 2), (x[:0], y[:0]))
    with pytest.raises(InputError, match="inputs and"):
        fit(nn.Linear(2, 2), (x, y[:3]))
    with pytest.raises(InputError, match="finite"):
        fit(nn.Linear(2, 2), (x * math.nan, y))
    fit(nn.Linear(2, 2), (x, y), epochs=1, checkpoint=tmp_path / "c.pt")
    with pytest.raises(InputError, match="another fit"):
        fit(nn.Linear(2, 2), (x, y), epochs=3, checkpoint=tmp_path / "c.pt")
    (tmp_path / "broken.pt").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot read"):
        fit(nn.Linear(2, 2), (x, y), checkpoint=tmp_path / "broken.pt")


def test_intervals():
    w = wilson(8, 10)
    reference = stats.binomtest(8, 10).proportion_ci(method="wilson")
    assert (w.low, w.high) == pytest.approx((reference.low, reference.high))
    e = clopper_pearson(8, 10)
    exact = stats.binomtest(8, 10).proportion_ci(method="exact")
    assert (e.low, e.high) == pytest.approx((exact.low, exact.high))
    assert wilson(0, 5).low == 0.0
    t = mean_interval([1.0, 2.0, 4.0])
    expected = stats.t.interval(0.95, 2, loc=np.mean([1, 2, 4]), scale=stats.sem([1, 2, 4]))
    assert (t.low, t.high) == pytest.approx(expected)
    values = torch.randn(400, generator=generator(0), dtype=torch.float64)
    b = bootstrap(values)
    half = 1.96 * float(values.std()) / 20
    assert b.high - b.low == pytest.approx(2 * half, rel=0.15)
    with pytest.raises(InputError):
        wilson(3, 2)


def test_hypothesis_tests():
    a, b = [1.0, 2, 3, 4, 5, 6], [0.5, 1.2, 2.9, 3.1, 4.4, 5.0]
    expected = stats.permutation_test(
        (a, b), lambda x, y: np.mean(np.array(x) - y), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert paired_permutation(a, b) == pytest.approx(expected)
    right = torch.tensor([1, 1, 1, 0, 0, 1, 1, 1], dtype=torch.bool)
    assert mcnemar(right, right) == 1.0
    assert mcnemar(right, ~right) == pytest.approx(stats.binomtest(6, 8).pvalue)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert drift_pvalue(0, 10, 0.05) == 1.0
    p = conformal_pvalues(torch.arange(99.0), torch.tensor([98.5, -1.0, 50.0]))
    assert p.tolist() == pytest.approx([0.01, 1.0, 0.5])


def test_journal_survives_a_torn_line(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path, {"a": 1})
    journal.add("x", 1)
    with path.open("a") as stream:
        stream.write('{"name": "y", "va')
    again = Journal(path, {"a": 1})
    assert again.rows == {"x": 1}
    again.add("z", 3)
    assert Journal(path, {"a": 1}).rows == {"x": 1, "z": 3}
    with pytest.raises(InputError, match="another"):
        Journal(path, {"a": 2})


def test_results_round_trip(tmp_path):
    claim = Claim.at_least("better", [0.29, 0.3], 0.15)
    assert (claim.holds, claim.n) == (True, 2)
    assert not Claim.at_most("nan never holds", math.nan, 1.0).holds
    figure = Figure("line", "t", [{"name": "a", "x": [1], "y": [2]}], y_range=(0.0, 1.0))
    result = StudyResult("s", [claim], Table(["a", "b"], [[1, math.inf], ["x", None]]), [figure], settings={"n": 2})
    path = result.to_json(tmp_path / "r.json")
    back = StudyResult.from_json(path)
    assert back.to_dict() == result.to_dict()
    with pytest.raises(InputError, match="cells"):
        Table(["a"], [[1, 2]])
    with pytest.raises(InputError, match="kind"):
        Figure("pie", "t", [])


def test_plain_data():
    assert jsonable({"a": torch.tensor([1.0, math.inf]), 2: (np.float64(0.5),)}) == {"a": [1.0, "inf"], "2": [0.5]}


def test_atomic_write_refuses_read_only(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="--out"):
        write_json(tmp_path / "file" / "x.json", {})


def test_state_holds_no_code(tmp_path):
    import pickle

    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(print))
    with pytest.raises(InputError, match="cannot read"):
        load_state(path)
    save_state(path, {"a": 1})
    assert load_state(path) == {"a": 1}


def test_randomness():
    assert derive_seed("a", 1) == derive_seed("a", 1) != derive_seed("a", 2)
    whole = Streams(5, 10, "n").normal(4)
    part = Streams(5, torch.tensor([7, 2]), "n").normal(4)
    assert torch.equal(part, whole[[7, 2]])
    assert not torch.equal(Streams(5, 10, "n", t=1).normal(4), whole)
    integers = Streams(0, 100, "i").integers(2, 5, 50)
    assert set(integers.unique().tolist()) == {2, 3, 4}


def test_contexts_put_everything_back():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    model[1].eval()
    model[0].bias.requires_grad_(False)
    with pytest.raises(RuntimeError), frozen(model):
        assert not model[0].weight.requires_grad
        assert not model[0].training
        raise RuntimeError
    assert model[0].training
    assert not model[1].training
    assert model[0].weight.requires_grad
    assert not model[0].bias.requires_grad
    with evaluating(model):
        pass
    assert model.training
    conv = nn.Conv2d(3, 4, 3)
    before = (conv.weight.data_ptr(), conv.weight.stride())
    x = torch.rand(2, 3, 8, 8)
    expected = conv(x)
    with fast_layout(conv):
        assert conv.weight.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(conv(x), expected, atol=1e-6)
    assert (conv.weight.data_ptr(), conv.weight.stride()) == before


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda x: (x, x), "tuple"),
        (lambda x: x[:, :1, None], "shape"),
        (lambda x: x * math.nan, "NaN"),
    ],
)
def test_odd_networks_are_refused(model, message):
    class Odd(nn.Module):
        def forward(self, x):
            return model(x)

    with pytest.raises(InputError, match=message):
        logits_of(Odd(), [torch.ones(2, 3)])


def test_messages_teach():
    error = unknown_name("network", "resnet9-mnist", ["resnet8-mnist", "other"])
    assert "did you mean 'resnet8-mnist'?" in str(error)
    with pytest.raises(InputError, match=r"0\.\.2.*count from 0"):
        require_labels(torch.tensor([1, 3]), 3)


def test_bars_stay_inside_table_cells():
    text = Table(["a|b", "c"], [["|phi|", 1.0]]).markdown()
    assert text.splitlines()[2] == r"| \|phi\| | 1 |"
    assert text.splitlines()[0] == r"| a\|b | c |"


def test_one_value_shows_no_spread():
    one = mean_interval([0.3])
    assert (one.value, one.low, one.high, one.known) == (0.3, -math.inf, math.inf, False)
    assert (f"{one:+.3f}", f"{mean_interval([1.0, 1.0]):.2f}") == ("+0.300 (interval not known)", "1.00 [1.00, 1.00]")


def test_an_end_over_one_seed_shows_nothing():
    """An end of an interval that isn't known is no number: neither side of any bar, and back from JSON the same."""
    one, two = mean_interval([0.3]), mean_interval([0.3, 0.31])
    claims = [
        Claim.at_least("low", one.low, 0.0),
        Claim.at_most("high", one.low, 0.0),
        Claim.at_most("holds 0", math.nan, 0.0),
        Claim.at_least("two seeds", two.low, 0.0),
        Claim.at_least("two seeds", two.low, 1.0),
    ]
    result = StudyResult("s", claims, Table(["a"], [[one.low]]))
    back = StudyResult.from_dict(json.loads(json.dumps(result.to_dict())))
    for found in (claims, back.claims):
        assert [c.holds for c in found] == [False, False, False, True, False]
        assert [c.verdict for c in found] == [*["one seed: not shown"] * 3, "holds", "fails"]
    assert markdown(result).count("| one seed: not shown |") == 3


def test_a_draw_is_never_0_where_0_is_the_lower_end():
    """One word of 2^24 was rounded to it, and a scene of radar ships whose speckle is its logarithm was NaN."""

    class Lowest(Streams):
        def bits(self, *shape):
            return torch.full((1, *shape), -(2**31), dtype=torch.int32)

    assert bool((Lowest(0, 1, "least").uniform(3) > 0).all())
    assert bool(Lowest(0, 1, "least").uniform(3, high=1e-3).log().isfinite().all())
    assert float(Lowest(0, 1, "least").uniform(1, low=-1)) >= -1
