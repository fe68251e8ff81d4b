"""Networks that nobody here wrote, cut, proved and exported."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from deepwright.compress import ShrinkGraph, export, importance, plan, shrink
from deepwright.core.errors import InputError
from deepwright.core.randomness import local_rng
from deepwright.nets import load
from deepwright.studies.surgery import peer


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
    rng = torch.Generator().manual_seed(0)  # of the examples: all seeds are held against the same
    tokens, image = torch.randint(0, 100, (2, 9), generator=rng), torch.rand(2, 3, 32, 32, generator=rng)
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
        "Hugging Face ViT": lambda: (
            _Logits(t.ViTForImageClassification(t.ViTConfig(**small, image_size=32, patch_size=8))),
            image,
        ),
        "Hugging Face BERT": lambda: (
            _Logits(t.BertForSequenceClassification(t.BertConfig(**small, vocab_size=100))),
            tokens,
        ),
        "Hugging Face ResNet": lambda: (
            _Logits(
                t.ResNetForImageClassification(t.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[2, 2]))
            ),
            image,
        ),
        "Hugging Face GPT-2": lambda: (
            _Logits(
                t.GPT2LMHeadModel(
                    t.GPT2Config(
                        vocab_size=100, n_embd=48, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=1
                    )
                )
            ),
            tokens,
        ),
    }
    return found


SHARE = 0.6  # of the MACs


def foreign(seed: int, few: bool) -> list[dict[str, Any]]:
    """One row a network: what was found, what is frozen, whether a cut of units drawn by the seed was proved and
    exported, and whether torch-pruning's default call runs.

    Args:
        seed: of networks without weights of their own, and of the units that go.
        few: the first two alone.
    """
    networks = list(_networks().items())[: 2 if few else None]
    return [_one(name, make, seed) for name, make in networks]


def _one(name: str, make: Callable[[], tuple[nn.Module, torch.Tensor]], seed: int) -> dict[str, Any]:
    with local_rng(seed):
        made, x = make()
    model = made.eval()
    graph = ShrinkGraph.from_module(model, x)
    frozen = [f for f in graph.frozen_axes() if f[3] == f[2]]
    reason = graph.why_frozen(frozen[0][0], frozen[0][1])[-1].split(": ")[0] if frozen else ""
    row: dict[str, Any] = {
        "network": name,
        "groups": len(graph.groups),
        "units": graph.units,
        "frozen": len(frozen),
        "reason": reason,
        "peer": peer.tried(model, x),
    }
    scores = importance(graph, "random", generator=torch.Generator().manual_seed(seed))
    try:
        result = shrink(model, plan(graph, scores, target={"macs": SHARE}))
    except InputError as error:
        return row | {"proved": False, "error": None, "agrees": False, "repaired": 0, "said": str(error)[:80]}
    assert result.verification is not None
    with tempfile.TemporaryDirectory() as folder:
        agrees = _exports(result.model, x, Path(folder))
    repaired = len(result.repaired)
    return row | {
        "proved": True,
        "error": result.verification.error,
        "agrees": agrees,
        "repaired": repaired,
        "said": "",
    }


def _exports(model: nn.Module, x: torch.Tensor, folder: Path) -> bool:
    try:
        return export(model, x, folder / "m.onnx", dynamic_batch=False).agreement == 1.0
    except InputError:
        return False
