"""Estimates of hardware against numbers by hand."""

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.weightless import BinaryWNN
from deepwright.weightless.hardware import count_depth, table_cost, training


def test_block_ram_of_training_is_of_words_not_of_capacity():
    found = training(392, 8, 10)
    assert (found.parallel_blocks, found.capacity_blocks) == (784, 218)
    assert found.multiplexed == ((1, 784), (2, 392))
    assert found.latency == 2 + 15 + 4 + 2


def test_sharing_memories_never_goes_below_their_bits():
    for luts, inputs, classes in [(33, 6, 10), (100, 10, 3), (7, 4, 2)]:
        found = training(luts, inputs, classes)
        assert min(blocks for _, blocks in found.multiplexed) >= found.capacity_blocks


@pytest.mark.parametrize(
    ("inputs", "cost"), [(4, (1, 0, 1)), (6, (1, 0, 1)), (7, (2, 1, 1)), (8, (4, 3, 1)), (10, (17, 12, 2))]
)
def test_tables_beyond_six_bits_are_made_of_several(inputs, cost):
    assert table_cost(inputs) == cost


def test_constant_and_equal_tables_take_nothing():
    tables = np.zeros((4, 4, 3), dtype=int)
    tables[0, 1, :2] = 1  # twice the same
    tables[1, :, 2] = 1  # constant
    tables[2, 2, 1] = 1
    tables[3, 2, 1] = 1  # the same inputs as table 2
    mapping = np.array([[0, 1], [2, 3], [1, 2], [1, 2]])
    found = BinaryWNN(tables, mapping, 4, np.arange(3)).resources(pipeline=0)
    assert (found.tables, found.constant, found.duplicate) == (2, 8, 2)
    assert found.table_luts == 2
    assert found.count_luts == 0 + (3 - 2) + 0  # one, three and no bits that vary
    assert found.registers == 2 + 1


def test_parts_say_whether_it_fits_and_the_text_that_it_is_an_estimate():
    net = BinaryWNN(
        np.random.default_rng(0).integers(0, 2, (33, 64, 10)), np.arange(198).reshape(33, 6), 198, np.arange(10)
    )
    found = net.resources("xc7a35t", pipeline=2)
    assert found.fits is True
    assert found.latency == 3
    assert found.table_luts == 330
    assert found.count_luts == 10 * (33 - 2)
    assert abs(sum(found.shares.values()) - 1) < 1e-12
    assert "no vendor tool was run" in str(found)
    assert net.resources().fits is None
    with pytest.raises(InputError, match="xc7a35t"):
        net.resources("xc7a35")


def test_depth_of_compressors():
    assert [count_depth(k) for k in (1, 2, 3, 392)] == [0, 2, 3, 15]
