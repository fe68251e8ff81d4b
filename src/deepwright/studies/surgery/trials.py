"""One ResNet, cut by every importance and by a peer, each trained again alike; latencies of cut and masked networks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress import (
    GRADIENT_CRITERIA,
    ShrinkGraph,
    cost,
    export,
    importance,
    mask,
    plan,
    shrink,
)
from deepwright.nets import cifar_resnet
from deepwright.studies._clock import median_ms
from deepwright.studies._networks import accuracy, built, train
from deepwright.studies._retraining import retrained, split_mnist
from deepwright.studies.surgery import peer

SHARES = (0.75, 0.5, 0.25)
RATES = (3e-3, 1e-2, 3e-2)
CRITERIA = ("l2", "l1", "bn_scale", "taylor", "hessian_diag", "random")
PEER = "torch-pruning, l2"
SIZES = {"depth": 8, "width": 8, "trained": 2000, "judged": 1000, "epochs": 10}
FEW = {"depth": 8, "width": 4, "trained": 200, "judged": 150, "epochs": 2}


def trial(seed: int, depth: int, width: int, trained: int, judged: int, epochs: int) -> dict[str, Any]:
    """Train one ResNet, cut it to three shares of its MACs in every way, train each cut again at every rate.

    Args:
        seed: of the digits' split, the start, the batches and the units chosen at random.
        depth: of the network.
        width: of its first stage.
        trained: digits to train on, at first and again.
        judged: digits to choose on, and as many to test on.
        epochs: of the dense network.
    """
    data = split_mnist(seed, 14, trained, judged)
    model = train(built(partial(cifar_resnet, depth, channels=1, width=width), seed), data.train, epochs, seed)
    example = data.test[0][:2]
    graph = ShrinkGraph.from_module(model, example)
    batches = [(data.train[0][:512], data.train[1][:512])]
    dense = cost(model, example[:1])
    rows: list[dict[str, Any]] = []
    for criterion in CRITERIA:
        rng = torch.Generator().manual_seed(seed) if criterion == "random" else None
        scores = importance(graph, criterion, batches if criterion in GRADIENT_CRITERIA else None, generator=rng)
        for share in SHARES:
            result = shrink(model, plan(graph, scores, target={"macs": share}))
            assert result.verification is not None
            same = {"arm": criterion, "share": share, "error": result.verification.error}
            rows += _rows(same, result.model, example, data, seed)
    if peer.version():
        for share in SHARES:
            cut = peer.cut_to(model, example, share)
            rows += _rows({"arm": PEER, "share": share, "error": 0.0}, cut, example, data, seed)
    return {"dense": accuracy(model, data.test), "params": dense.params, "macs": dense.macs, "rows": rows}


def _rows(same: dict[str, Any], cut: nn.Module, example: Tensor, data: Any, seed: int) -> list[dict[str, Any]]:
    size = cost(cut, example[:1])
    sizes = {"params": float(size.params), "macs": float(size.macs)}
    return [same | sizes | row for row in retrained(cut, data, RATES, 1, seed)]


def latencies(short: bool) -> dict[Any, tuple[float, float]]:
    """(eager, ONNX Runtime) milliseconds of a batch of 32: at each share with any width, with widths that are multiples
    of 8, and of a mask at 25 %.

    Args:
        short: a smaller network, measured less often.
    """
    make = partial(cifar_resnet, 8 if short else 20, channels=1)
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
    repeats = 5 if short else 41
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        files = {
            str(k): _in_onnx_runtime(m, x, Path(folder) / f"{k}.onnx".replace("/", "-")) for k, m in networks.items()
        }
        eager = median_ms({str(k): partial(m, x) for k, m in networks.items()}, repeats)
        runtime = median_ms({name: call for name, call in files.items() if call is not None}, repeats)
    return {k: (eager[str(k)], runtime.get(str(k), float("nan"))) for k in networks}


def _in_onnx_runtime(model: nn.Module, x: Tensor, path: Path) -> Callable[[], Any] | None:
    """A call of the network's file on one thread; None without ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError:
        return None
    export(model, x, path, dynamic_batch=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, given)
