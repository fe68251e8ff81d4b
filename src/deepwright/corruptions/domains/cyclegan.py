"""Learning the way from one domain to another, and back, from pictures that aren't paired."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.data import Dataset

from deepwright.core.devices import Compute, back_to, to_model
from deepwright.core.errors import InputError
from deepwright.core.files import ForeignFileError, load_state, save_state
from deepwright.core.fit import FitResult, fit
from deepwright.core.inference import frozen
from deepwright.core.randomness import Streams, local_rng
from deepwright.core.requirements import require_number, require_positive, require_whole
from deepwright.corruptions.domains.adapters import as_perturbation
from deepwright.corruptions.domains.networks import Generator, PatchDiscriminator
from deepwright.corruptions.domains.targets import target_pictures
from deepwright.corruptions.engine import Perturbation

_POOL = 50  # pictures that were generated before, which a discriminator sees again
_LEAST = 24  # pixels a side that a discriminator needs


class CycleGAN(nn.Module):
    """Two generators, there and back, each held by a discriminator and by the way round.

    Losses of least squares, |back(there(x)) - x| times 10 and |there(y) - y| times 5. Train it with
    `fit(day, night)`; what is shown here is what it does before. Source: arXiv 1703.10593.

    Example:
        >>> import torch
        >>> from deepwright.corruptions import CycleGAN
        >>> gan = CycleGAN(width=4, blocks=1)
        >>> gan.perturbation("night")(torch.rand(2, 3, 24, 24), severity=3).shape
        torch.Size([2, 3, 24, 24])

    Args:
        width: channels of the first layers; 64 in the paper.
        blocks: residual blocks of a generator.
        seed: of the first weights.
    """

    def __init__(self, width: int = 64, blocks: int = 6, *, seed: int = 0) -> None:
        super().__init__()
        require_whole(1, width=width, blocks=blocks)
        self.width, self.blocks = width, blocks
        with local_rng(seed):
            self.there, self.back = Generator(width, blocks), Generator(width, blocks)
            self.judges = nn.ModuleList(PatchDiscriminator(width) for _ in range(2))

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """The pictures in the target domain.

        Args:
            x: in [0, 1].
        """
        made: Tensor = self.there(x)
        return made

    def fit(
        self,
        source: Tensor | Path | str,
        target: Tensor | Path | str,
        *,
        epochs: int = 200,
        batch_size: int = 1,
        lr: float = 2e-4,
        cycle: float = 10.0,
        identity: float = 5.0,
        seed: int = 0,
        checkpoint: Path | str | None = None,
        compute: Compute = Compute(),  # noqa: B008 - frozen
    ) -> FitResult:
        """Train on unpaired pictures: Adam with betas (.5, .999), its rate falling to 0 over the second half.

        Args:
            source: pictures of the one domain, (M, 3, h, w) or a folder; see `target_pictures`.
            target: of the other, of the same size.
            epochs: passes over the larger set.
            batch_size: pairs a step.
            lr: of both halves.
            cycle: weight of the way round.
            identity: weight of leaving what is in the target domain already.
            seed: of order and pairs.
            checkpoint: see `core.fit.fit`.
            compute: device and precision.

        Raises:
            InputError: what is no set of pictures, of two sizes, or under 24 pixels a side; numbers out of range; what
                `core.fit.fit` refuses.
        """
        sets = target_pictures(source), target_pictures(target)
        sizes = [tuple(each.shape[1:]) for each in sets]
        if sizes[0] != sizes[1] or min(sizes[0][1:]) < _LEAST:
            expected = f"one size, {_LEAST} pixels or more a side"
            raise InputError("pictures", given=" and ".join(map(str, sizes)), expected=expected)
        require_positive(lr=lr, cycle=cycle)
        require_number(0, identity=identity)
        return fit(
            _Objective(self, sizes[0], cycle, identity),
            _Unpaired(*sets),
            epochs=epochs,
            batch_size=batch_size,
            step=_loss,
            optimizer=_Adam(lr),
            scheduler=_falling,
            checkpoint=checkpoint,
            seed=seed,
            compute=compute,
            description="cyclegan",
        )

    def transform(self, images: Float[Tensor, "n 3 h w"], *, back: bool = False) -> Float[Tensor, "n 3 h w"]:
        """Pictures in the other domain, where they were.

        Args:
            images: in [0, 1].
            back: from the target domain to the source.
        """
        with torch.no_grad(), frozen(self):
            made = (self.back if back else self.there)(to_model(images, self))
        return back_to(made.to(images.dtype), images).clamp(0, 1)

    def perturbation(self, name: str = "cyclegan") -> Perturbation:
        """The way there as a perturbation, mixed in by .2, .4, .6, .8 and 1.

        Args:
            name: of the perturbation.
        """
        return as_perturbation(self.transform, name)

    def save(self, path: Path | str) -> Path:
        """Write the weights under a checksum.

        Args:
            path: where to.
        """
        return save_state(path, {"kind": "cyclegan", "size": [self.width, self.blocks], "weights": self.state_dict()})

    @classmethod
    def load(cls, path: Path | str) -> CycleGAN:
        """Read what `save` wrote.

        Args:
            path: where from.

        Raises:
            InputError: a file that is damaged, or another one.
        """
        state = load_state(path)
        if not isinstance(state, dict) or state.get("kind") != "cyclegan":
            raise ForeignFileError(
                f"cannot read {path}", given="another state", expected="one that CycleGAN.save wrote"
            )
        found = cls(*state["size"])
        found.load_state_dict(state["weights"])
        return found


class _Unpaired(Dataset[tuple[Tensor, Tensor]]):
    """Each picture of the larger set beside one of the other that is drawn anew each time."""

    def __init__(self, source: Tensor, target: Tensor) -> None:
        self.source, self.target = source, target

    def __len__(self) -> int:
        return max(len(self.source), len(self.target))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        short = self.target if len(self.source) >= len(self.target) else self.source
        other = int(torch.randint(len(short), ()))
        if short is self.target:
            return self.source[index], self.target[other]
        return self.source[other], self.target[index]


class _Objective(nn.Module):
    """(source, target) -> one number whose gradients are those of both games.

    What generators lower goes through discriminators whose weights are held, what discriminators lower sees pictures
    without their history: one step on the sum is a step of each player.
    """

    pools: Tensor
    generated: Tensor

    def __init__(self, gan: CycleGAN, size: tuple[int, ...], cycle: float, identity: float) -> None:
        super().__init__()
        self.gan, self.cycle, self.identity = gan, cycle, identity
        self.register_buffer("pools", torch.zeros(2, _POOL, *size))
        self.register_buffer("generated", torch.zeros((), dtype=torch.long))  # pictures, each way

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        gan, total = self.gan, x.new_zeros(())
        generators, before = (gan.there, gan.back), int(self.generated)
        for way, (given, wanted) in enumerate(((x, y), (y, x))):
            forth, home = generators[way], generators[1 - way]
            made = forth(given)
            total = total + _squares(_held(gan.judges[way], made), 1.0)
            total = total + self.cycle * F.l1_loss(home(made), given)
            total = total + self.identity * F.l1_loss(forth(wanted), wanted)
            seen = self._pooled(way, made.detach(), before)
            judge = gan.judges[way]
            total = total + 0.5 * (_squares(judge(wanted), 1.0) + _squares(judge(seen), 0.0))
        self.generated += len(x)
        return total

    def _pooled(self, way: int, made: Tensor, before: int) -> Tensor:
        """Half of the pictures from before, in whose place the new ones are kept; the first ones fill the pool."""
        u = Streams(way, len(made), "image pool", before).uniform(2).tolist()
        seen = made.clone()
        pool = self.pools[way]
        for i, (again, place) in enumerate(u):
            number = before + i
            if number < _POOL:
                pool[number] = made[i]
            elif again < 0.5:
                at = int(place * _POOL)
                seen[i] = pool[at]
                pool[at] = made[i]
        return seen


def _held(judge: nn.Module, made: Tensor) -> Tensor:
    """Its scores, with weights that no gradient reaches."""
    scores: Tensor = functional_call(judge, {name: p.detach() for name, p in judge.named_parameters()}, (made,))
    return scores


def _squares(scores: Tensor, wanted: float) -> Tensor:
    return (scores - wanted).square().mean()


def _loss(objective: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    value: Tensor = objective(x, y)
    return value


class _Adam:
    """parameters -> Adam with the betas of the paper."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def __call__(self, parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.lr, betas=(0.5, 0.999))


def _falling(optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """The full rate over the first half of the steps, then down to 0."""
    half = steps / 2
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, max(0.0, (steps - step) / half)))
