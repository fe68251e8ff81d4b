"""Risk of entities whose classifier is attacked: how much of what it looks at was moved.

Source: "ROAST: Risk-aware Outlier-exposure for Adversarial Selective Training of Anomaly Detectors Against Evasion
Attacks", arXiv 2603.26093.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite
from deepwright.ood.roast.severity import RiskProfile


def importance(x: Float[Tensor, "n steps channels"], said: Int64[Tensor, " n"]) -> Float[Tensor, " channels"]:
    """How much each channel has to do with what a classifier says: sizes of a logistic regression's coefficients.

    It is fitted on the mean of each channel over a window, scaled to length 1 as published, then to deviations, so that
    sizes compare. Of several classes the mean size over them.

    Args:
        x: windows.
        said: the class that the classifier gives each.

    Raises:
        InputError: one class only, what is no number of a class, numbers that aren't finite.
    """
    from sklearn.linear_model import LogisticRegression

    _require_windows(x)
    _require_classes(said, len(x), "said")
    if len(said.unique()) < 2:
        given = f"{len(said.unique())} classes for {len(x)} windows"
        raise InputError("said", given=given, expected="one of two classes or more a window, each given at least once")
    rows = torch.nn.functional.normalize(x.double().mean(1), dim=1)
    spread = rows.std(0, unbiased=False)
    rows = (rows - rows.mean(0)) / torch.where(spread > 1e-12, spread, 1.0)
    fitted = LogisticRegression(max_iter=1000).fit(rows.cpu().numpy(), said.cpu().numpy())
    return torch.from_numpy(fitted.coef_).abs().mean(0).to(x.device)


def class_risk(
    x: Float[Tensor, "n steps channels"],
    attacked: Float[Tensor, "n steps channels"],
    before: Int64[Tensor, " n"],
    after: Int64[Tensor, " n"],
    weights: Float[Tensor, " channels"],
) -> RiskProfile:
    """R = sum over channels of importance (x_adv - x)^2, the mean over the steps of a window.

    As published it says how far an attack went in what matters, and not whether it did harm: `flip_rate` beside it is
    the share of windows whose class it changed.

    Args:
        x: windows.
        attacked: the same, attacked.
        before: the class that the classifier gives each of `x`.
        after: and of `attacked`.
        weights: of the channels, see `importance`.

    Raises:
        InputError: unlike shapes, no window, what is no number of a class, numbers that aren't finite, negative
            weights.
    """
    if x.shape != attacked.shape or not len(x):
        given = f"shapes {tuple(x.shape)} and {tuple(attacked.shape)}"
        raise InputError("windows", given=given, expected="the same windows twice, at least one")
    _require_windows(x)
    _require_windows(attacked)
    for name, classes in (("before", before), ("after", after)):
        _require_classes(classes, len(x), name)
    if weights.shape != (x.shape[2],) or not bool((weights >= 0).all()):
        raise InputError("weights", given=f"shape {tuple(weights.shape)}", expected=f"{x.shape[2]} of 0 or more")
    series = ((attacked - x).double().square() * weights.to(x.device).double()).sum(2).mean(1)
    flips = float((before != after.to(before.device)).double().mean())
    return RiskProfile(series, float(series.mean()), flips, "importance")


def _require_windows(x: Tensor) -> None:
    if x.ndim != 3:
        raise InputError("windows", given=f"shape {tuple(x.shape)}", expected="(N, steps, channels)")
    require_finite(x, "windows")


def _require_classes(classes: Tensor, n: int, name: str) -> None:
    """Refuse logits and probabilities, which compare as if they were classes."""
    if classes.shape != (n,) or classes.is_floating_point():
        given = f"{classes.dtype} of shape {tuple(classes.shape)}"
        raise InputError(name, given=given, expected=f"the numbers of classes, ({n},)", hint="logits.argmax(1)")
