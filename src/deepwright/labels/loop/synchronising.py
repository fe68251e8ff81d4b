"""The selectors of a loop's rounds: which one is in force, how it is trained, and what it learns from the one before.

With synchronisation, what a selector learned goes into the whole network every few rounds; that is trained, and the
next selector is pruned from it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from deepwright.core.copies import copied
from deepwright.core.errors import InputError
from deepwright.core.identity import Digest
from deepwright.core.randomness import derive_seed, generator
from deepwright.core.resume import Resume
from deepwright.labels.loop.state import LoopState
from deepwright.labels.loop.training import Trainer

Data = Callable[[int], tuple[Tensor, Tensor]]


class RoundSelectors:
    """The selector of each round, as a function of the labels that the round began with.

    Args:
        given: the first one.
        trainer: of selectors and whole networks.
        state: of the loop. Synchronised networks are kept beside its file, so that none is trained twice.
        data: round -> (inputs, labels) that it began with.
        t_sync: rounds between two synchronisations; 0 for none.
        seed: of the loop.

    Attributes:
        current: the selector in force.
    """

    def __init__(self, given: Any, trainer: Trainer, state: LoopState, data: Data, t_sync: int, seed: int) -> None:
        self.given = self.current = given
        self.trainer, self.state, self.data, self.t_sync, self.seed = trainer, state, data, t_sync, seed
        self._since = 0  # the round from which on `current` is in force
        self._trained: tuple[int, nn.Module] | None = None  # a round, and its selector

    def enter(self, number: int) -> float:
        """Put the selector of a round in force; gives the MACs of its synchronisation, where it has one.

        Args:
            number: of the round.
        """
        if not self.t_sync or number < 1:
            return 0.0
        latest = number - number % self.t_sync
        if latest and latest != self._since:
            self._synchronise(latest)
        if number % self.t_sync:
            return 0.0
        # three passes' worth a sample and epoch
        return 3.0 * getattr(self.trainer, "epochs", 0) * len(self.state.before(number)) * self.current.macs[1]

    def trained(self, number: int) -> nn.Module:
        """The trained selector of a round; the latest is remembered.

        Args:
            number: of the round; its selector is in force.

        Raises:
            InputError: the trainer gave no network.
        """
        if self._trained is None or self._trained[0] != number:
            model = self.trainer(self.current.fresh(), *self.data(number), number, self._seed("train", number))
            if not isinstance(model, nn.Module):
                raise InputError("trainer", given=f"it returned {type(model).__name__}", expected="the trained model")
            self._trained = number, model
        return self._trained[1]

    def _seed(self, name: str, number: int) -> int:
        return derive_seed(name, number, seed=self.seed) % 2**31

    def _synchronise(self, number: int) -> None:
        """Train and prune the whole network of a round, or take it from the disk."""
        with Resume(self._path(number), self._made_from(number), kind="synchronised network") as kept:
            found = kept.load()
            if found is None:
                whole = self._whole(number)
                kept.finish({"model": whole.state_dict()})
            else:
                whole = copied(self.given.dense)
                whole.load_state_dict(found["model"])
        self.current = self.given.of(whole, generator(self._seed("prune", number)))
        self._since, self._trained = number, None

    def _whole(self, number: int) -> nn.Module:
        """The whole network, trained from what the selector of the round before learned."""
        previous = number - self.t_sync
        if previous > 0 and self._since != previous:  # its file is gone or damaged
            self._synchronise(previous)
        small = self.trained(max(number - 1, 1))
        fused = self.current.fuse(small, generator=generator(self._seed("fuse", number)))
        return self.trainer(fused, *self.data(number), number, self._seed("sync", number))

    def _path(self, number: int) -> Path | None:
        file = self.state.path
        return None if file is None else file.with_name(f"{file.stem}.sync-{number}.pt")

    def _made_from(self, number: int) -> dict[str, Any]:
        loop = {name: Digest(part) for name, part in self.state.identity.items()}
        return {"loop": loop, "round": number, "labels": sorted(self.state.before(number).items())}
