"""Bad input to what the room of risk asks of mistakes: costs, groups, and the order in which cases are kept."""

import math

import pytest
import torch
from refusals import Bad, over

from deepwright.risk import expected_cost, group_gap_pvalue, selective_curve

P = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]])
Y = torch.tensor([0, 1, 1])
XI = torch.tensor([-0.5, 0.25, -1.0])

ROWS = [
    Bad("cost at labels out of range", lambda _: expected_cost(P, Y + 1), ("1..2", "0..1")),
    Bad("cost at a label below 0", lambda _: expected_cost(P, Y - 1), ("-1..0", "0..1")),
    Bad("cost at too few labels", lambda _: expected_cost(P, Y[:2]), ("2", "3")),
    Bad("cost of NaN", lambda _: expected_cost(P * math.nan, Y), ("probabilities", "nan")),
    Bad("cost of logits", lambda _: expected_cost(P * 3, Y), ("probabilities", "softmax")),
    Bad("cost of no sample", lambda _: expected_cost(P[:0], Y[:0]), ("probabilities", "(0, 2)")),
    Bad("cost of one class", lambda _: expected_cost(P[:, :1], Y), ("probabilities", "(3, 1)")),
    Bad("costs that are NaN", lambda _: expected_cost(P, Y, torch.eye(2) * math.nan), ("cost_matrix", "NaN")),
    Bad("a price that is NaN", lambda _: expected_cost(P, Y, reject_cost=math.nan), ("reject_cost", "nan")),
    Bad("confidence that is NaN", lambda _: selective_curve(XI, XI * math.nan), ("confidence", "NaN")),
    Bad("groups that are NaN", lambda _: group_gap_pvalue(XI, XI * math.nan), ("groups", "NaN")),
    Bad("groups that are fractions", lambda _: group_gap_pvalue(XI, XI), ("groups", "fractions")),
    Bad("groups of nobody", lambda _: group_gap_pvalue(XI[:0], Y[:0]), ("xi", "(0,)")),
    Bad("a gap between scores that are NaN", lambda _: group_gap_pvalue(XI * math.nan, Y), ("xi", "NaN")),
]


test_it_is_refused = over(ROWS)


def test_labels_in_a_column_cost_what_they_cost_in_a_row():
    costs = torch.tensor([[0.0, 1.0], [5.0, 0.0]])
    assert expected_cost(P, Y[:, None], costs) == expected_cost(P, Y, costs) == pytest.approx((1 / 3, 0.0))
