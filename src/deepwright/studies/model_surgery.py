"""Surgery at three budgets against masks of the same sparsity, and on networks that nobody here wrote."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from deepwright.compress import (
    Latency,
    ShrinkGraph,
    cost,
    export,
    importance,
    mask,
    measure_latency,
    onnx_latency,
    plan,
    shrink,
)
from deepwright.core.errors import InputError
from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.statistics import mean_interval
from deepwright.core.trials import run as run_trials
from deepwright.nets import cifar_resnet, load
from deepwright.studies import Settings
from deepwright.studies.training import accuracy, built, mnist_small, train

SHARES = (0.75, 0.5, 0.25)
CRITERIA = ("l2", "taylor", "random")


def run(settings: Settings) -> StudyResult:
    """ResNet-20 cut to 75, 50 and 25 % of its MACs: accuracy, size, latency; foreign networks; masks."""
    seeds = 1 if settings.quick else 3
    grid = [{"seed": s, "epochs": 2 if settings.quick else 10} for s in range(seeds)]
    rows = run_trials(
        trial, grid, store=settings.store, jobs=settings.jobs, backend=settings.backend, description="model-surgery"
    )
    speed = _latencies()
    foreign = _foreign()
    table_rows: list[list[Any]] = []
    dense = [r["dense"] for r in rows]
    table_rows.append(
        ["dense", 1.0, int(rows[0]["params"]), int(rows[0]["macs"]), _mean(dense), _mean(dense), *speed[1.0][:2]]
    )
    for criterion in CRITERIA:
        for share in SHARES:
            cells = [r["cut"][f"{criterion}-{share}"] for r in rows]
            table_rows.append(
                [criterion, share, int(_mean([c["params"] for c in cells])), int(_mean([c["macs"] for c in cells])),
                 _mean([c["before"] for c in cells]), _mean([c["after"] for c in cells]), *speed[share][:2]]
            )  # fmt: skip
    columns = [
        "importance",
        "MACs kept",
        "params",
        "MACs",
        "accuracy cut",
        "accuracy after 3 epochs",
        "eager ms",
        "ONNX Runtime ms",
    ]
    table = Table(
        columns,
        table_rows,
        f"ResNet-20 on 28 x 28 digits, means over {seeds} seeds; latency of a batch of 32 on one thread",
    )
    errors = [c["error"] for r in rows for c in r["cut"].values()]
    loss = [r["dense"] - r["cut"]["taylor-0.5"]["after"] for r in rows]
    gain = [r["cut"]["taylor-0.25"]["after"] - r["cut"]["random-0.25"]["after"] for r in rows]
    onnx_gain, eager_gain = speed[1.0][1] / speed[0.25][1], speed[1.0][0] / speed[0.25][0]
    masked = speed["mask"][0] / speed[1.0][0]
    claims = [
        Claim.at_most("every cut equals its masked original (largest difference, float64)", max(errors), 1e-9),
        Claim.at_least("25 % of the MACs: ONNX Runtime at least 1.5x faster (batch 32, one thread)", onnx_gain, 1.5),
        Claim.at_least("25 % of the MACs: eager PyTorch at least 1.5x faster", eager_gain, 1.5),
        Claim.at_least("a mask of the same units isn't faster: time over the dense network's", masked, 0.9),
        Claim.at_most(
            "half of the MACs (Taylor) after 3 epochs: accuracy within 1 point of the dense network", loss, 0.01
        ),
        Claim.at_least("25 % of the MACs after 3 epochs: Taylor above units chosen at random", gain, 0.0),
        Claim.at_least(
            "foreign networks at 60 % of their MACs: share proved", _mean([float(f[5] == "yes") for f in foreign]), 1.0
        ),
        Claim.at_least(
            "foreign networks: share whose ONNX file agrees", _mean([float(f[7] == "yes") for f in foreign]), 1.0
        ),
    ]
    others = Table(
        ["network", "groups", "units", "frozen axes", "first reason", "proved", "largest difference", "ONNX agrees", "sizes repaired"],
        foreign, "networks from elsewhere, importance L2, 60 % of the MACs",
    )  # fmt: skip
    figure = Figure(
        "line", "Accuracy after cutting and three epochs",
        [_series(rows, c) for c in CRITERIA], "share of MACs kept", "test accuracy",
    )  # fmt: skip
    keys: list[Any] = [1.0, *(k for s in SHARES for k in (s, f"{s}/8")), "mask"]
    labels = ["100%", *(t for s in SHARES for t in (f"{s:.0%}", f"{s:.0%}, 8s")), "mask 25%"]
    quick_figure = Figure(
        "bar", "Latency of a batch of 32, one thread (8s: widths are multiples of 8)",
        [{"name": n, "x": labels, "y": [speed[k][i] for k in keys]} for i, n in ((0, "eager"), (1, "ONNX Runtime"))],
        "share of MACs", "milliseconds",
    )  # fmt: skip
    summary = (
        f"Cut to a quarter of its MACs, ResNet-20 runs {onnx_gain:.2f}x faster in ONNX Runtime and {eager_gain:.2f}x in eager PyTorch; a mask over "
        f"the same units takes {masked:.2f} of the dense network's time. Widths that are multiples of 8 matter as much as MACs: at 75 % of them "
        f"ONNX Runtime takes {speed[0.75][1]:.1f} ms with any width, {speed['0.75/8'][1]:.1f} ms with rounded ones, {speed[1.0][1]:.1f} ms dense. "
        f"{len(foreign)} networks from elsewhere were cut and proved."
    )
    settings_ = {"seeds": seeds, "epochs": grid[0]["epochs"], "fine-tuning": 3}
    return StudyResult(
        "model-surgery", claims, table, [figure, quick_figure], [others], summary=summary, settings=settings_
    )


def _mean(values: Any) -> float:
    values = [float(v) for v in values]
    return sum(values) / len(values)


def _series(rows: list[dict[str, Any]], criterion: str) -> dict[str, Any]:
    points = [mean_interval([r["cut"][f"{criterion}-{s}"]["after"] for r in rows]) for s in SHARES]
    return {
        "name": criterion, "x": list(SHARES), "y": [p.value for p in points],
        "low": [p.low for p in points], "high": [p.high for p in points],
    }  # fmt: skip


def trial(seed: int, epochs: int) -> dict[str, Any]:
    """Train one ResNet-20, cut it nine ways, fine-tune each."""
    data = mnist_small()
    model = train(built(partial(cifar_resnet, 20, channels=1), seed), data.train, epochs, seed)
    graph = ShrinkGraph.from_module(model, data.test[0][:2])
    batches = list(zip(data.train[0][:512].split(128), data.train[1][:512].split(128)))
    cut: dict[str, Any] = {}
    for criterion in CRITERIA:
        rng = torch.Generator().manual_seed(seed)
        scores = importance(graph, criterion, batches if criterion == "taylor" else None, generator=rng)
        for share in SHARES:
            chosen = plan(graph, scores, target={"macs": share})
            result = shrink(model, chosen)
            assert result.verification is not None
            before = accuracy(result.model, data.test)
            train(result.model, data.train, 3, seed, lr=1e-3)
            cut[f"{criterion}-{share}"] = {
                **{k: float(v) for k, v in chosen.cost().items()},
                "before": before,
                "after": accuracy(result.model, data.test),
                "error": result.verification.error,
            }
    dense = cost(model, data.test[0][:1])
    return {"dense": accuracy(model, data.test), "params": dense.params, "macs": dense.macs, "cut": cut}


def _latencies() -> dict[Any, tuple[float, float]]:
    """(eager, ONNX Runtime) milliseconds of a batch of 32 on one thread: at each share with any width, with widths that
    are multiples of 8, and of a mask at 25 %. All networks are measured in turn, three times; medians."""
    make = partial(cifar_resnet, 20, channels=1)
    model = built(make, 0).eval()
    x = torch.rand(32, 1, 28, 28)
    graph = ShrinkGraph.from_module(model, x[:2])
    scores = importance(graph, "random", generator=torch.Generator().manual_seed(0))
    networks: dict[Any, nn.Module] = {1.0: model}
    for share in SHARES:
        networks[share] = shrink(model, plan(graph, scores, target={"macs": share})).model
        networks[f"{share}/8"] = shrink(model, plan(graph, scores, target={"macs": share}, round_to=8)).model
    masked = built(make, 0).eval()
    again = ShrinkGraph.from_module(masked, x[:2])
    mask(masked, plan(again, scores, target={"macs": 0.25})).remove(keep_zeros=True)  # what a masking library leaves
    networks["mask"] = masked
    times: dict[Any, list[tuple[float, float]]] = {k: [] for k in networks}
    for _ in range(3):
        for key, network in networks.items():
            eager = measure_latency(network, x, threads=1, min_run_time=0.4)
            runtime: Latency | None = onnx_latency(network, x, threads=1, min_run_time=0.4)
            times[key].append((1e3 * eager.median, 1e3 * runtime.median if runtime is not None else float("nan")))
    return {k: (sorted(a for a, _ in v)[1], sorted(b for _, b in v)[1]) for k, v in times.items()}


class _Logits(nn.Module):
    """The logits of a network that returns a container."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.model(x)
        return out.logits if hasattr(out, "logits") else out


class _UNet(nn.Module):
    """Encoder and decoder with concatenated skips."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 16), (16, 32), (32, 64)))
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (16, 32, 64))
        self.up = nn.ModuleList((nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)))
        self.merge = nn.ModuleList((nn.Conv2d(64, 32, 3, padding=1), nn.Conv2d(32, 16, 3, padding=1)))
        self.head = nn.Conv2d(16, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for conv, norm in zip(self.down, self.norms):
            x = F.relu(norm(conv(x)))
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = skips.pop()
        for up, merge in zip(self.up, self.merge):
            x = F.relu(merge(torch.cat([up(x), skips.pop()], 1)))
        return self.head(x)


def _networks() -> dict[str, Any]:
    """Name -> function that makes (network, example)."""
    image, tokens = torch.rand(2, 3, 32, 32), torch.randint(0, 100, (2, 9), generator=torch.Generator().manual_seed(0))
    found: dict[str, Any] = {
        "nn.TransformerEncoder": lambda: (
            nn.TransformerEncoder(
                nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2, enable_nested_tensor=False
            ),
            torch.rand(2, 7, 32),
        ),
        "U-Net with concatenations": lambda: (_UNet(), image),
        "EfficientNet-Lite0 (real weights)": lambda: (load("efficientnet-lite0"), torch.rand(2, 3, 96, 96)),
    }
    try:
        import transformers as t
    except ImportError:
        return found
    small: dict[str, Any] = {
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 96,
    }
    found |= {
        "Hugging Face ViT": lambda: (_Logits(t.ViTForImageClassification(t.ViTConfig(**small, image_size=32, patch_size=8))), image),
        "Hugging Face BERT": lambda: (_Logits(t.BertForSequenceClassification(t.BertConfig(**small, vocab_size=100))), tokens),
        "Hugging Face ResNet": lambda: (
            _Logits(t.ResNetForImageClassification(t.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[2, 2]))), image,
        ),
        "Hugging Face GPT-2": lambda: (
            _Logits(t.GPT2LMHeadModel(t.GPT2Config(vocab_size=100, n_embd=48, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=1))),
            tokens,
        ),
    }  # fmt: skip
    return found


def _foreign() -> list[list[Any]]:
    """One row a network: what was found, what is frozen, whether the cut was proved and exported."""
    rows = []
    for name, make in _networks().items():
        made: Any = built(make, 0)
        model, x = made[0].eval(), made[1]
        graph = ShrinkGraph.from_module(model, x)
        frozen = [f for f in graph.frozen_axes() if f[3] == f[2]]
        reason = graph.why_frozen(frozen[0][0], frozen[0][1])[-1].split(": ")[0] if frozen else ""
        head: list[Any] = [name, len(graph.groups), graph.units, len(frozen), reason]
        try:
            result = shrink(model, plan(graph, importance(graph), target={"macs": 0.6}))
            assert result.verification is not None
            proof: list[Any] = ["yes", result.verification.error]
            with tempfile.TemporaryDirectory() as folder:
                agrees = _exports(result.model, x, Path(folder))
            rows.append([*head, *proof, agrees, len(result.repaired)])
        except InputError as error:
            rows.append([*head, f"no: {str(error)[:80]}", None, "no", 0])
    return rows


def _exports(model: nn.Module, x: torch.Tensor, folder: Path) -> str:
    try:
        return "yes" if export(model, x, folder / "m.onnx", dynamic_batch=False).agreement == 1.0 else "no"
    except InputError as error:
        return f"no: {str(error)[:80]}"
