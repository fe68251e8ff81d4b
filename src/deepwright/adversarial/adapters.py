"""Attacks of other libraries behind our interface."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.engine import Attack
from deepwright.adversarial.victim import Batch, Best, Victim
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError, MissingExtraError


class _Logits(nn.Module):
    """The victim's class logits as a module, for libraries that want one."""

    def __init__(self, victim: Victim) -> None:
        super().__init__()
        self.victim = victim

    def forward(self, x: Tensor) -> Tensor:
        out = self.victim.forward(x.to(self.victim.x.dtype))
        return self.victim.logits(self.victim.aim.read(out, len(x)))


class FoolboxAttack(Attack):
    """A foolbox attack (`foolbox.attacks.*`) with our call, checks and result.

    Args:
        inner: the foolbox attack.
        eps: budget.
        norm: the one in which the budget counts.
        options: of `Attack`: task, success, targeted, bounds.
    """

    needs_classes = "foolbox knows class logits only"
    refused = {
        "loss": "the foolbox attack has its own",
        "early_stop": "the foolbox attack ends as it is made to",
        "seed": "foolbox draws by itself",
    }

    def __init__(self, inner: Any, eps: float, norm: str = "linf", **options: Any) -> None:
        self.inner = inner
        super().__init__(eps, norm, **options)
        if not callable(inner):
            raise InputError("attack", given=type(inner).__name__, expected="a foolbox attack")

    @property
    def name(self) -> str:
        """foolbox: its class."""
        return f"foolbox {type(self.inner).__name__}"

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, eps, rows = batch.x, batch.y, batch.eps, batch.rows
        foolbox = _foolbox("a foolbox attack")
        if batch.mask is not None or len(eps.unique()) > 1:
            raise InputError("foolbox attacks", given="a mask or budgets per sample", expected="neither")
        wrapped = foolbox.PyTorchModel(_Logits(victim).eval(), bounds=self.bounds, device=x.device)
        wanted = foolbox.criteria.TargetedMisclassification if self.aim.targeted else foolbox.criteria.Misclassification
        _, moved, _ = self.inner(wrapped, x, wanted(y), epsilons=float(eps[0]))
        moved = self._project(moved.detach(), x, eps, None)
        best.offer(rows, moved, *victim.judge(moved, y, rows), 0)


def from_foolbox(attack: Any, eps: float, norm: str = "linf", **options: Any) -> FoolboxAttack:
    """A foolbox attack as one of ours.

    Args:
        attack: an object of `foolbox.attacks`.
        eps: budget.
        norm: the one in which the budget counts.
        options: of `Attack`: task, success, targeted, bounds.
    """
    return FoolboxAttack(attack, eps, norm, **options)


class ArtAttack(Attack):
    """An attack of the Adversarial Robustness Toolbox (an object with `generate(x, y)` on NumPy arrays).

    Args:
        inner: the ART attack, whose estimator holds the model.
        eps: budget.
        norm: the one in which the budget counts.
        options: of `Attack`: task, success, bounds; targeted where `inner` is.
    """

    refused = {
        "loss": "the ART attack has its own",
        "early_stop": "the ART attack ends as it is made to",
        "seed": "ART draws by itself",
    }

    def __init__(self, inner: Any, eps: float, norm: str = "linf", **options: Any) -> None:
        self.inner = inner
        super().__init__(eps, norm, **options)
        if not hasattr(inner, "generate"):
            raise InputError("attack", given=type(inner).__name__, expected="an ART attack with generate()")
        if bool(getattr(inner, "targeted", False)) != self.aim.targeted:
            raise InputError("targeted", given=self.aim.targeted, expected="what the ART attack was made with")

    @property
    def name(self) -> str:
        """ART: its class."""
        return f"ART {type(self.inner).__name__}"

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, rows = batch.x, batch.y, batch.rows
        moved = torch.from_numpy(self.inner.generate(x=x.cpu().numpy(), y=y.cpu().numpy())).to(x)
        moved = self._project(moved, x, batch.eps, batch.mask)
        best.offer(rows, moved, *victim.judge(moved, y, rows), 0)


def from_art(attack: Any, eps: float, norm: str = "linf", **options: Any) -> ArtAttack:
    """An ART evasion attack as one of ours; its estimator holds the model.

    Args:
        attack: an object with `generate(x, y)`.
        eps: budget.
        norm: the one in which the budget counts.
        options: of `Attack`: task, success, bounds; targeted where the ART attack is.
    """
    return ArtAttack(attack, eps, norm, **options)


def to_foolbox(model: nn.Module, bounds: tuple[float, float] = (0.0, 1.0)) -> Any:
    """A model as foolbox wants it.

    Args:
        model: on pixels in `bounds`; foolbox works where it lives, in eval mode.
        bounds: pixel box.
    """
    return _foolbox("to_foolbox").PyTorchModel(model.eval(), bounds=bounds, device=device_of(model))


def _foolbox(what: str) -> Any:
    try:
        import foolbox
    except ImportError as error:
        raise MissingExtraError("foolbox", "peers", what) from error
    return foolbox
