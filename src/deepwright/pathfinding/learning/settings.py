"""How a heuristic is trained."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.pathfinding.heuristics.outputs import KINDS
from deepwright.pathfinding.learning.walks import WALKS

LOSSES = ("mse", "huber", "categorical")
METHODS = ("davi", "lhbl", "q", "supervised")
_COPIED = {"davi": 15, "lhbl": 50, "q": 15, "supervised": 1}  # iterations; h grows by a step or a horizon a copy


@dataclass(frozen=True)
class Training:
    """What `Trainer` is asked for; see there."""

    method: str
    kind: str
    her: bool
    k_max: int
    balance: bool
    search_itrs: int
    batch_size: int
    target_update: int
    walk: str
    warmup_walks: int
    bounded: bool
    explore: float
    weight: float
    lr: float
    lr_decay: float
    loss: str
    over_weight: float
    replay: int
    check_every: int
    accumulate: int
    processes: int
    seed: int

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("method", self.method, METHODS)
        if self.kind not in KINDS:
            raise InputError("kind", given=repr(self.kind), expected=" or ".join(map(repr, KINDS)))
        if self.walk not in WALKS:
            raise InputError("walk", given=repr(self.walk), expected=" or ".join(map(repr, WALKS)))
        if self.loss not in LOSSES:
            raise InputError("loss", given=repr(self.loss), expected=" or ".join(map(repr, LOSSES)))
        for name in ("k_max", "search_itrs", "batch_size", "target_update", "check_every", "accumulate"):
            require_whole(1, **{name: getattr(self, name)})
        require_whole(0, warmup_walks=self.warmup_walks, replay=self.replay)
        require_whole(seed=self.seed)
        require_within(0.0, 1.0, explore=self.explore, weight=self.weight)
        require_within(0.0, 1.0, ends="(]", lr_decay=self.lr_decay)
        require_positive(lr=self.lr, over_weight=self.over_weight)
        self._require_whole_method()

    def _require_whole_method(self) -> None:
        """Words that don't go together."""
        if self.method in ("davi", "lhbl") and self.kind != "v":
            raise InputError("kind", given=repr(self.kind), expected=f'"v" for the method {self.method!r}')
        if self.method == "q" and self.kind not in ("q_fixed", "q_in"):
            raise InputError("kind", given=repr(self.kind), expected='"q_fixed" or "q_in" for the method "q"')
        if self.kind == "policy" and (self.method != "supervised" or self.loss != "mse" or self.over_weight != 1):
            given = f"method {self.method!r}, loss {self.loss!r}, over_weight {self.over_weight:g}"
            expected = '"supervised" alone, whose loss is then the cross-entropy of the way back'
            raise InputError("kind", given=f"'policy' with {given}", expected=expected)
        if self.her and (self.method not in ("davi", "lhbl") or self.search_itrs < 2):
            given = f"method {self.method!r}, search_itrs {self.search_itrs}"
            raise InputError("her", given=given, expected='"davi" or "lhbl" with search_itrs of 2 or more')
        if self.loss == "categorical" and (self.kind != "v" or self.over_weight != 1):
            given = f"kind {self.kind!r}, over_weight {self.over_weight:g}"
            raise InputError("loss", given=f"'categorical' with {given}", expected='kind "v" and over_weight 1')
        if self.replay and self.processes > 1:
            given = f"{self.replay} in {self.processes} processes"
            raise InputError("replay", given=given, expected="0: a checkpoint keeps one process's examples")
        if self.method == "supervised" and self.search_itrs > 1:
            raise InputError("search_itrs", given=self.search_itrs, expected='1: "supervised" walks search nothing')


def copied_each(method: str) -> int:
    """Iterations from one copy of the target network to the next, where nobody says.

    Args:
        method: of training.
    """
    return _COPIED.get(method, 15)


def kind_of(net: nn.Module, method: str) -> str:
    """What a network's outputs are, where nobody says.

    Args:
        net: that is to be trained.
        method: of training.
    """
    config = getattr(net, "config", {})
    if method != "q" and "action_in" not in config:
        return "v"
    return "q_in" if config.get("action_in") else "q_fixed"


def require_learner(net: nn.Module, s: Training) -> None:
    """Refuse a network that can't learn so.

    Args:
        net: that is to be trained.
        s: how.

    Raises:
        InputError: what doesn't go together.
    """
    if not any(p.requires_grad for p in net.parameters()):
        raise InputError("net", given="one whose parameters are all frozen", expected="some that learn")
    if s.loss == "categorical" and not getattr(net, "bins", 0):
        expected = "one with `bins` and `logits`, as ValueNet(domain, bins=...)"
        raise InputError("net", given="one without a distribution over distances", expected=expected)
    if not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules()):
        return
    if s.batch_size == 1:
        raise InputError("batch_size", given=1, expected="2 or more, as the network normalises over the batch")
    if s.accumulate > 1 or s.processes > 1:
        given = f"BatchNorm, {s.accumulate} parts and {s.processes} processes, each with means of its own"
        raise InputError("net", given=given, expected='another norm, as "layer"')
