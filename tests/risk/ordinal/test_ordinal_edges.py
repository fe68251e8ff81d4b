"""What stands where positions don't count, half precision, and numbers that aren't probabilities."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.risk import AllowedContactRate, ClassOrder, InvalidContactRate, decode, repair_labels, require_order
from deepwright.risk.ordinal import ordinal_inconsistency


def test_contacts_are_counted_beside_a_label_that_is_ignored():
    y = torch.tensor([[[0, 1, 255], [0, 2, 2]]])
    rate = InvalidContactRate(ClassOrder.chain(3))
    rate.update(y, y != 255)
    assert float(rate.compute()) == pytest.approx(1 / 3)  # of 0|1 and 0|2 across, 1|2 down
    assert rate.seen.tolist() == [2, 1, 2]
    with pytest.raises(InputError, match="one shape for both"):
        rate.update(y.clamp_max(2), (y != 255)[0])
    with pytest.raises(InputError, match="one shape for both"):
        require_order(y.clamp_max(2), ClassOrder.chain(3), (y != 255)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_decodes_as_its_own_numbers_do_in_float(dtype):
    many = (torch.randn(1, 200, 16, 16, generator=torch.Generator().manual_seed(0)) * 3).softmax(1).to(dtype)
    levels = many.float().cumsum(1)
    assert torch.equal(decode(many, ClassOrder.chain(200), "median"), (levels < 0.5).sum(1))
    mean = (many.float() * torch.arange(200.0).reshape(1, -1, 1, 1)).sum(1)
    assert float((decode(many, ClassOrder.chain(200), "mean") - mean).abs().max()) < 0.501


def test_a_repair_in_half_precision_takes_the_likelier_map():
    p = torch.nn.functional.one_hot(torch.tensor([[0, 3, 3]]), 4).movedim(-1, 1).float()
    assert repair_labels(p, ClassOrder.chain(4), "path").tolist() == [[2, 3, 3]]  # one position, not two
    assert repair_labels(p.half(), ClassOrder.chain(4), "path").tolist() == [[2, 3, 3]]


def test_an_inconsistency_of_logits_is_refused():
    order = ClassOrder.chain(4)
    assert ordinal_inconsistency(torch.full((1, 4, 3, 3), 0.25), order).shape == (1, 3, 3)
    for p in (torch.randn(1, 4, 3, 3) * 5, torch.full((1, 4, 3, 3), torch.nan)):
        with pytest.raises(InputError, match="probabilities"):
            ordinal_inconsistency(p, order)


def test_lambda_stays_a_number_where_the_loss_is_cast_to_half():
    order = ClassOrder.chain(4)
    z = torch.randn(4, 4, 128, 128, generator=torch.Generator().manual_seed(0))
    plain, half = AllowedContactRate(order, 0.002), AllowedContactRate(order, 0.002).half()
    for weight in (plain, half):
        weight(z, z.argmax(1))
    assert half.value.dtype == torch.float64
    assert torch.equal(half.value, plain.value)
