"""Random numbers of many steps drawn together are those of each step drawn alone."""

import torch

from deepwright.core.randomness import StreamBlock, Streams


def test_a_block_draws_what_each_step_draws():
    ids = torch.tensor([3, 2**40 + 1, 0, 17])
    rows = torch.tensor([0, 1, 3])
    block = StreamBlock(5, ids, "square", range(10, 14))
    for t in (10, 13, 11):
        together, alone = block.at(t, rows), Streams(5, ids[rows], "square", t)
        assert torch.equal(together.integers(0, 7, 1), alone.integers(0, 7, 1))
        assert torch.equal(together.bits(2, 3), alone.bits(2, 3))
        assert torch.equal(together.normal(4), alone.normal(4))
