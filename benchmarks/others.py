"""The OOD suite in one pass, the Fragility Index of a million scores, and where an audit's time goes."""

from __future__ import annotations

import time
from typing import Any

import torch
from common import seconds
from torch import nn

from deepwright.checks import Subject, audit
from deepwright.core.features import Activations, extract
from deepwright.data import load as load_data
from deepwright.nets import imagenet_resnet, load
from deepwright.ood import ALL, BBAS, KNN, ODIN, DetectorSuite
from deepwright.risk import FragilityLoss, fragility_index, kl_roots


def ood() -> list[dict[str, Any]]:
    """All detectors from one pass against one pass each; BBAS against brute-force KNN in time and state."""
    model, data = load("resnet8-mnist"), load_data("mnist")
    classes = [cls for cls in ALL if cls is not ODIN]
    suite = DetectorSuite(model, [cls() for cls in classes]).fit(data.train.batches(250))
    batches = [x for x, _ in data.test.batches(250)]

    def each() -> None:
        for detector in suite.detectors.values():
            acts = extract(model, batches, "auto" if "layers" in detector.needs else (), progress="")
            detector.score(acts)

    found = seconds(
        {
            "one pass": lambda: suite.score(batches),
            "a pass each": each,
            "forward alone": lambda: _forward(model, batches),
        },
        3,
    )
    return [
        _row(
            f"{len(classes)} detectors, 1000 digits: one pass against a pass each",
            found["one pass"],
            found["a pass each"],
        ),
        {
            **_row("suite over the bare forward pass", found["one pass"], found["forward alone"]),
            "ratio": found["one pass"] / found["forward alone"],
        },
        *against_knn(512),
        *against_knn(14_000),
    ]


def against_knn(variables: int) -> list[dict[str, Any]]:
    """BBAS (10 classes of 5 boxes) against KNN on 50,000 x 512 features, on one thread: seconds and bytes.

    Every input is sure of its class; without a floor its other nine classes are scored all the same.

    Args:
        variables: that BBAS monitors; 512 are one layer, 14,000 all convolutions of a ResNet-18.
    """
    rng = torch.Generator().manual_seed(0)
    logits = 10 * torch.eye(10)[torch.arange(50_000) % 10]
    bank = Activations(logits, torch.arange(50_000) % 10, torch.rand(50_000, 512, generator=rng))
    query = Activations(logits[:500], None, torch.rand(500, 512, generator=rng))
    knn = KNN().fit(bank)
    few = 2000
    known = Activations(logits[:few], torch.arange(few) % 10, None, *_monitored(few, variables, rng))
    boxes, floor = BBAS().fit(known), BBAS(prob_floor=1e-3).fit(known)
    new = Activations(logits[:500], None, None, *_monitored(500, variables, rng))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the target is per core
    timed = seconds(
        {"knn": lambda: knn.score(query), "all": lambda: boxes.score(new), "floor": lambda: floor.score(new)}, 5
    )
    torch.set_num_threads(threads)
    size = {d: sum(b.numel() * b.element_size() for b in d.buffers()) for d in (boxes, knn)}
    what = f"BBAS of {variables:,} variables against KNN (50,000 x 512)"
    return [
        _row(f"{what}, all classes, one thread", timed["all"], timed["knn"]),
        _row(f"{what}, prob_floor=1e-3, one thread", timed["floor"], timed["knn"]),
        _row(f"{what}, bytes of state", size[boxes], size[knn]),
    ]


def _monitored(n: int, variables: int, rng: torch.Generator) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    return {"layer": torch.randn(n, variables, generator=rng)}, {"layer": "vector"}


def _row(what: str, ours: float, peer: float) -> dict[str, float | str]:
    """Above 1: ours needs less."""
    return {"what": what, "ratio": peer / ours, "ours_s": ours, "peer_s": peer}


def _forward(model: nn.Module, batches: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for x in batches:
            model(x)


def fragility() -> list[dict[str, Any]]:
    """FI of 10^6 scores and of 10,000 bootstrap rows of 1,000, in units of one logsumexp of that size."""
    rng = torch.Generator().manual_seed(0)
    xi = (torch.rand(1_000_000, generator=rng, dtype=torch.float64) * 1.6 - 1.2).clamp(-1, 1)
    rows = xi[torch.randint(0, 1000, (10_000, 1000), generator=rng)]
    tau = torch.zeros(len(rows), dtype=torch.float64)
    found = seconds({"fi": lambda: fragility_index(xi, input="xi"), "logsumexp": lambda: torch.logsumexp(xi, 0)}, 7)
    boot = seconds({"bootstrap": lambda: kl_roots(rows, tau)}, 3)["bootstrap"]
    network, x, y = imagenet_resnet(18), torch.rand(128, 3, 64, 64, generator=rng), torch.arange(128)
    logits = network(x[:8]).detach().repeat(16, 1).requires_grad_(True)
    loss = FragilityLoss(6.0)
    step = seconds(
        {
            "step": lambda: torch.nn.functional.cross_entropy(network(x), y).backward(),
            "loss": lambda: loss(logits, y).backward(),
        },
        3,
    )
    return [
        {
            "what": "FI of 10^6 scores over one logsumexp",
            "ours_s": found["fi"],
            "peer_s": found["logsumexp"],
            "ratio": found["fi"] / found["logsumexp"],
        },
        {"what": "FI of 10,000 x 1,000 bootstrap rows", "ours_s": boot, "peer_s": None, "ratio": None},
        {
            "what": "FragilityLoss over a ResNet-18 step, batch 128 at 64 x 64",
            "ours_s": step["loss"],
            "peer_s": step["step"],
            "ratio": step["loss"] / step["step"],
        },
    ]


class _Clock(nn.Module):
    """Adds up the time inside the network's own forward passes."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.seconds = inner, 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        begin = time.perf_counter()
        out = self.inner(x)
        self.seconds += time.perf_counter() - begin
        return out


def profile() -> list[dict[str, Any]]:
    """Share of an audit of resnet8-mnist that is spent in the network's own forward and backward passes."""
    clock = _Clock(load("resnet8-mnist")).eval()
    backward = 0.0
    plain = torch.autograd.grad

    def timed(*args: Any, **kwargs: Any) -> Any:
        nonlocal backward
        begin = time.perf_counter()
        result = plain(*args, **kwargs)
        backward += time.perf_counter() - begin
        return result

    torch.autograd.grad = timed
    try:
        subject = Subject(clock, load_data("mnist"), "resnet8-mnist")
        begin = time.perf_counter()
        report = audit(subject)
        total = time.perf_counter() - begin
    finally:
        torch.autograd.grad = plain
    inside = clock.seconds + backward
    rows: list[dict[str, Any]] = [
        {
            "what": "audit of resnet8-mnist: share inside the network's passes",
            "ours_s": total,
            "peer_s": inside,
            "ratio": inside / total,
        }
    ]
    rows += [{"what": f"  {f.check}", "ours_s": f.seconds, "peer_s": None, "ratio": None} for f in report.findings]
    return rows
