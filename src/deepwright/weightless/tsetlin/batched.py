"""TsetlinWiSARD in torch, on any device: the mistakes of a batch are applied together.

Nothing in the loop waits for the device: steps are multiplied by 0 or 1 instead of being selected, and what the history
holds is read once a pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.devices import resolve
from deepwright.core.randomness import generator
from deepwright.weightless.inputs import integer
from deepwright.weightless.kernels import Rule
from deepwright.weightless.mapping import addresses, blocks
from deepwright.weightless.tsetlin.automata import TsetlinWiSARD


def train_batch(rows: Tensor, labels: Tensor, states: Tensor, rule: Rule, chance: Tensor, draw: Any) -> Tensor:
    """One batch: all its samples see the same states, and their steps add up before they are kept within 0..top.

    Args:
        rows: (samples, luts), rows of `states`.
        labels: (samples,), places among the classes.
        states: (luts * 2^n, classes) int32, changed in place.
        rule: how they learn; its `key` isn't used.
        chance: (classes,), of a step, in 256ths.
        draw: a generator on the same device.

    Returns:
        (3,) int64: samples that were right, steps up, steps down, those that were cut off at the ends too.
    """
    classes = states.shape[1]
    said = states[rows] >= rule.middle
    votes = said.sum(dim=1)
    ranked = votes.double()
    if rule.random_ties:
        ranked = ranked + 0.5 * torch.rand(ranked.shape, generator=draw, device=rows.device, dtype=ranked.dtype)
    predicted = ranked.argmax(dim=1)
    wrong = predicted != labels
    others = votes.scatter(1, labels[:, None], -1).argmax(dim=1)
    rival = torch.where(wrong, predicted, others)
    learns = torch.ones_like(wrong) if rule.mode == 2 else wrong
    if rule.mode == 1:
        ahead = votes.gather(1, labels[:, None]) - votes.gather(1, rival[:, None])
        learns = wrong | (ahead[:, 0] < rule.margin)
    steps, change = [], torch.zeros_like(states).reshape(-1)
    for label, sign in ((labels, 1), (rival, -1)):
        drawn = torch.randint(0, 256, rows.shape, generator=draw, device=rows.device) < chance[labels, None]
        now = drawn & learns[:, None]
        if rule.only_wrong:
            own = said.gather(2, label[:, None, None].expand(-1, rows.shape[1], 1))[:, :, 0]
            now = now & (own != (sign > 0))
        change.index_add_(0, (rows * classes + label[:, None]).reshape(-1), sign * now.reshape(-1).to(states.dtype))
        steps.append(now.sum())
    states.add_(change.reshape(states.shape)).clamp_(0, rule.top)
    return torch.stack([(~wrong).sum(), *steps])


class TorchTsetlinWiSARD(TsetlinWiSARD):
    """`TsetlinWiSARD` whose passes run in torch, a batch at a time, where `device` says.

    With `batch_size=1`, `p_update=1` and `tie="first"` the states are those of `TsetlinWiSARD`. Larger batches take
    another path: all samples of a batch see the states before it. A seed gives the same states again on the same kind
    of device. Cuts of a stream for `partial_fit` change the batches and so the states.

    Args:
        n_inputs: bits that a table reads, n, 1..16.
        n_luts: tables of each class, L.
        n_states: of an automaton, even, 2..65536.
        p_update: q in (0, 1], rounded to 256ths.
        epochs: passes of `fit`.
        update: as in `TsetlinWiSARD`.
        margin: as in `TsetlinWiSARD`.
        tie: as in `TsetlinWiSARD`.
        shuffle: another order in each epoch.
        only_wrong_votes: as in `TsetlinWiSARD`.
        class_weight: as in `TsetlinWiSARD`.
        early_stopping: as in `TsetlinWiSARD`.
        patience: as in `TsetlinWiSARD`.
        init: as in `TsetlinWiSARD`.
        temperature: of `predict_proba`.
        random_state: seed of mapping, states, order and draws; None for another one each time.
        max_memory: bytes of states that are allowed.
        engine: of predictions: `auto`, `numba` or `numpy`.
        batch_size: samples whose mistakes are applied together.
        device: where passes run.

    Attributes:
        states_: (n_luts, 2^n, classes), uint8 or uint16.
        history_: as in `TsetlinWiSARD`; steps that were cut off at the ends of a state are counted too.
    """

    def __init__(
        self,
        n_inputs: int = 6,
        n_luts: int = 300,
        n_states: int = 256,
        p_update: float = 0.5,
        epochs: int = 30,
        update: str = "errors",
        margin: int = 1,
        tie: str = "random",
        shuffle: bool = True,
        only_wrong_votes: bool = False,
        class_weight: str | None = None,
        early_stopping: bool = False,
        patience: int = 5,
        init: str = "shared",
        temperature: float = 1.0,
        random_state: Any = None,
        max_memory: int = 2 << 30,
        engine: str = "auto",
        batch_size: int = 32,
        device: str = "cpu",
    ) -> None:
        super().__init__(
            n_inputs,
            n_luts,
            n_states,
            p_update,
            epochs,
            update,
            margin,
            tie,
            shuffle,
            only_wrong_votes,
            class_weight,
            early_stopping,
            patience,
            init,
            temperature,
            random_state,
            max_memory,
            engine,
        )
        self.batch_size, self.device = batch_size, device

    def _options(self) -> None:
        super()._options()
        integer(self.batch_size, "batch_size", 1, 1 << 30)
        resolve(self.device, "device")

    def _pass(self, bits: np.ndarray, truth: np.ndarray, order: np.ndarray, chances: np.ndarray) -> None:
        device = resolve(self.device, "device")
        rule = self._rule(chances)
        states = torch.from_numpy(self.states_.astype(np.int32)).flatten(0, 1).to(device)
        draw = generator(self.seed_, "weightless torch draws", self.n_seen_, device=device)
        chance, totals = torch.from_numpy(chances).to(device), torch.zeros(3, dtype=torch.int64, device=device)
        starts = torch.arange(len(self.mapping_), device=device) << self.mapping_.shape[1]
        for part in blocks(len(order), len(self.mapping_) * 8):
            rows = torch.from_numpy(addresses(bits[order[part]], self.mapping_).astype(np.int64)).to(device)
            labels = torch.from_numpy(truth[order[part]].astype(np.int64)).to(device)
            for at, label in zip(rows.split(self.batch_size), labels.split(self.batch_size)):
                totals += train_batch(starts + at, label, states, rule, chance, draw)
        self.states_ = states.cpu().numpy().astype(self.states_.dtype).reshape(self.states_.shape)
        self.n_seen_ += len(order)
        self._seen_pass(totals.tolist(), len(order))
