"""CPU seconds of many small trainings, of permuted reliance and of a block code, beside loops and peers.

`python benchmarks/prequential.py` prints them; `preqtorch` (0.2.0) is compared where it is installed.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.data import WatermarkedColouredDigits, mnist_5k
from deepwright.interpret import (
    ColumnAttributes,
    FitConfig,
    TorchLearner,
    online_code_length,
    permutation_reliance,
    train_stack,
)
from deepwright.interpret.prequential.stacks import make_networks
from deepwright.nets import mlp

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600)
RUNS, STEPS, REPEATS = 5, 200, 3
BLOCKS = (32, 64, 128, 256, 512, 1024)


def run() -> list[dict[str, Any]]:
    """Rows of (what, ours, peer, theirs, ratio, note)."""
    return [*_trainings(), *_reliance(), *_codes()]


def _row(what: str, ours: float, peer: str, theirs: float, note: str) -> dict[str, Any]:
    return {"what": what, "ours": ours, "peer": peer, "theirs": theirs, "ratio": theirs / ours, "note": note}


def _cpu(call: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    found = call()
    return time.process_time() - begin, found


def _digits(n: int = 4200) -> tuple[Tensor, Tensor]:
    images, digits = mnist_5k()
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))[:n]
    made = WatermarkedColouredDigits(images[order, 0], digits[order], flip_prob=0.0, size=14, channels=2)
    x, y = made.view()
    return x.flatten(1), y


def _network(seed: int) -> nn.Module:
    return mlp(392, 2, (128, 128))


def _narrow(seed: int) -> nn.Module:
    return mlp(16, 2, (32,))


def _trainings() -> list[dict[str, Any]]:
    """13 sizes and 5 runs side by side, one by one, and by a plain loop: networks of the study, and of a table."""
    x, y = _digits()
    few = torch.nn.functional.normalize(x[:, ::25][:, :16])
    return [*_beside("networks of the study", _network, x, y), *_beside("networks of 16 columns", _narrow, few, y)]


def _beside(words: str, make: Callable[[int], nn.Module], x: Tensor, y: Tensor) -> list[dict[str, Any]]:
    train, held = (x[:3600], y[:3600]), (x[3600:], y[3600:])
    order = torch.randperm(3600, generator=torch.Generator().manual_seed(1))
    prefixes = [order[:n] for n in SIZES for _ in range(RUNS)]
    networks = make_networks(make, range(len(prefixes)))
    config = FitConfig(max_steps=STEPS)

    def single() -> None:
        for i, (network, rows) in enumerate(zip(networks, prefixes)):
            train_stack([network], train, [rows], held, config, [i])

    def plain() -> None:
        for i, rows in enumerate(prefixes):
            _plain_loop(make_networks(make, [i])[0], train, rows, held, config)

    ways = {"one by one": single, "plain loop": plain}
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        ours.append(_cpu(lambda: train_stack(networks, train, prefixes, held, config))[0])
        for name, way in ways.items():
            theirs[name].append(_cpu(way)[0])
    what, mine = f"{len(prefixes)} {words}, {STEPS} steps at most (CPU s)", sorted(ours)[REPEATS // 2]
    notes = {"one by one": "the same results", "plain loop": "torch alone, the same looks and patience"}
    return [_row(what, mine, name, sorted(t)[REPEATS // 2], notes[name]) for name, t in theirs.items()]


def _plain_loop(network: nn.Module, train: Any, rows: Tensor, held: Any, config: FitConfig) -> None:
    """What one would write: index batches, AdamW, a look every 20 steps."""
    optimizer = torch.optim.AdamW(network.parameters(), config.lr, weight_decay=config.weight_decay)
    draw = torch.Generator().manual_seed(0)
    best, idle = float("inf"), 0
    for step in range(1, config.max_steps + 1):
        few = len(rows) <= config.batch_size
        batch = rows if few else rows[torch.randint(len(rows), (config.batch_size,), generator=draw)]
        optimizer.zero_grad()
        F.cross_entropy(network(train[0][batch]), train[1][batch]).backward()
        optimizer.step()
        if step % (config.rounds(len(rows)) * 20) == 0:
            with torch.no_grad():
                loss = float(F.cross_entropy(network(held[0]), held[1]))
            best, idle = (loss, 0) if loss < best - config.min_delta else (best, idle + 1)
            if idle == config.patience:
                break


def _reliance() -> list[dict[str, Any]]:
    """Ten columns of four values, 200 permutations of 200 rows each."""
    from sklearn.inspection import permutation_importance
    from sklearn.neural_network import MLPClassifier

    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 4, (1200, 10), generator=draw).float()
    y = (x[:, 0] + x[:, 1] > 3).long()
    model = MLPClassifier((64,), max_iter=60, random_state=0).fit(x[200:].numpy(), y[200:].numpy())
    few, labels = x[:200], y[:200]
    view = ColumnAttributes(few, labels, {str(c): [c] for c in range(10)})

    def predict(rows: Tensor) -> Tensor:
        return torch.from_numpy(model.predict_proba(rows.numpy()))

    def ours() -> list[float]:
        return [permutation_reliance(predict, view, str(c), 200).drop for c in range(10)]

    def theirs() -> Any:
        return permutation_importance(model, few.numpy(), labels.numpy(), n_repeats=200, random_state=0)

    mine, peers = [], []
    for _ in range(REPEATS):
        seconds, drops = _cpu(ours)
        mine.append(seconds)
        seconds, found = _cpu(theirs)
        peers.append(seconds)
    apart = max(abs(a - b) for a, b in zip(drops, found.importances_mean))
    times = sorted(mine)[REPEATS // 2], sorted(peers)[REPEATS // 2]
    note = f"drops differ by {apart:.4f} at most: other permutations"
    return [_row("permuted reliance, 10 columns (CPU s)", times[0], "scikit-learn", times[1], note)]


def _codes() -> list[dict[str, Any]]:
    """A block code of the same blocks by the same network, whose first block each codes in its own way."""
    try:
        from preqtorch import BlockEncoder, ModelClass
    except ImportError:
        return []
    x, y = _digits(BLOCKS[-1])
    config = FitConfig(max_steps=400, calibrate=False)

    def ours(seed: int) -> float:
        def learner(s: int) -> TorchLearner:
            return TorchLearner(_network, config, s)

        code = online_code_length(learner, x, y, BLOCKS, held_out=0.2, seed=seed)
        return code.total - code.per_block[0]

    def theirs(seed: int) -> float:
        return _preqtorch(BlockEncoder, ModelClass, x, y, seed)

    mine, peers = zip(*((_cpu(lambda s=s: ours(s)), _cpu(lambda s=s: theirs(s))) for s in range(REPEATS)))
    lengths = [", ".join(f"{bits:.0f}" for _, bits in found) for found in (mine, peers)]
    note = f"bits after the first block, by seed: {lengths[0]}; theirs {lengths[1]}"
    times = [sorted(s for s, _ in found)[REPEATS // 2] for found in (mine, peers)]
    return [_row("block code of 1,024 digits (CPU s)", times[0], "preqtorch", times[1], note)]


def _preqtorch(encoder: Any, model_class: Any, x: Tensor, y: Tensor, seed: int) -> float:
    """Their block encoder, with its own training loop and stopping."""
    from torch.utils.data import DataLoader, TensorDataset

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = _network(seed)

        def forward(self, batch: Any) -> Tensor:
            return self.net(batch[0])  # type: ignore[no-any-return]

    def loss(batch: Any, output: Tensor) -> Tensor:
        return F.cross_entropy(output, batch[1], reduction="none") / torch.log(torch.tensor(2.0))

    starts = (0, *BLOCKS[:-1])
    evaluated = [DataLoader(TensorDataset(x[a:b], y[a:b]), 64) for a, b in zip(starts, BLOCKS)]
    trained = [DataLoader(TensorDataset(x[:b], y[:b]), 64, shuffle=True) for b in BLOCKS]
    with contextlib.redirect_stdout(io.StringIO()):
        made = encoder(model_class(Network, "cpu"), device="cpu")
        found = made.encode(trained, evaluated, "digits", seed, loss, learning_rate=1e-3, epochs=30, patience=5)
    return float(found.code_length) - float(found.history[0])


if __name__ == "__main__":
    torch.set_num_threads(1)
    for row in run():
        both = f"ours {row['ours']:.2f}, {row['peer']} {row['theirs']:.2f} ({row['ratio']:.1f} x)"
        print(f"{row['what']}: {both}; {row['note']}")
