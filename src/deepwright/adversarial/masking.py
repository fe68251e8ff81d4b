"""Signs that a network hides its gradients rather than being robust. Source: arXiv 1902.06705."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from deepwright.adversarial.attacks.apgd import APGD
from deepwright.adversarial.attacks.noise import Noise
from deepwright.adversarial.attacks.square import Square
from deepwright.core.tasks import Task


def masking_flags(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Any,
    eps: float,
    norm: str = "linf",
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
    task: Task | None = None,
) -> dict[str, str]:
    """Signs that the network hides its gradients rather than being robust; empty when there is none.

    Looks for: noise that fools more samples than the gradient attack; a black-box attack that fools more; a budget that
    could erase the input and doesn't fool nearly all; vanishing gradients. What fools within the budget fools within
    the larger one, too, so success never falls with the budget.

    Args:
        model: left as found.
        x: inputs within bounds that the network is right on.
        y: their targets.
        eps: budget.
        norm: "linf", "l2" or "l1".
        seed: of the attacks.
        bounds: pixel box.
        task: what outputs mean; None for classes.

    Returns:
        name of a sign -> what was seen.
    """
    common: dict[str, Any] = {"norm": norm, "seed": seed, "bounds": bounds, "task": task}
    base = APGD(eps, steps=20, **common)(model, x, y)
    rate = float(base.success.double().mean())
    found: dict[str, str] = {}
    slack = 2 / len(x) + 0.02

    def compare(name: str, other: float, text: str) -> None:
        if other > rate + slack:
            found[name] = f"{text}: {other:.0%} against {rate:.0%}"

    noise = float(Noise(eps, kind="sign", repeats=5, **common)(model, x, y).success.double().mean())
    compare("noise", noise, "random noise fools more than the gradient attack")
    if norm != "l1":
        square = float(Square(eps, queries=100, p=0.3, **common)(model, x, y).success.double().mean())
        compare("black box", square, "a black-box attack fools more than the gradient attack")
    span = bounds[1] - bounds[0]
    huge = (
        eps * 16
        if span == float("inf")
        else {"linf": span / 2, "l2": span * x[0].numel() ** 0.5 / 2}.get(norm, span * x[0].numel() / 2)
    )
    erased = APGD(max(eps, huge), steps=20, **common)(model, x, y).success
    limit = float((base.success | erased).double().mean())  # an example of the smaller ball lies in the larger one
    if limit < 0.9:
        found["large budget"] = f"a budget that could erase the input fools only {limit:.0%}"
    if base.flags["zero_gradients"] > 0.1:
        found["zero gradients"] = f"{base.flags['zero_gradients']:.0%} of the samples have a gradient of exactly zero"
    return found
