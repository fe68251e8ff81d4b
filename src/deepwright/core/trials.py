"""Whatever fans out: pure functions run side by side, each result kept under a content key.

A finished trial is on disk before the next begins, so an interrupted run resumes and a repeated one costs nothing. The
key is computed from the function (its code, and that of all that it uses), the arguments and the package's version, so
that nothing else's result is ever taken; a damaged result is set aside with a warning, and computed again.
Every trial runs with the same number of threads whatever `jobs` is, so that the numbers are the same too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.files import DamagedFileError, ForeignFileError, read_sealed, set_aside, write_sealed
from deepwright.core.identity import Identity, digest, identity
from deepwright.core.progress import bar
from deepwright.core.resume import warn_damaged

_KIND = "trial"


@dataclass(frozen=True)
class _File:
    """Where a trial's result is kept, and what it is made from."""

    path: Path
    identity: Identity


def run(
    function: Callable[..., Any],
    trials: Sequence[dict[str, Any]],
    *,
    store: Path | str | None = None,
    jobs: int = 1,
    backend: str = "local",
    fingerprint: str = "",
    threads: int = 1,
    description: str = "trials",
    keep: Callable[[Any], bool] | None = None,
) -> list[Any]:
    """Call `function(**trial)` for every trial and return the results in order.

    Args:
        function: a function (a module-level one where `jobs` is more than 1) that returns plain data or tensors and
            draws randomness only from a seed among its arguments, which are anything that `core.identity` can identify.
        trials: one dict of keyword arguments each.
        store: a folder for finished trials; None keeps nothing.
        jobs: workers.
        backend: "local" (processes), "ray" (the running cluster, or one on this machine; it decides how many run at a
            time) or "dask" (the current client's cluster).
        fingerprint: of data that the function reads by itself (a file's hash, say).
        threads: torch threads inside one trial.
        description: shown beside the bar.
        keep: result -> whether it is final; one that isn't is given back but not stored, and computed again the next
            time. All are by default.

    Returns:
        The results; with a store, tensors are on the CPU, whether they were computed now or before.

    Raises:
        InputError: an argument that can't be identified, or a result that can't be stored.
        KeyboardInterrupt: Ctrl-C; finished trials are kept, the one that was running isn't.
    """
    if jobs < 1:
        raise InputError("jobs", given=jobs, expected="1 or more")
    files = _files(function, trials, store, fingerprint, threads)
    results: list[Any] = [None] * len(trials)
    waiting = []
    for i, file in enumerate(files):
        known, results[i] = (False, None) if file is None else _kept(file)
        if not known:
            waiting.append(i)
    with bar(description, len(trials)) as running:
        running.advance(len(trials) - len(waiting))
        if jobs == 1 and backend == "local":
            for i in waiting:
                results[i] = _one(function, trials[i], files[i], threads, keep)
                running.advance()
            return results
        for i, result in _parallel(function, trials, files, waiting, jobs, backend, threads, keep):
            results[i] = result
            running.advance()
    return results


def _parallel(
    function: Callable[..., Any],
    trials: Sequence[dict[str, Any]],
    files: list[_File | None],
    waiting: list[int],
    jobs: int,
    backend: str,
    threads: int,
    keep: Callable[[Any], bool] | None,
) -> Any:
    if backend == "ray":
        yield from _on_ray(function, trials, files, waiting, threads, keep)
        return
    import joblib

    names = {"local": "loky", "dask": "dask"}
    if backend not in names:
        raise InputError("backend", given=repr(backend), expected="'local', 'ray' or 'dask'")
    if backend == "dask":
        _require_dask_client()
    with joblib.parallel_config(backend=names[backend], n_jobs=jobs):
        calls = (joblib.delayed(_indexed)(i, function, trials[i], files[i], threads, keep) for i in waiting)
        yield from joblib.Parallel(return_as="generator_unordered")(calls)


def _require_dask_client() -> None:
    try:
        from distributed import get_client
    except ImportError as error:
        raise MissingExtraError("distributed", "dask", "backend='dask'") from error
    try:
        get_client()
    except ValueError as error:
        raise InputError(
            "backend='dask'", given="no Dask client", expected="a running cluster", hint="distributed.Client(...) first"
        ) from error


def _on_ray(
    function: Callable[..., Any],
    trials: Sequence[dict[str, Any]],
    files: list[_File | None],
    waiting: list[int],
    threads: int,
    keep: Callable[[Any], bool] | None,
) -> Any:
    """Ray's own tasks: its joblib backend can't hand results over one by one."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "backend='ray'") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    remote = ray.remote(_indexed)
    pending = [remote.remote(i, function, trials[i], files[i], threads, keep) for i in waiting]
    while pending:
        done, pending = ray.wait(pending)
        yield from ray.get(done)


def _indexed(i: int, *rest: Any) -> tuple[int, Any]:
    return i, _one(*rest)


def _one(
    function: Callable[..., Any],
    trial: dict[str, Any],
    file: _File | None,
    threads: int,
    keep: Callable[[Any], bool] | None,
) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = function(**trial)
    finally:
        torch.set_num_threads(before)
    final = keep is None or keep(result)
    return _keep(file, function, result) if file is not None and final else result


def _files(
    function: Callable[..., Any],
    trials: Sequence[dict[str, Any]],
    store: Path | str | None,
    fingerprint: str,
    threads: int,
) -> list[_File | None]:
    if store is None:
        return [None] * len(trials)
    common = identity(function=function, fingerprint=fingerprint, threads=threads)  # sums round by their number
    given = (dict(sorted(trial.items())) for trial in trials)  # by name, in whatever order
    made_from = [Identity(common | {"arguments": digest(trial, "a trial's argument")}) for trial in given]
    return [_File(Path(store) / f"{parts.key}.pt", parts) for parts in made_from]


def _kept(file: _File) -> tuple[bool, Any]:
    """Whether a trial's result is on disk, and the result; what isn't as it was written is set aside."""
    if not file.path.exists():
        return False, None
    try:
        header, state = read_sealed(file.path)
        ours = isinstance(header, dict) and header.get("kind") == _KIND and header.get("identity") == file.identity
        if not ours or not isinstance(state, dict) or "result" not in state:
            raise DamagedFileError(f"cannot read {file.path}", given="the result of something else under its name")
    except (DamagedFileError, ForeignFileError) as error:
        warn_damaged(file.path, set_aside(file.path), error)
        return False, None
    return True, state["result"]


def _keep(file: _File, function: Callable[..., Any], result: Any) -> Any:
    """Store a result; gives it as it will be read."""
    write_sealed(
        file.path, {"kind": _KIND, "version": 1, "identity": file.identity, "finished": True}, {"result": result}
    )
    try:
        return read_sealed(file.path)[1]["result"]
    except DamagedFileError as error:
        file.path.unlink()
        raise InputError(
            f"the result of {function.__qualname__}",
            given=type(result).__name__,
            expected="numbers, strings, tensors, lists and dicts",
        ) from error
