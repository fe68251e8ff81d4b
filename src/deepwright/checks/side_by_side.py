"""Checks in one process, in several that share their passes, or over a cluster: the same numbers from all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch

from deepwright.checks.findings.finding import Finding
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.spreading import Cluster, Ranks, alone, on_ray, require_devices, require_ray

BACKENDS = ("local", "ray")
Run = Callable[[str, Any, Subject], Finding]


def require_spread(devices: int, backend: str, device: torch.device) -> None:
    """Refuse processes and clusters that can't be had.

    Args:
        devices: how many processes.
        backend: "local" or "ray".
        device: where the network is measured.

    Raises:
        InputError: devices that aren't there, an unknown backend, several devices beside a cluster, no Ray.
    """
    require_devices(devices, device)
    if backend not in BACKENDS:
        raise unknown_name("backend", str(backend), BACKENDS)
    if backend == "ray":
        if devices > 1:
            raise InputError(
                "devices", given=f"{devices} beside backend='ray'", expected="1: the cluster says how many workers run"
            )
        require_ray()


@contextmanager
def running_on(subject: Subject, run: Run, devices: int, backend: str) -> Iterator[Callable[[str, Any, bool], Finding]]:
    """How a check is run: (name, check, whether it is a user's own) -> finding.

    Processes and clusters start with the first check, and end with the block.

    Args:
        subject: what the checks look at.
        run: (name, check, subject) -> finding.
        devices: see `require_spread`.
        backend: likewise.

    Raises:
        InputError: see `require_spread`.
    """
    require_spread(devices, backend, subject.device)
    with ExitStack() as stack:

        @cache
        def ranks() -> Ranks:
            return stack.enter_context(Ranks(_plain(subject), devices, subject.device, _moved))

        @cache
        def cluster() -> Cluster:
            return stack.enter_context(on_ray(subject.device))

        def in_ranks(name: str, check: Any, own: bool) -> Finding:
            found: Finding = ranks().call(_beside, run, name, check, own)
            return found

        def in_cluster(name: str, check: Any, own: bool) -> Finding:
            spread = cluster()  # in force from the first check on
            found = run(name, check, subject)
            if spread.lost is not None:  # which isn't the check's own failure
                raise spread.lost
            return found

        if devices > 1:
            yield in_ranks
        elif backend == "ray":
            yield in_cluster
        else:
            yield lambda name, check, own: run(name, check, subject)


def _plain(subject: Subject) -> Subject:
    """The subject without what it has computed: each process computes that beside the others."""
    found = copy.copy(subject)
    fields = type(subject).__dataclass_fields__
    found.__dict__ = {name: value for name, value in vars(subject).items() if name in fields} | {"_outputs": {}}
    return found


def _moved(subject: Subject, device: torch.device) -> Subject:
    """In a process: the network on its device."""
    subject.model.to(device)
    return subject


def _beside(subject: Subject, run: Run, name: str, check: Any, own: bool) -> Finding:
    """In a process: a check beside the others; a user's own only in the first, on a subject that isn't shared."""
    if not own:
        return run(name, check, subject)
    return alone(lambda: run(name, check, _plain(subject)))
