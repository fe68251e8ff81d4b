"""Real processes, and what becomes of the work when one of them dies, hangs or fails."""

import os
import signal
import time
from contextlib import contextmanager
from functools import partial

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.spreading import RankError, Ranks, alone, spread_map

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")


@contextmanager
def scaled(net):
    yield lambda number, piece: (os.getpid(), net(piece))


def work(net, pieces):
    with torch.no_grad():
        found = spread_map(partial(scaled, net), pieces)
    return [value for _, value in found], len({pid for pid, _ in found}), alone(os.getpid)


def ends(net, how):
    """The second process ends before the first one can go on."""
    if os.environ["LOCAL_RANK"] == "1":
        print("a stranger's last words")
        os.kill(os.getpid(), how) if how else time.sleep(600)
    return work(net, torch.zeros(4, 3).split(1))


def refuses(net):
    raise InputError("x", given=1)


def kept(net, device):
    return net


def dead(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_processes_share_the_pieces_until_one_of_them_dies():
    net, pieces = torch.nn.Linear(3, 2), torch.rand(7, 3).split(1)
    with torch.no_grad():
        expected = [net(piece) for piece in pieces]
    with Ranks(net, 2, CPU, kept) as ranks:
        pids = [member.process.pid for member in ranks._members]
        for _ in range(2):
            values, processes, first = ranks.call(work, pieces)
            assert all(map(torch.equal, values, expected))
            assert (processes, first) == (2, pids[0])
        with pytest.raises(InputError) as raised:
            ranks.call(refuses)
        assert raised.value.given == 1
        assert len(ranks.call(work, pieces)[0]) == 7  # an error of the work isn't the end of the processes
        with pytest.raises(RankError, match=r"process 1 of 2 was killed \(SIGKILL\).*a stranger's last words"):
            ranks.call(ends, signal.SIGKILL)
    assert all(map(dead, pids))


def test_a_process_that_hangs_ends_the_work_with_its_name():
    begin = time.monotonic()  # processes take their time to start where the machine is busy
    with Ranks(torch.nn.Linear(3, 2), 2, CPU, kept, patience=4.0) as ranks:
        pids = [member.process.pid for member in ranks._members]
        with pytest.raises(RankError, match=r"process 1 of 2 fell silent.*lost the others"):
            ranks.call(ends, 0)
    assert time.monotonic() - begin < 300
    assert all(map(dead, pids))
