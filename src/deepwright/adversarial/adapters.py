"""Attacks of other libraries behind our interface."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.engine import Attack, Batch, Best, Victim
from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.inference import device_of


class _Wrapped(nn.Module):
    """The victim's function as a module, for libraries that want one."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class FoolboxAttack(Attack):
    """A foolbox attack (`foolbox.attacks.*`) with our call, checks and result."""

    def __init__(self, inner: Any, eps: float, norm: str = "linf", **options: Any) -> None:
        super().__init__(eps, norm, **options)
        if not callable(inner):
            raise InputError("attack", given=type(inner).__name__, expected="a foolbox attack")
        self.inner = inner

    @property
    def name(self) -> str:
        """foolbox: its class."""
        return f"foolbox {type(self.inner).__name__}"

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, eps, mask = batch.x, batch.y, batch.eps, batch.mask
        try:
            import foolbox
        except ImportError as error:
            raise MissingExtraError("foolbox", "peers", "a foolbox attack") from error
        if mask is not None or len(eps.unique()) > 1:
            raise InputError("foolbox attacks", given="a mask or budgets per sample", expected="neither")
        model = _Wrapped(victim.model).eval()
        wrapped = foolbox.PyTorchModel(model, bounds=self.bounds, device=x.device)
        _, moved, _ = self.inner(wrapped, x, foolbox.criteria.Misclassification(y), epsilons=float(eps[0]))
        rows = batch.rows
        moved = self._project(moved.detach(), x, eps, None)
        best.offer(rows, moved, *victim.judge(moved, y, rows), 0)


def from_foolbox(attack: Any, eps: float, norm: str = "linf", **options: Any) -> FoolboxAttack:
    """A foolbox attack as one of ours."""
    return FoolboxAttack(attack, eps, norm, **options)


class ArtAttack(Attack):
    """An attack of the Adversarial Robustness Toolbox (an object with `generate(x, y)` on NumPy arrays)."""

    def __init__(self, inner: Any, eps: float, norm: str = "linf", **options: Any) -> None:
        super().__init__(eps, norm, **options)
        if not hasattr(inner, "generate"):
            raise InputError("attack", given=type(inner).__name__, expected="an ART attack with generate()")
        self.inner = inner

    @property
    def name(self) -> str:
        """ART: its class."""
        return f"ART {type(self.inner).__name__}"

    def _run(self, victim: Victim, batch: Batch, best: Best) -> None:
        x, y, eps, mask = batch.x, batch.y, batch.eps, batch.mask
        moved = torch.from_numpy(self.inner.generate(x=x.cpu().numpy(), y=y.cpu().numpy())).to(x)
        moved = self._project(moved, x, eps, mask)
        best.offer(
            torch.arange(len(x), device=x.device),
            moved,
            *victim.judge(moved, y, torch.arange(len(x), device=x.device)),
            0,
        )


def from_art(attack: Any, eps: float, norm: str = "linf", **options: Any) -> ArtAttack:
    """An ART evasion attack as one of ours; its estimator holds the model."""
    return ArtAttack(attack, eps, norm, **options)


def to_foolbox(model: nn.Module, bounds: tuple[float, float] = (0.0, 1.0)) -> Any:
    """A model (on pixels in `bounds`) as foolbox wants it."""
    try:
        import foolbox
    except ImportError as error:
        raise MissingExtraError("foolbox", "peers", "to_foolbox") from error
    return foolbox.PyTorchModel(model.eval(), bounds=bounds, device=device_of(model))
