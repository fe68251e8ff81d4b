"""`Rows` answer as the tensor of them would, and read only what is asked for."""

import numpy as np
import pytest
import torch

from deepwright import InputError
from deepwright.core.identity import digest
from deepwright.core.rows import MOMENT_ROWS, Rows, column_moments, pieces, read_ahead, require_finite_rows, value_range
from deepwright.data import Data, Split, ood_companions


class Watched(Rows):
    """The rows of a tensor, and which of them were read."""

    def __init__(self, x):
        super().__init__(x.shape, x.dtype)
        self.x, self.read = x, []

    def _read(self, rows):
        self.read += rows.tolist()
        return self.x[rows]


@pytest.fixture
def both():
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    return x, Watched(x)


@pytest.mark.parametrize(
    "rows",
    [
        slice(None),
        slice(3, 9),
        slice(15, 40),
        slice(0, 0),
        torch.tensor([5, 0, 19, 5]),
        torch.tensor([-1, 2]),
        torch.arange(20) % 3 == 0,
        torch.tensor([], dtype=torch.long),
    ],
)
def test_any_index_gives_what_a_tensor_gives(both, rows):
    x, streamed = both
    assert torch.equal(streamed[rows], x[rows])
    assert torch.equal(streamed.pick(rows)[:], x[rows])
    assert torch.equal(streamed.moved(torch.neg).pick(rows)[:], -x[rows])


def test_a_single_row_has_no_first_axis(both):
    x, streamed = both
    assert torch.equal(streamed[7], x[7])


def test_rows_that_are_not_there_are_refused(both):
    for rows in (torch.tensor([20]), torch.tensor([-21]), torch.ones(19, dtype=torch.bool)):
        with pytest.raises(IndexError):
            both[1][rows]


def test_picking_and_moving_read_nothing(both):
    x, streamed = both
    split = Split(streamed, torch.arange(20) % 4)
    kept = split.take(8, seed=1).where(torch.tensor([0, 3]))
    assert streamed.read == []
    assert torch.equal(kept.inputs(), Split(x, split.y).take(8, seed=1).where(torch.tensor([0, 3])).inputs())
    assert len(streamed.read) == 2


def test_batches_are_those_of_a_tensor_and_one_is_read_ahead(both):
    x, streamed = both
    y = torch.arange(20)
    for (a, b), (c, d) in zip(Split(x, y).batches(6), Split(streamed, y).batches(6), strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    streamed.read.clear()
    next(iter(Split(streamed, y).batches(6)))
    assert len(streamed.read) <= 12


def test_what_goes_wrong_while_reading_ahead_is_raised_at_its_turn():
    def read(key):
        if key == 2:
            raise InputError("row 2", given="broken")
        return key

    found = []
    with pytest.raises(InputError, match="row 2"):
        found.extend(iter_into(found, read_ahead(read, range(4))))
    assert found == [0, 1]


def iter_into(found, values):
    for value in values:
        found.append(value)
    return []


def test_identity_is_that_of_the_tensor(both):
    x, streamed = both
    y = torch.arange(20)
    assert digest(streamed) == digest(x)
    assert digest(Split(streamed.pick(slice(2, 9)), y[2:9])) == digest(Split(x[2:9], y[2:9]))
    other = x.clone()
    other[11, 1] += 1
    assert digest(Watched(other)) != digest(x)


def test_moments_of_a_long_table_are_the_same_streamed_and_near_those_of_numpy():
    x = torch.randn(2 * MOMENT_ROWS + 17, 2, generator=torch.Generator().manual_seed(1)) * 3 + torch.tensor([1e3, 0.0])
    mean, deviation = column_moments(x)
    for one, other in zip(column_moments(Watched(x)), (mean, deviation)):
        assert torch.equal(one, other)
    wide = x.numpy().astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(0), rtol=1e-6)
    np.testing.assert_allclose(deviation, wide.std(0, ddof=1), rtol=1e-6)


def test_ends_and_holes_are_found_piece_by_piece(both):
    x, streamed = both
    assert value_range(streamed) == value_range(x) == (float(x.min()), float(x.max()))
    x[13, 0], x[4, 2] = float("nan"), float("inf")
    for each in (x, streamed):
        with pytest.raises(InputError, match=r"\[4, 13\]"):
            require_finite_rows(each, "test inputs")
    assert [len(piece) for piece in pieces(streamed, 8)] == [8, 8, 4]


def test_companions_read_only_the_rows_that_they_need():
    x = torch.rand(300, 4, generator=torch.Generator().manual_seed(0))
    y = torch.arange(300) % 3
    streamed = Watched(x)

    def made(inputs):
        part, small = Split(inputs, y), Split(x[:30], y[:30])
        data = Data("rows", "tabular", tuple("abc"), small, small, part)
        return ood_companions(data, 10)

    found, expected = made(streamed), made(x)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert len(streamed.read) <= 40
