"""Gradients of tables: closed forms for one input, a loop over all entries for more, the softmax of a hard choice."""

import itertools

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.weightless.differentiable.gradients import HardChoice, TableLookup, difference_weights, straight_step


def drawn(*shape, seed=0):
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def looped(table, address, decay):
    """dA/da_j of one table at one address, entry by entry."""
    n = len(address)
    result = [0.0] * n
    for j in range(n):
        for k in itertools.product((0, 1), repeat=n):
            h = sum(k[i] != address[i] for i in range(n) if i != j)
            weight = 1 / (h + 1) if decay == "linear" else 0.5 * 0.75 ** (n - 1) * (1 / 3) ** h
            entry = table[int("".join(map(str, k)), 2)].item()
            result[j] += (-1) ** (1 - k[j]) * weight * entry
    return result


@pytest.mark.parametrize(("decay", "factor"), [("exponential", 0.5), ("linear", 1.0)])
def test_one_input_is_the_difference_of_both_entries(decay, factor):
    tables, bits = drawn(5, 2), torch.tensor([[0.0], [1.0]], dtype=torch.float64).expand(2, 5)[:, :, None]
    bits = bits.clone().requires_grad_()
    TableLookup.apply(bits, tables, difference_weights(1, decay)).sum().backward()
    expected = factor * (tables[:, 1] - tables[:, 0])
    assert torch.allclose(bits.grad, expected[None, :, None].expand(2, 5, 1))


@pytest.mark.parametrize("decay", ["exponential", "linear"])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_differences_are_those_of_a_loop(n, decay):
    tables, bits = drawn(3, 1 << n), (drawn(4, 3, n, seed=1) > 0).double().requires_grad_()
    upstream = drawn(4, 3, seed=2)
    TableLookup.apply(bits, tables, difference_weights(n, decay)).backward(upstream)
    for i, j in itertools.product(range(4), range(3)):
        expected = looped(tables[j], [int(b) for b in bits[i, j]], decay)
        assert bits.grad[i, j].tolist() == pytest.approx([upstream[i, j].item() * e for e in expected])


def test_exponential_weights_of_a_bit_sum_to_one_half():
    for n in range(1, 7):
        weights = difference_weights(n)
        assert torch.allclose(weights.clamp(min=0).sum(dim=1), torch.tensor(0.5).double())
        assert (
            torch.equal(weights.sum(dim=1), torch.zeros(1 << n, n).double()) or weights.sum(dim=1).abs().max() < 1e-12
        )


def test_entries_get_the_gradient_of_samples_that_read_them():
    tables = drawn(2, 4).requires_grad_()
    bits = torch.tensor([[[0, 1], [1, 1]], [[0, 1], [1, 0]]], dtype=torch.float64)
    out = TableLookup.apply(bits, tables, difference_weights(2))
    assert torch.equal(out, (torch.stack([tables[0, [1, 1]], tables[1, [3, 2]]], dim=1) >= 0).double())
    out.backward(torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64))
    assert tables.grad.tolist() == [[0, 4, 0, 0], [0, 0, 4, 2]]


def test_a_hard_choice_has_the_gradient_of_its_softmax():
    x, logits, upstream = drawn(6, 5), drawn(5, 3, seed=1).requires_grad_(), drawn(6, 3, seed=2)
    inputs = x.clone().requires_grad_()
    out = HardChoice.apply(inputs, logits, 0.7)
    assert torch.equal(out, x[:, logits.argmax(dim=0)])
    out.backward(upstream)
    twin = logits.detach().clone().requires_grad_()
    (x @ torch.softmax(twin / 0.7, dim=0)).backward(upstream)
    assert torch.allclose(logits.grad, twin.grad)
    hard = torch.nn.functional.one_hot(logits.argmax(dim=0), 5).double()
    assert torch.allclose(inputs.grad, upstream @ hard)


def test_a_step_is_straight_through():
    x = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    out = straight_step(x)
    out.sum().backward()
    assert out.tolist() == [0, 1, 1]
    assert x.grad.tolist() == [1, 1, 1]


def test_bad_differences_are_refused():
    with pytest.raises(InputError, match="n_inputs"):
        difference_weights(7)
    with pytest.raises(InputError, match="decay"):
        difference_weights(3, "x")
