"""Whatever fans out: pure functions run side by side, each result kept under a content key.

A finished trial is on disk before the next begins, so an interrupted run resumes and a repeated one costs nothing.
Every trial runs with the same number of threads whatever `jobs` is, so that the numbers are the same too.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.files import hash_tensors, load_state, save_state
from deepwright.core.progress import bar
from deepwright.core.version import __version__


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
) -> list[Any]:
    """Call `function(**trial)` for every trial and return the results in order.

    Args:
        function: a module-level function of plain arguments (numbers, strings, tensors, lists and dicts of them) that
            returns plain data or tensors and draws randomness only from a seed among its arguments.
        trials: one dict of keyword arguments each.
        store: a folder for finished trials; None keeps nothing.
        jobs: workers.
        backend: "local" (processes), "ray" (the running cluster, or one on this machine; it decides how many run at a
            time) or "dask" (the current client's cluster).
        fingerprint: of data that the function reads by itself (a file's hash, say).
        threads: torch threads inside one trial.
        description: shown beside the bar.

    Raises:
        InputError: an argument or a result that can't be stored.
        KeyboardInterrupt: Ctrl-C; finished trials are kept.
    """
    if jobs < 1:
        raise InputError("jobs", given=jobs, expected="1 or more")
    folder = None if store is None else Path(store)
    paths = [None if folder is None else folder / f"{_key(function, t, fingerprint)}.pt" for t in trials]
    results: list[Any] = [None] * len(trials)
    waiting = []
    for i, path in enumerate(paths):
        if path is not None and path.exists():
            results[i] = load_state(path)["result"]
        else:
            waiting.append(i)
    with bar(description, len(trials)) as running:
        running.advance(len(trials) - len(waiting))
        if jobs == 1 and backend == "local":
            for i in waiting:
                results[i] = _one(function, trials[i], paths[i], threads)
                running.advance()
            return results
        for i, result in _parallel(function, trials, paths, waiting, jobs, backend, threads):
            results[i] = result
            running.advance()
    return results


def _parallel(
    function: Callable[..., Any],
    trials: Sequence[dict[str, Any]],
    paths: list[Path | None],
    waiting: list[int],
    jobs: int,
    backend: str,
    threads: int,
) -> Any:
    if backend == "ray":
        yield from _on_ray(function, trials, paths, waiting, threads)
        return
    import joblib

    names = {"local": "loky", "dask": "dask"}
    if backend not in names:
        raise InputError("backend", given=repr(backend), expected="'local', 'ray' or 'dask'")
    if backend == "dask":
        _require_dask_client()
    with joblib.parallel_config(backend=names[backend], n_jobs=jobs):
        calls = (joblib.delayed(_indexed)(i, function, trials[i], paths[i], threads) for i in waiting)
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
    paths: list[Path | None],
    waiting: list[int],
    threads: int,
) -> Any:
    """Ray's own tasks: its joblib backend can't hand results over one by one."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "backend='ray'") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    remote = ray.remote(_indexed)
    pending = [remote.remote(i, function, trials[i], paths[i], threads) for i in waiting]
    while pending:
        done, pending = ray.wait(pending)
        yield from ray.get(done)


def _indexed(i: int, *rest: Any) -> tuple[int, Any]:
    return i, _one(*rest)


def _one(function: Callable[..., Any], trial: dict[str, Any], path: Path | None, threads: int) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = function(**trial)
    finally:
        torch.set_num_threads(before)
    if path is not None:
        save_state(path, {"result": result})
        try:
            load_state(path)
        except InputError as error:
            path.unlink()
            raise InputError(
                f"the result of {function.__qualname__}",
                given=type(result).__name__,
                expected="numbers, strings, tensors, lists and dicts",
            ) from error
    return result


def _key(function: Callable[..., Any], trial: dict[str, Any], fingerprint: str) -> str:
    source = ""
    for where in (
        function,
        inspect.getmodule(function),
    ):  # its helpers' source counts too: a stale result is worse than a rerun
        try:
            source = inspect.getsource(where)  # type: ignore[arg-type]
        except (OSError, TypeError):
            continue
    identity = [function.__module__, function.__qualname__, source, __version__, fingerprint, _canonical(trial)]
    return hashlib.blake2b(json.dumps(identity).encode(), digest_size=16).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Tensor):
        return ["tensor", hash_tensors({"": value})]
    if isinstance(value, dict):
        return {str(k): _canonical(v) for k, v in sorted(value.items(), key=lambda item: str(item[0]))}
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, int | float | str | bool):
        return value
    raise InputError(
        "a trial's argument", given=type(value).__name__, expected="numbers, strings, tensors, lists and dicts"
    )
