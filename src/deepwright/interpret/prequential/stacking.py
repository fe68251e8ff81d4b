"""The training of one stack: rounds of steps, a look at validation samples after each, masks for who has stopped."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F

from deepwright.core.randomness import derive_seed, generator, local_rng
from deepwright.core.requirements import require_number, require_positive, require_whole

Pair = tuple[Tensor, Tensor]
"""Inputs and labels."""
_WIDTHS = (8, 32)  # batches are padded to these, or to the batch size: networks on few samples share their products


@dataclass(frozen=True)
class FitConfig:
    """How every network of a stack is trained.

    Attributes:
        lr: of AdamW.
        weight_decay: of AdamW, not on biases and norms.
        batch_size: samples a step; all of a smaller prefix. Batches of a larger one are drawn with replacement.
        max_steps: of the optimiser.
        check_every: steps between two looks at the validation samples; max(20, min(100, ceil(n / 64))) when None,
            rounded up to a multiple of 20.
        patience: looks without a gain after which a network stops.
        min_delta: of the validation loss (nats), below which a gain is none.
        restore_best: the weights of the best look; those of the last one otherwise.
        calibrate: also fit one factor of the logits on the validation samples.
        together: networks in one stack at most.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 64
    max_steps: int = 2000
    check_every: int | None = None
    patience: int = 5
    min_delta: float = 5e-4
    restore_best: bool = True
    calibrate: bool = False
    together: int = 64

    def __post_init__(self) -> None:
        require_positive(lr=self.lr)
        require_number(0, weight_decay=self.weight_decay, min_delta=self.min_delta)
        counts = {name: getattr(self, name) for name in ("batch_size", "max_steps", "patience", "together")}
        require_whole(1, **counts, **({} if self.check_every is None else {"check_every": self.check_every}))

    @property
    def look(self) -> int:
        """Steps of one round, at whose end the networks that are due are looked at."""
        return 20 if self.check_every is None else self.check_every

    def rounds(self, n: int) -> int:
        """Rounds between two looks at a network of n samples.

        Args:
            n: of its prefix.
        """
        return 1 if self.check_every is not None else math.ceil(max(20, min(100, math.ceil(n / 64))) / 20)

    def width(self, n: int) -> int:
        """Places in a batch of n samples.

        Args:
            n: of the prefix.
        """
        batch = min(n, self.batch_size)
        return next((w for w in _WIDTHS if batch <= w < self.batch_size), self.batch_size)


def outputs(network: nn.Module, state: Mapping[str, Tensor], x: Tensor, shared: bool) -> Tensor:
    """(networks, n, classes) outputs of stacked networks.

    Args:
        network: their shape.
        state: parameters and buffers, the networks along the first axis.
        x: (n, ...) inputs, or (networks, n, ...) where each has its own.
        shared: which of the two.
    """

    def one(own: dict[str, Tensor], batch: Tensor) -> Tensor:
        return functional_call(network, own, (batch,))  # type: ignore[no-any-return]

    called = torch.func.vmap(one, in_dims=(0, None if shared else 0), randomness="different")
    return called(dict(state), x)  # type: ignore[no-any-return]


class Group:
    """Networks whose batches have one width, in training.

    Args:
        networks: of one shape; copies of them are trained.
        train: (inputs, classes), where and as the networks are.
        prefixes: rows that each may see.
        validation: for stopping; None trains all to the end.
        config: of the training.
        seeds: of each one's batches.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        train: Pair,
        prefixes: Sequence[Tensor],
        validation: Pair | None,
        config: FitConfig,
        seeds: Sequence[int],
    ) -> None:
        self.samples, self.validation, self.config, self.seed = train, validation, config, seeds[0]
        device, m = train[0].device, len(networks)
        parameters, buffers = stack_module_state(list(networks))
        self.network = copy.deepcopy(networks[0]).train()
        self.learnt = {name for name, p in networks[0].named_parameters() if p.requires_grad}
        self.buffers = {name: b.detach().clone() for name, b in buffers.items()}
        self.state = {name: p.detach().clone() for name, p in parameters.items()}
        self.kept = {name: value.clone() for name, value in self.state.items()}
        self.draws = [generator(seed, "batches") for seed in seeds]
        sizes = [len(p) for p in prefixes]
        self.width, longest = config.width(max(sizes)), max(sizes)
        self.rows = torch.stack([F.pad(p.to(device), (0, longest - len(p))) for p in prefixes])
        self.size = torch.tensor(sizes, device=device)
        self.rounds = torch.tensor([config.rounds(n) for n in sizes], device=device)
        self.live = torch.arange(m, device=device)  # places of those that are still in the stack
        self.on = torch.ones(m, dtype=torch.bool, device=device)  # of these, the ones that haven't stopped
        self.best = torch.full((m,), math.inf, device=device)
        self.idle, self.steps = torch.zeros(2, m, dtype=torch.long, device=device)
        self.optimizer = self._optimizer({})

    def _optimizer(self, moments: Mapping[str, dict[str, Tensor]]) -> torch.optim.Optimizer:
        """AdamW on the stack as it is now, with the moments that it had."""
        named = {name: self.state[name].requires_grad_() for name in self.state if name in self.learnt}
        groups = [  # one axis more than a network's own: weights have three and more
            {"params": [p for p in named.values() if p.ndim > 2], "weight_decay": self.config.weight_decay},
            {"params": [p for p in named.values() if p.ndim <= 2], "weight_decay": 0.0},
        ]
        fused = self.rows.device.type in ("cpu", "cuda")
        made = torch.optim.AdamW([g for g in groups if g["params"]], self.config.lr, fused=fused)
        for name, moment in moments.items():
            made.state[named[name]] = moment
        return made

    def train(self) -> dict[str, Tensor]:
        """All rounds; the weights that were kept, and buffers."""
        config = self.config
        with local_rng(derive_seed("stack", seed=self.seed)), torch.enable_grad():
            taken = 0
            while taken < config.max_steps:
                steps = min(config.look, config.max_steps - taken)
                self._round(steps)
                taken += steps
                self.steps[self.live] += steps * self.on
                self._look(math.ceil(taken / config.look), last=taken == config.max_steps)
                if not self._go_on():
                    break
        self.network.eval().requires_grad_(False)
        return {**self.kept, **self.buffers}

    def _round(self, steps: int) -> None:
        x, y = self.samples
        batches, weights = self._batches(steps)
        weights = weights * self.on[:, None]
        own = {name: b[self.live] for name, b in self.buffers.items()}
        for rows in batches.unbind(1):
            out = outputs(self.network, {**self.state, **own}, x[rows], shared=False)
            loss = F.cross_entropy(_exact(out).flatten(0, 1), y[rows].flatten(), reduction="none").view_as(rows)
            self.optimizer.zero_grad()
            (loss * weights).sum().backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()

    def _batches(self, steps: int) -> tuple[Tensor, Tensor]:
        """(networks, steps, width) rows of the data, and the weight of each network's places."""
        device = self.rows.device
        drawn = torch.stack([torch.rand(steps, self.width, generator=draw) for draw in self.draws]).to(device)
        size, place = self.size[self.live][:, None], torch.arange(self.width, device=device)[None]
        some = (drawn * size[..., None]).long().minimum(size[..., None] - 1)
        whole = place.minimum(size - 1)[:, None].expand_as(some)
        chosen = torch.where((size > self.config.batch_size)[..., None], some, whole)
        rows = self.rows[self.live].gather(1, chosen.flatten(1)).view_as(chosen)
        return rows, (place < size) / size.clamp_max(self.width)

    @torch.no_grad()
    def _look(self, number: int, last: bool) -> None:
        """Keep what has got better, stop what hasn't for long."""
        due = self.on & ((number % self.rounds[self.live] == 0) | last)
        better = due
        if self.validation is not None:
            value, best = self._validation_loss(), self.best[self.live]
            better = due & (value < best - self.config.min_delta)
            self.best[self.live] = torch.where(better, value, best)
            idle = self.idle[self.live] + due.long()
            self.idle[self.live] = idle.where(~better, torch.zeros_like(idle))
            self.on &= self.idle[self.live] < self.config.patience
        keep = better if self.config.restore_best else due
        for name, value in self.state.items():
            mask = keep.view(-1, *[1] * (value.ndim - 1))
            self.kept[name][self.live] = torch.where(mask, value, self.kept[name][self.live])

    def _validation_loss(self) -> Tensor:
        assert self.validation is not None
        x, y = self.validation
        own = {name: b[self.live] for name, b in self.buffers.items()}
        self.network.eval()
        out = _exact(outputs(self.network, {**self.state, **own}, x, shared=True))
        self.network.train()
        loss = F.cross_entropy(out.flatten(0, 1), y.repeat(len(out)), reduction="none").view(len(out), -1).mean(1)
        return loss.to(self.best.dtype).nan_to_num(nan=math.inf)

    def _go_on(self) -> bool:
        """Whether any is left; the stopped leave the stack when they are half of it. The one question to the host."""
        on = self.on.tolist()
        if 2 * sum(on) <= len(on) and any(on):
            moments = {name: self.optimizer.state[self.state[name]] for name in self.learnt}
            kept = self.on
            self.state = {name: value.detach()[kept] for name, value in self.state.items()}
            self.live, self.on = self.live[kept], kept[kept]
            self.draws = [draw for draw, alive in zip(self.draws, on) if alive]
            left = {name: {k: _left(v, kept) for k, v in moment.items()} for name, moment in moments.items()}
            self.optimizer = self._optimizer(left)
        return any(on)


def _left(value: Tensor, kept: Tensor) -> Tensor:
    """Of an optimiser's state: moments are those of the networks, the count of steps is one for all."""
    return value[kept] if value.ndim else value


def _exact(out: Tensor) -> Tensor:
    return out if out.dtype in (torch.float32, torch.float64) else out.float()
