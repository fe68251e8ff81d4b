"""DeepIn's whole fit against LassoNet's path, on S1 and on diabetes with columns of noise: seconds, error, variables.

pip install lassonet   # in an environment beside deepwright
python benchmarks/deepin.py --seeds 2
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_diabetes

from deepwright.core.randomness import derive_seed
from deepwright.interpret import DeepInRegressor
from deepwright.studies.deepin.simulations import simulate

warnings.simplefilter("ignore")


def deepin(train: Any, held: Any, seed: int) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """DeepIn with default options."""
    est = DeepInRegressor(random_state=seed).fit(*train, *(held or ()))
    return est.predict, est.support_


def lassonet(train: Any, held: Any, seed: int) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """LassoNet's path, its step chosen on validation rows (of diabetes: a quarter of the rows)."""
    from lassonet import LassoNetRegressor

    x, y = train
    if held is None:
        cut = round(0.75 * len(x))
        (x, y), held = (x[:cut], y[:cut]), (x[cut:], y[cut:])
    mean, spread = y.mean(), y.std()
    model = LassoNetRegressor(hidden_dims=(64, 64), random_state=seed, torch_seed=seed)
    path = model.path(
        x.astype(np.float32),
        ((y - mean) / spread).astype(np.float32),
        X_val=held[0].astype(np.float32),
        y_val=((held[1] - mean) / spread).astype(np.float32),
        return_state_dicts=True,
    )
    best = min(path, key=lambda step: step.val_loss)
    model.load(best.state_dict)
    return lambda z: model.predict(z.astype(np.float32)).ravel() * spread + mean, best.selected.numpy()


def s1(seed: int) -> tuple[Any, Any, Any]:
    """Rows of S1."""
    data = simulate("S1", seed)
    x, y, clean = data.x.double().numpy(), data.y.double().numpy(), data.clean.double().numpy()
    a, b, c = (data.part(p) for p in ("train", "validation", "test"))
    return (x[a], y[a]), (x[b], y[b]), (x[c], clean[c])


def diabetes(seed: int) -> tuple[Any, Any, Any]:
    """Rows of diabetes with 20 columns of noise, as in the study."""
    data = load_diabetes()
    rng = np.random.default_rng(derive_seed("diabetes", seed=seed))
    x = np.concatenate([data.data, rng.standard_normal((len(data.data), 20))], 1)
    order = rng.permutation(len(x))
    rows, test = order[: round(0.8 * len(x))], order[round(0.8 * len(x)) :]
    z = (x - x[rows].mean(0)) / x[rows].std(0)
    return (z[rows], data.target[rows]), None, (z[test], data.target[test])


def main() -> None:
    """Print a line a fit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--ways", nargs="*", default=["deepin", "lassonet"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways = {"deepin": deepin, "lassonet": lassonet}
    DeepInRegressor(epochs=1).fit(*diabetes(0)[0])  # imports aren't timed
    for name, rows, true in (("S1", s1, 4), ("diabetes", diabetes, 10)):
        for seed in range(100, 100 + options.seeds):
            train, held, (x, y) = rows(seed)
            for way in options.ways:
                begin = time.process_time()
                predict, support = ways[way](train, held, seed)
                seconds = time.process_time() - begin
                error = float(np.square(predict(x) - y).mean())
                r2 = 1 - error / float(y.var())
                found, false = int(support[:true].sum()), int(support[true:].sum())
                print(
                    f"{name} {seed} {way}: {seconds:.1f} CPU s, error {error:.4g}, R2 {r2:.3f}, {found} + {false} false"
                )


if __name__ == "__main__":
    main()
