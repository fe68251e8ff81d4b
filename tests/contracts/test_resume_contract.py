"""Every door that resumes: other work is refused by name, kills cost nothing, damage is never taken for a result."""

import contextlib
import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import warnings
from multiprocessing import forkserver

import pytest
import torch
from doors import all_doors, same, work

from deepwright.core.errors import InputError
from deepwright.core.files import read_sealed
from deepwright.core.lock import lock

DOORS = all_doors()
FILED = [door for door in DOORS if door.file is not None]
CHANGES = [pytest.param(door, words, id=f"{door}-{words}") for door in DOORS for words in door.changes]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
FOREIGN = {"text": b"a letter to a friend\n", "empty": b"", "noise": bytes(range(256)) * 4}

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [*sorted({door.start.__module__ for door in DOORS}), "lightning_fabric", "torch._dynamo", "torch.profiler"]
)


@pytest.fixture(scope="module", autouse=True)
def server():
    """What forks the processes has imported all that they need; it must look for it where we do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Door -> (the folder of a run that nothing disturbed, its result)."""
    found = {}

    def of(door):
        if door.name not in found:
            folder = tmp_path_factory.mktemp("finished")
            found[door.name] = folder, door.start(folder)
        return found[door.name]

    return of


@pytest.fixture
def copied(finished, tmp_path):
    """Door -> (a copy of that folder, the result)."""

    def of(door):
        folder, result = finished(door)
        shutil.copytree(folder, tmp_path / "work")
        return tmp_path / "work", result

    return of


def begun(door, folder, out):
    """A process that works; it has begun when this returns."""
    process = processes.Process(target=work, args=(door.name, folder, out))
    process.start()
    deadline = time.time() + 120
    while not out.with_suffix(".begun").exists() and process.is_alive() and time.time() < deadline:
        time.sleep(0.002)
    return process


def done(door, folder, out):
    """What a process answers that runs to its end."""
    process = begun(door, folder, out)
    process.join(120)
    assert process.exitcode == 0
    return torch.load(out, weights_only=False)


def files(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def answers(door, folder, file, result):
    """Whether a run over a file that isn't as it was written refuses it by name, or computes the true result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return same(door.start(folder), result)
        except InputError as error:
            return file.name in str(error)


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_finished_run_is_taken_up_as_it_is(door, copied):
    folder, result = copied(door)
    assert same(door.start(folder), result)


@pytest.mark.parametrize(("door", "words"), [p for p in CHANGES if p.values[0].file])
def test_other_work_is_refused_by_name(door, words, copied):
    folder, _ = copied(door)
    with pytest.raises(InputError) as told:
        door.start(folder, **door.changes[words])
    assert words in str(told.value)


@pytest.mark.parametrize(("door", "words"), [p for p in CHANGES if not p.values[0].file])
def test_other_work_under_a_key_is_computed(door, words, copied, tmp_path):
    folder, result = copied(door)
    found = door.start(folder, **door.changes[words])
    assert same(found, door.start(tmp_path / "fresh", **door.changes[words]))
    assert not same(found, result)


# What a flipped or cut file costs is mostly computing the result anew: a few places here, more of them in the slow suite.
MORE = [pytest.param(False, id="few"), pytest.param(True, marks=pytest.mark.slow, id="many")]


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("door", DOORS, ids=str)
def test_flipped_bits_never_change_a_result(door, more, copied):
    folder, result = copied(door)
    rng = random.Random(0)
    file = rng.choice(files(folder))
    content = file.read_bytes()
    anywhere = [rng.randrange(len(content)) for _ in range(door.flips if more else 1)]
    for place in [0, 20, len(content) - 1, *anywhere] if more else [20, *anywhere]:
        file.write_bytes(content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :])
        assert answers(door, folder, file, result), f"bit flipped in byte {place} of {len(content)}"


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("door", DOORS, ids=str)
def test_cut_files_never_change_a_result(door, more, copied):
    folder, result = copied(door)
    file = random.Random(1).choice(files(folder))
    content = file.read_bytes()
    for length in (1, 30, len(content) // 2, len(content) - 1) if more else (30, len(content) - 1):
        file.write_bytes(content[:length])
        assert answers(door, folder, file, result), f"{length} of {len(content)} bytes left"


@pytest.mark.parametrize("kind", [*FOREIGN, "another door's"])
@pytest.mark.parametrize("door", DOORS, ids=str)
def test_foreign_files_are_named(door, kind, copied, finished):
    folder, result = copied(door)
    file = random.Random(2).choice(files(folder))
    other = DOORS[DOORS.index(door) - 1]
    file.write_bytes(FOREIGN[kind] if kind in FOREIGN else files(finished(other)[0])[0].read_bytes())
    assert answers(door, folder, file, result)


@pytest.mark.parametrize("door", [d for d in DOORS if d.interrupt], ids=str)
def test_interrupted_is_not_finished(door, finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        door.start(tmp_path, **door.interrupt)
    file = tmp_path / door.file
    assert file.suffix == ".jsonl" or not read_sealed(file)[0]["finished"]
    assert same(door.start(tmp_path), finished(door)[1])


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_umask_is_respected(door, tmp_path):
    before = os.umask(0o077)
    try:
        door.start(tmp_path)
    finally:
        os.umask(before)
    assert all(file.stat().st_mode & 0o077 == 0 for file in files(tmp_path))


@pytest.mark.parametrize("door", FILED, ids=str)
def test_a_second_process_is_refused_by_name(door, copied, tmp_path):
    folder, _ = copied(door)
    content = (folder / door.file).read_bytes()
    held = lock(folder / door.file)
    error = done(door, folder, tmp_path / "out")["error"]
    assert f"{door.file} is in use" in error
    assert (folder / door.file).read_bytes() == content
    del held


@pytest.mark.slow
@pytest.mark.parametrize("door", [d for d in DOORS if d.file is None], ids=str)
def test_two_processes_at_once_agree(door, finished, tmp_path):
    one, two = (begun(door, tmp_path, tmp_path / name) for name in ("one", "two"))
    one.join(120)
    two.join(120)
    for name in ("one", "two"):
        assert same(torch.load(tmp_path / name, weights_only=False)["result"], finished(door)[1])


# One signal a door here, in turn; `test_many_kills_cost_nothing` sends every door all of them.
@pytest.mark.parametrize(
    ("door", "number"),
    [
        pytest.param(door, number, marks=[pytest.mark.slow] * door.name.startswith("workflows."))
        for door, number in zip(DOORS, itertools.cycle(SIGNALS))
    ],
    ids=lambda v: getattr(v, "name", v),
)
def test_a_kill_at_a_random_moment_costs_nothing(door, number, finished, tmp_path):
    kill_and_resume(door, number, [random.Random(number).random()], finished(door)[1], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
@pytest.mark.parametrize("door", DOORS, ids=str)
def test_many_kills_cost_nothing(door, number, finished, tmp_path):
    rng = random.Random(100 + number)
    kill_and_resume(door, number, [rng.random() for _ in range(8)], finished(door)[1], tmp_path)


def kill_and_resume(door, number, moments, result, tmp_path):
    """Run, kill at each moment (a share of the time that the whole takes) and go on; at last to the end."""
    seconds = done(door, tmp_path / "timed", tmp_path / "whole")["seconds"]
    for count, moment in enumerate(moments):
        out = tmp_path / f"killed-{count}"
        process = begun(door, tmp_path / "work", out)
        time.sleep(moment * seconds)
        with contextlib.suppress(ProcessLookupError):  # it may have ended
            os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode is not None, "it hangs"
        assert out.exists() or process.exitcode != 0
    assert same(done(door, tmp_path / "work", tmp_path / "end")["result"], result)
