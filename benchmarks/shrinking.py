"""Surgery against torch-pruning, search against pymoo, scores against scikit-activeml, AP against pycocotools."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import seconds
from torch import nn

from deepwright.compress import Plan, ShrinkGraph, UnitSpace, WeightSpace, accuracy_on, shrink
from deepwright.core.boxes import Detections, average_precisions
from deepwright.core.pareto import nondominated_sort
from deepwright.labels import entropy, k_center_greedy, least_confidence, margin
from deepwright.nets import cifar_resnet


def run() -> list[dict[str, Any]]:
    """All rows."""
    return [*_surgery(), *_failures(), *_search(), *_scores(), *_precision()]


def _row(what: str, ours: float | None, peer: str, theirs: float | None, note: str = "") -> dict[str, Any]:
    ratio = None if theirs is None or ours is None else theirs / ours
    return {"what": what, "ours_s": ours, "peer": peer, "peer_s": theirs, "ratio": ratio, "note": note}


def _halves(graph: ShrinkGraph) -> Plan:
    return Plan.of(graph, {g.name: range(g.size // 2) for g in graph.groups})


def _surgery() -> list[dict[str, Any]]:
    return [row for depth in (20, 56, 110) for row in _one_depth(depth)]


def _one_depth(depth: int) -> list[dict[str, Any]]:
    model, x = cifar_resnet(depth).eval(), torch.rand(2, 3, 32, 32)
    graph = ShrinkGraph.from_module(model, x)
    chosen = _halves(graph)
    calls: dict[str, Callable[[], Any]] = {
        "graph": lambda: ShrinkGraph.from_module(model, x),
        "cut": lambda: shrink(model, chosen, skip_verification=True),
        "proved": lambda: shrink(model, chosen),
        "deepcopy": lambda: copy.deepcopy(model),
    }
    try:
        import torch_pruning as tp

        def theirs() -> None:
            net = copy.deepcopy(model)
            importance = tp.importance.MagnitudeImportance(p=2)
            pruner = tp.pruner.MetaPruner(net, x, importance=importance, pruning_ratio=0.5, ignored_layers=[net.fc])
            pruner.step()

        calls["torch-pruning"] = theirs
    except ImportError:
        pass
    found = seconds(calls, 3)
    rows = [
        _row(f"ResNet-{depth}: cut to half width, over a deep copy", found["cut"], "copy.deepcopy", found["deepcopy"])
    ]
    if "torch-pruning" in found:
        theirs_s = found["torch-pruning"]
        rows.append(_row(f"ResNet-{depth}: graph and cut", found["graph"] + found["cut"], "torch-pruning", theirs_s))
        rows.append(
            _row(
                f"ResNet-{depth}: cut, with its proof on four batches",
                found["proved"],
                "torch-pruning (no proof)",
                theirs_s,
            )
        )
    return rows


class _Chunked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(11, 16, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u, v = self.b(torch.cat([x, self.a(x).relu()], 1)).chunk(2, 1)
        return self.head((u * v.sigmoid()).mean((2, 3)))


def _failures() -> list[dict[str, Any]]:
    """The same half-width request to both: who returns a network that runs and equals its masked original?"""
    networks = {
        "dense block with chunk": (_Chunked(), torch.rand(2, 3, 8, 8)),
        "nn.TransformerEncoderLayer": (nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), torch.rand(2, 7, 32)),
    }
    rows = []
    for name, (model, x) in networks.items():
        model.eval()
        graph = ShrinkGraph.from_module(model, x)
        result = shrink(model, _halves(graph))
        assert result.verification is not None
        note = f"ours: proved, {result.verification.error:.1e}"
        try:
            import torch_pruning as tp

            net = copy.deepcopy(model)
            tp.pruner.MetaPruner(net, x, importance=tp.importance.MagnitudeImportance(p=2), pruning_ratio=0.5).step()
            net(x)
            note += "; torch-pruning: runs"
        except ImportError:
            pass
        except Exception as error:
            note += f"; torch-pruning: {type(error).__name__}: {str(error)[:70]}"
        rows.append(_row(name, None, "torch-pruning", None, note))
    return rows


def _search() -> list[dict[str, Any]]:
    """Evaluations a second: ResNet-20, 512 validation images, against pymoo's one deep copy and mask a candidate."""
    torch.manual_seed(0)
    model = cifar_resnet(20).eval()
    x, y = torch.rand(512, 3, 32, 32), torch.arange(512) % 10
    evaluate = accuracy_on(x, y, 256)
    units = UnitSpace.of(model, x[:2])
    weights = WeightSpace.of(model)
    rng = np.random.default_rng(0)
    unit_masks = rng.random((4, units.size)) < 0.5
    weight_masks = rng.random((4, weights.size)) < 0.5

    def copied() -> None:
        for mask in weight_masks:
            net = weights.build(mask)
            with torch.no_grad():
                for part in x.split(256):
                    net(part).argmax(1)

    found = seconds(
        {
            "units": lambda: evaluate.wrong(units, unit_masks),
            "weights": lambda: evaluate.wrong(weights, weight_masks),
            "copied": copied,
        },
        3,
    )
    points = rng.random((400, 2))
    rows = [
        _row(
            "4 candidates, units (smaller networks)",
            found["units"],
            "deepcopy and mask (pymoo's ElementwiseProblem)",
            found["copied"],
        ),
        _row(
            "4 candidates, weights", found["weights"], "deepcopy and mask (pymoo's ElementwiseProblem)", found["copied"]
        ),
    ]
    try:
        from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

        sorting = NonDominatedSorting()
        timed = seconds({"ours": lambda: nondominated_sort(points), "pymoo": lambda: sorting.do(points)}, 5)
        rows.append(_row("non-dominated sort of 400 points", timed["ours"], "pymoo", timed["pymoo"]))
    except ImportError:
        pass
    return rows


def _scores() -> list[dict[str, Any]]:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(50_000, 10, generator=rng)
    p = logits.softmax(1).numpy()
    rows = []
    try:
        from skactiveml.pool import uncertainty_scores

        for name, ours, theirs in (
            ("least confidence", least_confidence, "least_confident"),
            ("margin", margin, "margin_sampling"),
            ("entropy", entropy, "entropy"),
        ):
            timed = seconds(
                {"ours": lambda f=ours: f(logits), "peer": lambda m=theirs: uncertainty_scores(p, method=m)}, 5
            )
            rows.append(
                _row(f"{name} of 50,000 x 10", timed["ours"], "scikit-activeml (from probabilities)", timed["peer"])
            )
    except ImportError:
        pass
    features = torch.randn(50_000, 512, generator=rng)
    labelled = torch.arange(500)
    timed = seconds({"ours": lambda: k_center_greedy(features, labelled, 500)}, 1)
    rows.append(_row("k-centers: 500 of 50,000 x 512", timed["ours"], "target: 60 s", 60.0))
    return rows


def _precision() -> list[dict[str, Any]]:
    """mAP over ten overlaps, 500 images of 100 boxes."""
    rng = np.random.default_rng(0)
    truth, guess, annotations, results = [], [], [], []
    for image in range(500):
        low = rng.random((20, 2)) * 400
        boxes = np.concatenate([low, low + 20 + rng.random((20, 2)) * 80], 1)
        labels = rng.integers(0, 5, 20)
        noisy = np.concatenate([boxes + rng.normal(0, 4, boxes.shape), np.repeat(boxes, 4, 0) + 30])
        kinds, scores = np.concatenate([labels, np.repeat(labels, 4)]), rng.random(100)
        truth.append(Detections(torch.tensor(boxes), torch.tensor(labels)))
        guess.append(Detections(torch.tensor(noisy), torch.tensor(kinds), torch.tensor(scores)))
        for b, c in zip(boxes.tolist(), labels.tolist()):
            size = [b[2] - b[0], b[3] - b[1]]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(c) + 1,
                    "bbox": [b[0], b[1], *size],
                    "area": size[0] * size[1],
                    "iscrowd": 0,
                }
            )
        for b, c, s in zip(noisy.tolist(), kinds.tolist(), scores.tolist()):
            results.append(
                {
                    "image_id": image,
                    "category_id": int(c) + 1,
                    "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]],
                    "score": s,
                }
            )
    overlaps = np.linspace(0.5, 0.95, 10)
    calls: dict[str, Callable[[], Any]] = {"ours": lambda: average_precisions(guess, truth, overlaps)}
    try:
        import contextlib
        import io

        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        with contextlib.redirect_stdout(io.StringIO()):
            data = COCO()
            data.dataset = {
                "images": [{"id": i} for i in range(500)],
                "annotations": annotations,
                "categories": [{"id": c} for c in range(1, 6)],
            }
            data.createIndex()
            loaded = data.loadRes(results)

        def theirs() -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                evaluation = COCOeval(data, loaded, "bbox")
                evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
                evaluation.params.maxDets = [100]
                evaluation.evaluate()
                evaluation.accumulate()

        calls["pycocotools"] = theirs
    except ImportError:
        pass
    timed = seconds(calls, 3)
    return [
        _row(
            "average precision, 10 overlaps, 500 images x 100 boxes",
            timed["ours"],
            "pycocotools",
            timed.get("pycocotools"),
        )
    ]
