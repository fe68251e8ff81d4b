"""Synchronisation: what a selector learned goes into the whole network, from which the next selector is pruned."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from deepwright.core.identity import Digest
from deepwright.core.randomness import derive_seed, generator
from deepwright.core.resume import Resume
from deepwright.labels.loop.training import Trainer
from deepwright.labels.prunefuse.selector import PrunedSelector


class Synchroniser:
    """Fuse, train the whole network, prune it again: the next selector starts from what was learned.

    A synchronised network is a function of the loop and the labels of that round; it is kept beside the loop's file under
    both, so that it isn't trained twice.

    Args:
        trainer: of the whole network.
        seed: of the loop.
        checkpoint: of the loop, or None to keep nothing.
        identity: of the loop.
    """

    def __init__(self, trainer: Trainer, seed: int, checkpoint: Path | None, identity: Mapping[str, str]) -> None:
        self.trainer, self.seed, self.checkpoint = trainer, seed, checkpoint
        self.identity = {name: Digest(part) for name, part in identity.items()}

    def path(self, number: int) -> Path | None:
        """Where the network of a round is kept.

        Args:
            number: of the round.
        """
        if self.checkpoint is None:
            return None
        return self.checkpoint.with_name(f"{self.checkpoint.stem}.sync-{number}.pt")

    def whole(
        self, number: int, labels: Mapping[int, int], network: nn.Module, train: Callable[[], nn.Module]
    ) -> nn.Module:
        """The synchronised whole network of a round.

        Args:
            number: of the round.
            labels: sample -> class, of all that the round began with.
            network: the whole network with any weights; left as found.
            train: () -> the network, called where none is kept.
        """
        path = self.path(number)
        made_from = {"loop": self.identity, "round": number, "labels": sorted(labels.items())}
        with Resume(path, {} if path is None else made_from, kind="synchronised network") as kept:
            state = kept.load()
            if state is None:
                whole = train()
                kept.finish({"model": whole.state_dict()})
            else:
                whole = copy.deepcopy(network)
                whole.load_state_dict(state["model"])
        return whole

    def train(self, number: int, selector: PrunedSelector, small: nn.Module, x: Tensor, y: Tensor) -> nn.Module:
        """Fuse a trained selector into its whole network, and train that.

        Args:
            number: of the round.
            selector: where the trained one came from.
            small: the trained one.
            x: (n, ...) labelled inputs.
            y: (n,) labels.
        """
        fused = selector.fuse(small, generator=generator(derive_seed("fuse", number, seed=self.seed) % 2**31))
        return self.trainer(fused, x, y, number, derive_seed("sync", number, seed=self.seed) % 2**31)

    def prune(self, number: int, selector: PrunedSelector, whole: nn.Module) -> PrunedSelector:
        """The selector from a round on.

        Args:
            number: of the round.
            selector: how to prune.
            whole: the synchronised network.
        """
        return selector.of(whole, generator(derive_seed("prune", number, seed=self.seed) % 2**31))

    def macs(self, selector: PrunedSelector, labels: int) -> float:
        """What the whole network's training takes: three passes' worth a sample and epoch.

        Args:
            selector: whose whole network it is.
            labels: how many samples.
        """
        return 3.0 * getattr(self.trainer, "epochs", 0) * labels * selector.macs[1]
