"""The tasks of a Ray cluster as a spread: blocks of pieces go out, and come back in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.spreading.sending import failed, packed, sendable, settings, settle, unpacked
from deepwright.core.spreading.spread import Kept, Opened, chosen, using, work

_BLOCKS = 4  # for each worker: then none waits long for the slowest
_STREAM = 8  # pieces in a block of a stream whose length isn't known
_RETRIES = 3  # of a block whose worker died


class ClusterError(InputError, RuntimeError):
    """A cluster's worker can't do what it is sent, or died again and again."""


def require_ray() -> Any:
    """The package.

    Raises:
        MissingExtraError: it isn't installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "backend='ray'") from error
    return ray


def _said(error: BaseException) -> str:
    """What went wrong in a worker: the last line of what Ray tells of it."""
    lines = str(error).strip().splitlines()
    return lines[-1][:300] if lines else type(error).__name__


@contextmanager
def on_ray(device: torch.device) -> Iterator[Cluster]:
    """Send the pieces of every `spread_map` in the block to the running cluster, or to one on this machine.

    Args:
        device: where the network lives; a task on CUDA takes one GPU.

    Raises:
        InputError: a device that workers haven't; Ray isn't installed.
    """
    ray = require_ray()
    if device.type not in ("cpu", "cuda") or device.index not in (None, 0):
        raise InputError("backend='ray'", given=f"a network on {device}", expected="one on the CPU, or on cuda:0")
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False, include_dashboard=False)
    try:
        cluster = Cluster(ray, 1 if device.type == "cuda" else 0)
        with using(cluster):
            yield cluster
    finally:
        if ours:
            ray.shutdown()


class Cluster:
    """A spread over a Ray cluster: this process walks, workers take pieces.

    Args:
        ray: the package.
        gpus: that a task takes.

    Attributes:
        lost: why the cluster can't go on, once it can't.
    """

    def __init__(self, ray: Any, gpus: int) -> None:
        self.ray = ray
        self.lost: ClusterError | None = None
        self.workers = max(1, int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1)))
        self.task = ray.remote(_block).options(num_gpus=gpus, max_retries=_RETRIES)

    def map(self, opened: Opened, pieces: Iterable[Any], kept: Kept) -> None:
        """See `Spread`; a block whose worker dies is worked on again.

        Args:
            opened: what is done, which is put into the cluster once.
            pieces: in order; those that lie in files are read by the workers.
            kept: takes the results.
        """
        given = self.ray.put((sendable(opened, "backend='ray'"), packed(settings())))
        waiting: list[Any] = []
        number = 0
        for block in self._blocks(pieces):
            waiting.append(self.task.remote(given, *block))
            if len(waiting) > _BLOCKS * self.workers:
                number = self._take(waiting.pop(0), kept, number)
        for each in waiting:
            number = self._take(each, kept, number)

    def _take(self, block: Any, kept: Kept, number: int) -> int:
        try:
            results = self.ray.get(block)
        except self.ray.exceptions.RayError as error:
            self.lost = ClusterError(
                "a worker of the Ray cluster failed",
                given=_said(error),
                expected="workers that have the same packages, modules and files as this process",
                hint="what is finished is kept: the same command goes on there",
            )
            raise self.lost from error
        for state, message in results:
            value = unpacked(message)
            if state == "error":
                raise value
            kept(number, value)
            number += 1
        return number

    def _blocks(self, pieces: Iterable[Any]) -> Iterator[tuple[Any, list[int]]]:
        """(what holds the pieces, their numbers), a task's arguments."""
        if getattr(pieces, "in_files", False):
            shared = self.ray.put(packed(pieces))
            for numbers in self._numbers(len(pieces)):  # type: ignore[arg-type]
                yield shared, numbers
        elif isinstance(pieces, Sized):
            for numbers in self._numbers(len(pieces)):
                yield packed(list(chosen(pieces, numbers))), numbers
        else:
            stream = enumerate(pieces)
            while block := list(islice(stream, _STREAM)):
                yield packed([piece for _, piece in block]), [number for number, _ in block]

    def _numbers(self, n: int) -> Iterator[list[int]]:
        size = max(1, n // (_BLOCKS * self.workers))
        for start in range(0, n, size):
            yield list(range(start, min(n, start + size)))

    def alone(self, function: Callable[[], Any]) -> Any:
        """See `Spread`; it is done here.

        Args:
            function: the work.
        """
        with using(None):
            return function()


def _block(given: tuple[bytes, bytes], held: bytes, numbers: list[int]) -> list[tuple[str, bytes]]:
    """In a worker: the results of some pieces; after one that fails no more are worked on."""
    opened, pieces, results = unpacked(given[0]), unpacked(held), list[tuple[str, bytes]]()
    settle(unpacked(given[1]))
    some = pieces if isinstance(pieces, list) else chosen(pieces, numbers)
    try:
        work(opened, zip(numbers, some), lambda _, value: results.append(("value", packed(value))))
    except Exception as error:
        results.append(("error", failed(error)))
    return results
