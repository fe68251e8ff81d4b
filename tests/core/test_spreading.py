"""Pieces of work give the same, in the same order, whoever works on them."""

import pickle
import threading
import types
from contextlib import contextmanager
from functools import partial

import pytest
import torch

from deepwright.core.batches import Batches
from deepwright.core.errors import InputError, MissingExtraError, NotFittedError
from deepwright.core.rows import Rows
from deepwright.core.spreading import Ranks, alone, spread_map
from deepwright.core.spreading import rank as rank_module
from deepwright.core.spreading.cluster import Cluster
from deepwright.core.spreading.rank import LostError, Together
from deepwright.core.spreading.sending import failed, packed, sendable, unpacked
from deepwright.core.spreading.spread import using

VALUES = torch.rand(11, 3, generator=torch.Generator().manual_seed(0))


class Read(Rows):
    """Rows that say which were read."""

    def __init__(self):
        super().__init__(VALUES.shape, VALUES.dtype)
        self.seen = []

    def _read(self, rows):
        self.seen += rows.tolist()
        return VALUES[rows]


@contextmanager
def summed(factor):
    yield lambda number, piece: (number, piece.sum(0) * factor)


@contextmanager
def refusing(*numbers):
    def one(number, piece):
        if number in numbers:
            raise InputError("piece", given=number)
        return number

    yield one


def stream():
    return iter(VALUES.split(2))


FORMS = {
    "tuple": lambda: VALUES.split(2),
    "stream": stream,
    "batches": lambda: Batches(VALUES, None, 2, torch.Tensor.clone),
    "rows": lambda: Batches(Read(), None, 2, torch.Tensor.clone),
    "one": lambda: VALUES.split(11),
    "none": tuple,
}


def beside(work, size=3):
    """What `work(rank)` gives, or raises, in each of several threads that stand for processes."""
    barrier, shared, found = threading.Barrier(size), [None] * size, [None] * size

    def gather(into, mine):
        shared[local.rank] = mine
        barrier.wait(10)
        into[:] = shared
        barrier.wait(10)

    local = threading.local()

    def run(rank):
        local.rank = rank
        try:
            with using(Together(rank, size)):
                found[rank] = work(rank)
        except Exception as error:
            found[rank] = error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank_module.dist, "all_gather_object", gather)
        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    return found


class HereAsRay:
    """Ray's words, answered in this process, through bytes as between processes."""

    def __init__(self):
        self.sent = []

    def cluster_resources(self):
        return {"CPU": 2.0}

    def put(self, value):
        self.sent.append(value)
        return value

    def get(self, value):
        return value

    def remote(self, function):
        task = types.SimpleNamespace(remote=lambda *args: pickle.loads(pickle.dumps(function(*args))))
        return types.SimpleNamespace(options=lambda **options: task)


@pytest.mark.parametrize("form", FORMS)
def test_every_spread_gives_what_a_plain_loop_gives(form):
    pieces, told = FORMS[form](), []
    expected = [(i, piece.sum(0) * 2) for i, piece in enumerate(FORMS[form]())]
    opened = partial(summed, 2)
    found = [spread_map(opened, pieces, kept=lambda number, value: told.append(number))]
    found += beside(lambda rank: spread_map(opened, FORMS[form]()))
    with using(Cluster(HereAsRay(), 0)):
        found.append(spread_map(opened, FORMS[form]()))
    assert told == list(range(len(expected)))
    for results in found:
        assert [number for number, _ in results] == list(range(len(expected)))
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(results, expected, strict=True))


def test_the_first_piece_that_fails_is_told_by_all():
    opened = partial(refusing, 4, 3)
    for error in beside(lambda rank: spread_map(opened, range(6))):
        assert isinstance(error, InputError)
        assert error.given == 3
    told = []
    with using(Cluster(HereAsRay(), 0)), pytest.raises(InputError) as raised:
        spread_map(opened, range(6), kept=lambda number, value: told.append(value))
    assert raised.value.given == 3
    assert told == [0, 1, 2]


def test_a_process_reads_its_own_batches_only():
    rows = [Read() for _ in range(3)]
    beside(lambda rank: spread_map(partial(summed, 1), Batches(rows[rank], None, 2, torch.Tensor.clone)))
    assert [sorted(each.seen) for each in rows] == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10]]


def test_what_is_done_alone_is_done_once():
    done = []

    def work():
        done.append(len(done))
        return len(done)

    assert alone(work) == 1
    assert beside(lambda rank: alone(work)) == [2, 2, 2]
    assert len(done) == 2

    def refuse():
        raise InputError("no")

    assert all(isinstance(error, InputError) for error in beside(lambda rank: alone(refuse)))


def test_what_a_piece_calls_stays_where_it_is():
    """An inner loop that waited for the other processes would never end: they have other pieces."""

    @contextmanager
    def outer():
        yield lambda number, piece: spread_map(partial(summed, 1), VALUES.split(1 + number))

    assert all(len(found) == 5 and len(found[0]) == 11 for found in beside(lambda rank: spread_map(outer, range(5))))


def test_processes_that_go_different_ways_are_told():
    """Silently mixed results would be worse than an end."""
    found = beside(lambda rank: spread_map(partial(summed, 1), stream()) if rank else alone(lambda: 1))
    assert all(isinstance(error, LostError) and "different ways" in str(error) for error in found)


def test_batches_are_those_of_a_loop():
    x, y = torch.arange(7), torch.arange(7) * 10
    batches = Batches(x, y, 3, lambda t: t.float())
    assert len(batches) == 3
    assert len(batches.inputs) == 3
    assert not batches.in_files
    for _ in range(2):  # they can be gone through again
        assert [a.tolist() for a, _ in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for _, b in batches.only([2, 0])] == [[60], [0, 10, 20]]
    assert [a.tolist() for a in batches.inputs.only([1])] == [[3.0, 4.0, 5.0]]


def test_a_part_of_a_tensor_goes_without_the_rest():
    large = torch.rand(100_000)
    assert len(packed(large[:10])) < 2000 < len(packed(large[:10], whole=True))
    assert torch.equal(unpacked(packed(large[3:9:2])), large[3:9:2])


def test_what_a_network_shares_stays_shared():
    net = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    net[1].weight = net[0].weight
    found = unpacked(sendable(net, "net"))
    assert found[1].weight is found[0].weight
    assert isinstance(found[0].weight, torch.nn.Parameter)


def test_errors_arrive_as_they_were():
    for error in (
        InputError("x", given=3, hint="do"),
        NotFittedError("KNN"),
        MissingExtraError("ray", "ray", "backend"),
        LostError("gone"),
    ):
        found = unpacked(failed(error))
        assert type(found) is type(error)
        assert str(found) == str(error)
    assert unpacked(failed(InputError("x", given=3))).given == 3

    class Strange(Exception):
        def __init__(self):
            super().__init__("strange")
            self.held = threading.Lock()

    found = unpacked(failed(Strange()))
    assert isinstance(found, RuntimeError)
    assert "Strange: strange" in str(found)


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_sent_is_refused_before_a_process_starts():
    with pytest.raises(InputError, match=r"can't be sent to another process.*in one process"):
        Ranks(threading.Lock(), 2, torch.device("cpu"), lambda given, device: given)
    for devices, word in ((0, "1 or more"), (True, "whole number"), ("2", "whole number")):
        with pytest.raises(InputError, match=word):
            Ranks(None, devices, torch.device("cpu"), lambda given, device: given)
