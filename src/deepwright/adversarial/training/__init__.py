"""Networks that are trained on the worst inputs near each sample: adversarial training, fast or not, and TRADES.

Begin with `AdversarialTraining(8 / 255, task=...)`, which `core.fit` takes as its step, and choose the epoch by
`RobustScore` on validation samples. `deepwright harden MODEL --with trades` does all of it, measured before and after.

Example:
    >>> import torch
    >>> from deepwright.core.fit import Selection, fit
    >>> from deepwright.core.tasks import Classification
    >>> task = Classification(2)
    >>> x, y = torch.linspace(0, 1, 40)[:, None].expand(-1, 4), torch.arange(40) // 20
    >>> recipe = Trades(0.05, steps=3, task=task)
    >>> chosen = Selection(RobustScore(x[::4], y[::4], recipe.ball, task), "robust")
    >>> found = fit(torch.nn.Linear(4, 2), (x, y), epochs=2, augment=recipe.start, step=recipe, selection=chosen)
    >>> sorted(found.history[0])
    ['epoch', 'loss', 'robust', 'score', 'seconds']
"""

from deepwright.adversarial.training.ball import Ball
from deepwright.adversarial.training.recipes import AdversarialTraining, Trades
from deepwright.adversarial.training.watching import RobustScore, overfitted

__all__ = ["AdversarialTraining", "Ball", "RobustScore", "Trades", "overfitted"]
