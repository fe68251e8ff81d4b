"""Identities that tell what differs, stored files that tell damage, locks, full disks, and stops at safe points."""

import errno
import functools
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, Subset, TensorDataset

from deepwright.core import files
from deepwright.core.errors import InputError
from deepwright.core.fit import adamw, fit
from deepwright.core.identity import architecture, digest, identity, structure
from deepwright.core.interrupt import Terminated, graceful
from deepwright.core.journal import Journal, stored_rows
from deepwright.core.lock import LockedError, lock
from deepwright.core.resume import (
    DamagedFileError,
    DamagedFileWarning,
    ForeignFileError,
    OtherWorkError,
    Resume,
    stored,
)
from deepwright.core.trials import run

FACTOR = 2.0


def scaled(x):
    return FACTOR * helper(x)


def helper(x):
    return x + 1


class Thing:
    def __init__(self, value):
        self.value = value

    def __call__(self, x):
        return self.value * x


class Squares(Dataset):
    def __init__(self, power):
        self.power = power

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return torch.rand(2) + float(i) ** self.power, i


def circle(value):
    found = [value]
    found.append(found)
    return found


def default(value):
    return lambda x, amount=value: x + amount


def keyword(value):
    def function(*, amount=value):
        return amount

    return function


def linear(seed, width=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(2, width)


PAIRS = {
    "tensors": lambda v: torch.tensor([1.0, v]),
    "dtypes": lambda v: torch.ones(2, dtype=torch.float32 if v == 1 else torch.float64),
    "shapes": lambda v: torch.ones(2, 3) if v == 1 else torch.ones(3, 2),
    "bfloat16": lambda v: torch.tensor([v], dtype=torch.bfloat16),
    "sparse": lambda v: torch.tensor([0.0, v]).to_sparse(),
    "arrays": lambda v: np.array([v]),
    "objects in arrays": lambda v: np.array([str(v), None], dtype=object),
    "nested": lambda v: {"a": [1, {"b": (v, None)}]},
    "sets": lambda v: {"x", str(v)},
    "closures": lambda v: lambda x: x + v,
    "defaults": default,
    "keyword defaults": keyword,
    "partials": lambda v: functools.partial(helper, v),
    "callable objects": Thing,
    "methods": lambda v: Thing(v).__call__,
    "optimizers": lambda v: adamw(lr=v),
    "losses": lambda v: nn.CrossEntropyLoss(label_smoothing=v / 10),
    "networks": linear,
    "frozen": lambda v: nn.Linear(2, 2).requires_grad_(v == 1),
    "tensor data sets": lambda v: TensorDataset(torch.full((3,), v)),
    "data sets": Squares,
    "subsets": lambda v: Subset(Squares(1), [0, v]),
    "generators": lambda v: torch.Generator().manual_seed(v),
    "numpy generators": np.random.default_rng,
    "circles": circle,
    "dtypes themselves": lambda v: torch.float32 if v == 1 else torch.float64,
    "library functions": lambda v: torch.relu if v == 1 else torch.sigmoid,
}


def test_checked_annotations_do_not_count():
    """beartype's wrappers hold Python's own random state, which every call moves on."""
    import random

    from beartype import beartype

    def total(numbers: list[int]) -> int:
        return sum(numbers)

    checked = beartype(total)
    before = digest(checked)
    random.random()
    checked([1, 2, 3])
    assert digest(checked) == before == digest(total)


def test_one_number_is_hashed_whatever_its_stride():
    column = torch.tensor([[1.0, 2.0]]).T[0]  # one number, and a stride of 2
    row = torch.tensor([[1.0], [2.0]]).T[:, 0]
    assert digest(column) == digest(row) == digest(torch.tensor([1.0]))
    assert files.hash_tensors({"x": column}) == files.hash_tensors({"x": torch.tensor([1.0])})


@pytest.mark.parametrize("kind", PAIRS)
def test_equal_values_have_one_digest(kind):
    make = PAIRS[kind]
    if kind == "frozen":
        torch.manual_seed(0)
        first = digest(make(1))
        torch.manual_seed(0)
        assert digest(make(1)) == first
    else:
        assert digest(make(1)) == digest(make(1))


@pytest.mark.parametrize("kind", PAIRS)
def test_other_values_have_other_digests(kind):
    torch.manual_seed(0)
    first = digest(PAIRS[kind](1))
    torch.manual_seed(0)
    assert digest(PAIRS[kind](2)) != first


def test_globals_that_a_function_reads_count(monkeypatch):
    before = digest(scaled)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert digest(scaled) != before


def test_code_of_a_helper_counts(monkeypatch):
    before = digest(scaled)
    monkeypatch.setitem(globals(), "helper", lambda x: x + 2)
    assert digest(scaled) != before


def test_globals_that_a_function_does_not_read_do_not_count(monkeypatch):
    before = digest(helper)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert digest(helper) == before


def test_the_text_of_a_module_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_steps.py").write_text("def half(x):\n    return x / 2\n")
    import own_steps

    def step(x):
        return own_steps.half(x)

    before = digest(step)
    (tmp_path / "own_steps.py").write_text("def half(x):\n    return x / 3\n")
    monkeypatch.delitem(sys.modules, "own_steps")

    assert digest(step) != before


def test_an_error_says_where_the_odd_thing_is():
    odd = threading.Lock()
    with pytest.raises(InputError, match=r"lock .* of odd"):
        digest(lambda x: odd)


def test_two_functions_on_one_line_differ():
    one, two = (lambda x: x + 1), (lambda x: x + 2)
    assert digest(one) != digest(two)


def test_methods_of_a_class_count():
    def make(value):
        class Net(nn.Module):
            def forward(self, x):
                return x * value

        return Net()

    assert architecture(make(1)) != architecture(make(2))


class Settled(nn.Module):
    """A network with settings of its own, long ones and short ones."""

    def __init__(self, corpus=0, scale=1.0, width=2):
        super().__init__()
        self.layer = nn.Linear(2, width)
        self.corpus, self.scale = torch.full((3,), float(corpus)), scale


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"corpus": 1}, "another model.corpus"),
        ({"scale": 2.0}, "another model.scale: 2.0, was 1.0"),
        ({"width": 3}, "another model.network"),
    ],
)
def test_a_structure_names_the_setting_that_differs(changed, told):
    now, before = (identity(model=structure(Settled(**more))) for more in (changed, {}))
    assert now.differences(before) == [told]


def test_a_structure_takes_what_a_module_says_of_itself():
    class Own(Settled):
        def __resume_identity__(self):
            return {"scale": self.scale}

    now, before = (identity(model=structure(Own(scale=scale))) for scale in (2.0, 1.0))
    assert now.differences(before) == ["another model.scale: 2.0, was 1.0"]


def test_a_compiled_network_has_the_structure_of_the_one_inside():
    model = Settled()
    assert structure(torch.compile(model)) == structure(model)


def test_an_architecture_has_no_values():
    assert architecture(linear(1)) == architecture(linear(2)) != architecture(linear(1, 4))


def test_train_mode_does_not_count():
    assert digest(linear(0).train()) == digest(linear(0).eval())


DIGESTS = """
import torch
from deepwright.core.identity import digest
from torch import nn
from deepwright.core.fit import adamw
print(digest([{"b", "a", "c"}, adamw(0.1),
              nn.Linear(1, 1, bias=False).requires_grad_(False).eval().to("cpu").zero_grad(),
              {"x": 1, "y": (1, 2)}, lambda x: x in {"p", "q", "r"}]))
"""


def test_digests_are_equal_in_all_processes():
    environment = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2")]
    command = [sys.executable, "-c", DIGESTS]
    found = {subprocess.run(command, env=e, check=True, capture_output=True, text=True).stdout for e in environment}
    assert len(found) == 1


@pytest.mark.parametrize("what", [object(), threading.Lock(), (i for i in ()), torch.empty(1, device="meta")])
def test_what_cannot_be_identified_is_refused_by_name(what):
    with pytest.raises(InputError, match="the odd part can't be identified"):
        identity(the_odd_part=what)


def test_an_object_says_what_it_is():
    class Odd:
        def __init__(self, word):
            self.lock, self.word = threading.Lock(), word

        def __resume_identity__(self):
            return self.word

    assert digest(Odd("a")) == digest(Odd("a")) != digest(Odd("b"))


def test_differences_are_told_by_name():
    now = identity(data=torch.ones(2), options={"lr": 0.1, "epochs": 3}, kind="a")
    before = identity(data=torch.zeros(2), options={"lr": 0.001, "epochs": 3}, kind="a")
    assert now.differences(before) == ["another data", "another options.lr: 0.1, was 0.001"]


def test_a_digest_is_a_part_as_it_is():
    now, before = (identity(model=architecture(linear(0, width))) for width in (1, 2))
    assert now.differences(before) == ["another model"]


def test_another_version_is_told():
    now, before = identity(a=1), identity(a=1)
    before["package version"] = "0.0.1"
    assert "another package version" in now.differences(before)[0]


# --- stored files --------------------------------------------------------------------------------------------------


def test_state_comes_back(tmp_path):
    with Resume(tmp_path / "a.pt", {"n": 1}, kind="work") as kept:
        assert kept.load() is None
        kept.save({"x": torch.ones(2)})
    with Resume(tmp_path / "a.pt", {"n": 1}, kind="work") as kept:
        assert torch.equal(kept.load()["x"], torch.ones(2))


def test_only_finish_finishes(tmp_path):
    with Resume(tmp_path / "a.pt", {}, kind="work") as kept:
        kept.save({})
        assert not stored(tmp_path / "a.pt")[0]["finished"]
        kept.finish({})
    assert stored(tmp_path / "a.pt")[0]["finished"]


def test_other_work_is_told(tmp_path):
    with Resume(tmp_path / "a.pt", {"lr": 1}, kind="search") as kept:
        kept.save({})
    again = Resume(tmp_path / "a.pt", {"lr": 2}, kind="search")
    with pytest.raises(OtherWorkError, match="another search; given: another lr: 2, was 1"):
        again.load()


def test_another_kind_is_told(tmp_path):
    with Resume(tmp_path / "a.pt", {}, kind="search") as kept:
        kept.save({})
    with Resume(tmp_path / "a.pt", {}, kind="fit") as kept, pytest.raises(ForeignFileError, match="kind 'search'"):
        kept.load()


def flipped(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def test_a_damaged_file_is_set_aside_with_a_warning(tmp_path):
    path = tmp_path / "a.pt"
    with Resume(path, {}, kind="work") as kept:
        kept.save({"x": 1})
        flipped(path, -20)
        with pytest.warns(DamagedFileWarning, match=r"a\.pt is damaged.*a\.pt\.damaged-1"):
            assert kept.load() is None
    assert (tmp_path / "a.pt.damaged-1").exists()


def test_a_damaged_file_is_refused_where_it_is_asked_for(tmp_path):
    path = tmp_path / "a.pt"
    with Resume(path, {}, kind="work", damaged="refuse") as kept:
        kept.save({"x": 1})
        flipped(path, -20)
        with pytest.raises(DamagedFileError, match=r"a\.pt.*checksum"):
            kept.load()


def test_every_flipped_bit_of_a_state_is_found(tmp_path):
    path = files.save_state(tmp_path / "a.pt", {"x": torch.arange(3)})
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 131):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"cannot read .*a\.pt"):
            files.load_state(path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_bad_disk_leaves_the_old_file(tmp_path, monkeypatch, number, call):
    path = tmp_path / "a.pt"

    def fail(*_):
        raise OSError(number, os.strerror(number))

    with Resume(path, {}, kind="work") as kept:
        kept.save({"x": 1})
        monkeypatch.setattr(files.os, call, fail)
        with pytest.raises(InputError, match=rf"cannot write .*a\.pt.*{os.strerror(number)}"):
            kept.save({"x": 2})
        assert kept.load() == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_a_full_disk_leaves_the_rows_of_a_journal(tmp_path, monkeypatch):
    rows = Journal(tmp_path / "j.jsonl", {}, durable=True)
    rows.add("x", 1)

    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(InputError, match=r"cannot write .*j\.jsonl.*No space left"):
        patch.setattr("deepwright.core.journal.os.fsync", fail)
        rows.add("y", 2)
    assert rows.rows == Journal(tmp_path / "j.jsonl", {}, durable=True).rows == {"x": 1}


def test_a_part_that_a_full_disk_took_is_given_back(tmp_path, monkeypatch):
    """The disk takes half a row, then nothing more: nothing of it stays, also when the file is closed."""
    rows = Journal(tmp_path / "j.jsonl", {})
    content = (tmp_path / "j.jsonl").read_bytes()

    class Full(io.FileIO):
        def write(self, data):
            if self.tell() > len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data[:9])

    with monkeypatch.context() as patch, pytest.raises(InputError, match=r"cannot write .*j\.jsonl.*No space left"):
        patch.setattr(Path, "open", lambda path, mode, buffering=-1: Full(path, "r+"))
        rows.add("x", 1)
    assert (tmp_path / "j.jsonl").read_bytes() == content


def test_a_journal_can_be_read_whatever_it_was_made_from(tmp_path):
    path = tmp_path / "j.jsonl"
    Journal(path, {"data": 1}, kind="work").add_all({"x": 1, "y": 2})
    assert stored_rows(path, "work")[0]["data"] == "1"
    assert stored_rows(path, "work")[1:] == ({"x": 1, "y": 2}, [])


@pytest.mark.parametrize(("line", "left"), [(0, ["x", "y"]), (1, ["y"]), (2, ["x"])])
def test_damaged_lines_of_a_journal_are_numbered(tmp_path, line, left):
    path = tmp_path / "j.jsonl"
    Journal(path, {"data": 1}).add_all({"x": 1, "y": 2})
    lines = path.read_text().splitlines(keepends=True)
    lines[line] = lines[line].replace('": ', '":  ', 2).replace('":  ', '": ', 1)
    path.write_text("".join(lines))
    _, rows, damaged = stored_rows(path)
    assert (list(rows), damaged) == (left, [line + 1])
    assert path.read_text() == "".join(lines)


def test_a_foreign_file_is_no_journal(tmp_path):
    (tmp_path / "letter").write_text("dear friend\n")
    with pytest.raises(ForeignFileError, match="dear friend"):
        stored_rows(tmp_path / "letter")


def test_what_a_killed_process_began_is_removed(tmp_path):
    (tmp_path / ".a.pt.0011aabb.tmp").write_bytes(b"half a file")
    Resume(tmp_path / "a.pt", {}, kind="work").close()
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys, pathlib
from deepwright.core.lock import lock
held = lock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of a file."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "a.pt")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_file_in_use_is_refused_with_its_process(holder, tmp_path):
    with pytest.raises(LockedError, match=rf"a\.pt is in use; given: process {holder.pid}"):
        Resume(tmp_path / "a.pt", {}, kind="work")


def test_a_lock_dies_with_its_process(holder, tmp_path):
    holder.kill()
    holder.wait()
    Resume(tmp_path / "a.pt", {}, kind="work").close()


def test_a_lock_is_shared_within_a_process(tmp_path):
    one = lock(tmp_path / "a")
    assert lock(tmp_path / "a") is one


# --- the journal ---------------------------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path):
    """A closed journal of three rows."""
    rows = Journal(tmp_path / "j.jsonl", {"a": 1})
    rows.add_all({"x": 1, "y": 2.5, "z": [3]})
    rows.close()
    return tmp_path / "j.jsonl"


def test_a_damaged_row_is_named_and_set_aside(journal):
    journal.write_bytes(journal.read_bytes().replace(b"2.5", b"2.7"))
    with pytest.warns(DamagedFileWarning, match=r"line 3.*j\.jsonl\.damaged-1"):
        assert Journal(journal, {"a": 1}).rows == {"x": 1, "z": [3]}


def test_what_a_person_did_is_not_given_up(journal):
    journal.write_bytes(journal.read_bytes().replace(b"2.5", b"\xff.5"))
    before = journal.read_bytes()
    with pytest.raises(DamagedFileError, match="line 3"):
        Journal(journal, {"a": 1}, durable=True)
    assert journal.read_bytes() == before


def test_only_the_last_line_may_be_torn(journal):
    journal.write_bytes(journal.read_bytes()[:-9])
    assert Journal(journal, {"a": 1}, durable=True).rows == {"x": 1, "y": 2.5}


def test_other_rows_are_refused_by_name(journal):
    with pytest.raises(OtherWorkError, match="another a: 2, was 1"):
        Journal(journal, {"a": 2})


def test_a_closed_journal_takes_no_rows(journal):
    rows = Journal(journal, {"a": 1})
    rows.close()
    with pytest.raises(InputError, match="was let go"):
        rows.add("w", 1)


# --- trials, fit, stops --------------------------------------------------------------------------------------------


def test_two_lambdas_have_results_of_their_own(tmp_path):
    found = [run(lambda x, c=c: x + c, [{"x": 1}], store=tmp_path)[0] for c in (1, 2)]
    assert found == [2, 3]


def test_a_damaged_trial_is_set_aside_and_computed(tmp_path):
    run(helper, [{"x": 1}], store=tmp_path)
    flipped(next(tmp_path.glob("*.pt")), -30)
    with pytest.warns(DamagedFileWarning, match="set aside"):
        assert run(helper, [{"x": 1}], store=tmp_path) == [2]


def test_the_step_of_a_bad_loss_is_told():
    x = torch.ones(12, 2)
    x[7] = torch.nan
    with pytest.raises(InputError, match="nan at step"):
        fit(nn.Linear(2, 2), (x, torch.zeros(12).long()), epochs=1, batch_size=2)


def test_losses_that_wait_tell_their_step():
    from deepwright.core.fit.losses import Losses

    losses = Losses(torch.device("meta"))  # any but the CPU: looks are rare
    for value in (1.0, 2.0, float("inf"), 3.0):
        losses.add(torch.tensor(value))
    with pytest.raises(InputError, match="inf at step 2"):
        losses.look()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_a_safe_point(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Terminated), graceful() as stop:
        signal.raise_signal(number)
        assert stop
        raise KeyboardInterrupt
    assert signal.getsignal(number) is before


def test_sigterm_ends_with_its_code():
    assert Terminated().code == 143


@pytest.fixture
def half(monkeypatch):
    """Mixed precision with a scaler, which Fabric itself gives on accelerators only."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import MixedPrecision

    def make(compute, model):
        fabric = Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu"))
        fabric.launch()
        return fabric

    monkeypatch.setattr("deepwright.core.fit.fitting._fabric", make)


def halved(path, stop=None):
    """A fit in mixed precision, which may stop after an epoch."""
    model = linear(0)
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))

    def halt(_, row):
        if row["epoch"] == stop:
            raise KeyboardInterrupt

    y = (x[:, 0] > 0).long()
    fit(model, (x, y), epochs=4, batch_size=5, clip_norm=0.1, checkpoint=path, every=3, callbacks=[halt])
    return model.weight.detach()


def test_mixed_precision_resumes_with_its_scaler(half, tmp_path):
    whole = halved(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        halved(tmp_path / "c", stop=2)
    assert stored(tmp_path / "c")[1]["scaler"]["_growth_tracker"] > 0
    assert torch.equal(halved(tmp_path / "c"), whole)


def small_loss(out, y):
    return 0.1 * (out - y).abs().mean()


def test_clipping_is_of_true_gradients(half):
    """With a scaler of 65536 in the way, a step of SGD is as long as the norm that is asked for."""
    model = linear(0, 1)
    before = model.weight.detach().clone(), model.bias.detach().clone()
    x, y = 0.1 * torch.ones(4, 2), torch.ones(4, 1)  # gradients that half precision can hold 65536 times
    sgd = functools.partial(torch.optim.SGD, lr=1.0)
    fit(model, (x, y), epochs=1, batch_size=4, loss=small_loss, optimizer=sgd, clip_norm=0.01)
    moved = torch.cat([(new.detach() - old).flatten() for new, old in zip(model.parameters(), before)])
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-2)


def test_one_file_has_one_lock_by_whatever_name(tmp_path):
    """The system drops every lock of a process on a file when one of its handles is closed."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "state")
    names = [tmp_path / "state", tmp_path / "sub" / ".." / "state", tmp_path / "link"]
    held = [lock(name) for name in names]
    assert held[0] is held[1] is held[2]


def test_a_linked_file_is_written_where_it_lies(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with Resume(tmp_path / "link", {"a": 1}, kind="test") as kept:
        kept.save({"x": 1})
    assert (tmp_path / "link").is_symlink()
    assert stored(tmp_path / "real")[1] == {"x": 1}


def test_a_forked_child_does_not_write_its_parent_s_file(tmp_path):
    kept = Resume(tmp_path / "state", {"a": 1}, kind="test")
    kept.save({"x": 1})
    child = os.fork()
    if child == 0:
        try:
            kept.save({"x": 2})
        except LockedError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert stored(tmp_path / "state")[1] == {"x": 1}


def test_what_another_work_is_writing_is_left_alone(tmp_path):
    others = [tmp_path / name for name in (".run.v2.0123abcd.tmp", ".run.notes.tmp")]
    for file in others:
        file.write_text("")
    Resume(tmp_path / "run", {"a": 1}, kind="test")
    assert all(file.exists() for file in others)


def test_the_number_of_threads_is_part_of_a_trial(tmp_path):
    threads = [run(torch.get_num_threads, [{}], store=tmp_path, threads=n)[0] for n in (1, 2)]
    assert threads == [1, 2]


def test_a_header_that_stands_twice_is_damage(tmp_path):
    path = tmp_path / "journal"
    with_row = Journal(path, 1, durable=True)
    with_row.add("x", 1)
    with_row.close()
    header, row = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + header + row)
    with pytest.raises(DamagedFileError, match="line 2 "):
        Journal(path, 1, durable=True)
    assert stored_rows(path)[1:] == ({"x": 1}, [2])
