"""The multiplier that finds a term's weight: its steps by hand, its bound, and a rate that is kept."""

import math
from collections import deque

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.risk import AllowedContactRate, ClassOrder, ContactNeighborLoss, OrdinalSegmentationLoss

ORDER = ClassOrder.chain(3)


def maps(*rows):
    """Logits of label maps of one line."""
    labels = torch.tensor(rows)
    return torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float() * 9, labels


def test_its_steps_are_those_of_the_rule():
    z, y = maps([0, 2, 1, 0])  # of three contacts one is forbidden
    weight = AllowedContactRate(ORDER, 1 / 9, start=2.0, step=0.1)
    assert float(weight(z, y)) == pytest.approx(2 * math.exp(0.1 * (3 - 1) / (3 + 1)))
    assert float(weight.rate) == pytest.approx(1 / 3)
    still, _ = maps([0, 1, 1, 0])
    before = float(weight.value)
    rate = 0.9 / (0.9 * 3 + 2)
    want = before * math.exp(0.1 * (rate - 1 / 9) / (rate + 1 / 9))
    assert float(weight(still, y)) == pytest.approx(want)
    assert float(weight.eval()(z, y)) == pytest.approx(want)  # it moves in training only


def test_no_contact_moves_nothing_and_what_does_not_count_does_not():
    z, y = maps([0, 0, 0, 0])
    weight = AllowedContactRate(ORDER, 0.1)
    assert float(weight(z, y)) == 1
    z, y = maps([0, 2, 2, 1])
    y[0, 0] = 255
    weight(z, y, 255)
    assert weight.counts.tolist() == [0, 1]


def test_standing_at_its_bound_is_warned_of():
    z, y = maps([0, 2, 0, 2])
    loss = OrdinalSegmentationLoss(
        terms={"contact": (ContactNeighborLoss(ORDER), AllowedContactRate(ORDER, 0.01, step=1.0, largest=3.0))}
    )
    for _ in range(49):
        loss(z, y)
    with pytest.warns(UserWarning, match=r"bound of 3 for .* isn't reached"):
        deque((loss(z, y) for _ in range(60)), 0)


@pytest.mark.parametrize("base", ["ce", torch.nn.CrossEntropyLoss(ignore_index=255)])
def test_it_grows_until_the_maps_have_no_more_than_is_allowed(base):
    y = (torch.arange(12) // 4).repeat(1, 12, 1)
    y[..., 4:6] = 2  # beside class 0: a third of the contacts
    y[0, 0] = 255
    lowest = {}
    for allowed in (0.02, None):
        z = torch.zeros(1, 3, 12, 12, requires_grad=True)
        weight = 0.0 if allowed is None else AllowedContactRate(ORDER, allowed, step=0.2)
        ignore = None if isinstance(base, torch.nn.Module) else 255
        term = ContactNeighborLoss(ORDER, ignore_index=255)
        loss = OrdinalSegmentationLoss(base, {"contact": (term, weight)}, ignore_index=ignore, warmup=0)
        adam = torch.optim.Adam([z], 0.1)
        rates = []
        for _ in range(80):
            adam.zero_grad()
            loss(z, y).backward()
            adam.step()
            told = AllowedContactRate(ORDER, 0.5)
            told(z.detach(), y, 255)
            rates.append(float(told.rate.nan_to_num(1.0)))
        lowest[allowed] = min(rates[5:])
    assert lowest[0.02] <= 0.02 < 0.1 < lowest[None]


def test_it_is_stored_with_the_loss_and_bad_input_is_named():
    loss = OrdinalSegmentationLoss(terms={"contact": (ContactNeighborLoss(ORDER), AllowedContactRate(ORDER, 0.1))})
    z, y = maps([0, 2, 0, 2])
    loss(z, y)
    other = OrdinalSegmentationLoss(terms={"contact": (ContactNeighborLoss(ORDER), AllowedContactRate(ORDER, 0.1))})
    other.load_state_dict(loss.state_dict())
    assert float(other.found["contact"].value) == float(loss.found["contact"].value) > 1
    with pytest.raises(InputError, match="allowed"):
        AllowedContactRate(ORDER, 0.0)
    with pytest.raises(InputError, match="start"):
        AllowedContactRate(ORDER, 0.1, start=5.0, largest=2.0)
    with pytest.raises(InputError, match="columns"):
        AllowedContactRate(ORDER, 0.1)(torch.zeros(1, 4, 3), torch.zeros(1, 3, dtype=torch.long))
