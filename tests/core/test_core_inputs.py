"""Right answers to input that looks odd: arrays of any form, a threshold, draws whose counters would meet."""

import numpy as np
import pytest
import torch

from deepwright.core import randomness
from deepwright.core.errors import InputError
from deepwright.core.features import extract
from deepwright.core.fit import fit
from deepwright.core.inference import floats_within, logits_of
from deepwright.core.randomness import Streams, derive_seed
from deepwright.core.statistics import conformal_alarm_rate, most_conformal_alarms
from deepwright.core.tasks import Binary, Classification, Regression

PLAIN = np.array([[2.0, -1.0], [0.5, 3.0], [1.0, 1.5]], dtype=np.float32)
FORMS = {
    "reversed": PLAIN[::-1].copy()[::-1],
    "big-endian": PLAIN.astype(">f4"),
    "transposed": np.asfortranarray(PLAIN),
    "read-only": PLAIN.copy(),
}
FORMS["read-only"].flags.writeable = False


@pytest.mark.parametrize("array", FORMS.values(), ids=FORMS)
def test_outputs_and_targets_are_read_from_arrays_of_any_form(array):
    assert torch.equal(Classification(2).read(array), torch.from_numpy(PLAIN))
    assert torch.equal(Regression(2).check_targets(array), torch.from_numpy(PLAIN))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_the_argmax_of_binary_class_logits_is_the_prediction(threshold):
    task = Binary(threshold=threshold)
    out = task.read(torch.linspace(-4, 4, 81)[:, None])
    assert torch.equal(task.class_logits(out).argmax(1), task.prediction(out))


def test_no_two_draws_of_a_stream_share_a_counter(monkeypatch):
    """Offsets are made to collide: 1,000 numbers from 0 on, then from 500 on, then (again hashed) elsewhere."""
    offsets = {("draw", 0): 0, ("draw", 1): 500, ("draw", 1, 1): 2**32 - 10, ("draw", 1, 2): 5000}

    def chosen(*parts, seed=0):
        return offsets[parts] if parts in offsets else derive_seed(*parts, seed=seed)

    monkeypatch.setattr(randomness, "derive_seed", chosen)
    streams = Streams(0, 2, "noise")
    first, second = streams.bits(1000), streams.bits(1000)
    assert streams._taken == [(0, 1000), (5000, 1000)]
    assert not set(first[0].tolist()) & set(second[0, :400].tolist())


def test_draws_that_do_not_meet_keep_their_numbers():
    assert Streams(7, 3, "noise").bits(2).tolist() == [
        [48380565, 1824481026],
        [653185218, 1073885507],
        [-1083239452, -1380042649],
    ]


def test_a_fit_under_no_grad_trains_all_the_same():
    torch.manual_seed(0)
    model, x = torch.nn.Linear(2, 2), torch.randn(8, 2)
    before = model.weight.clone()
    with torch.no_grad():
        fit(model, (x, torch.arange(8) % 2), epochs=1, batch_size=8)
    assert not torch.equal(model.weight, before)


class Silent(torch.nn.Module):
    """Fails without a word."""

    def forward(self, x):
        raise RuntimeError


@pytest.mark.parametrize("run", [extract, logits_of])
def test_a_network_that_fails_without_a_word_is_told_by_the_kind_of_its_error(run):
    with pytest.raises(InputError, match=r"shape \(2, 3\): RuntimeError"):
        run(Silent(), [torch.zeros(2, 3)])


def test_an_empty_batch_lies_within_any_bounds():
    empty = torch.zeros(0, 3, 4, 4)
    assert floats_within(empty, (0.0, 1.0)) is empty


def test_an_alarm_at_nearly_every_rank_has_a_rate():
    rate = conformal_alarm_rate(10, 1 - 1e-12)
    assert 0 < rate.low < rate.value < 1
    assert most_conformal_alarms(10, 5, 1 - 1e-12) == 5
