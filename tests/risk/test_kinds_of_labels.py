"""Labels of every type that people have: taken alike, or refused in the house's words."""

import numpy as np
import pytest
import torch

from deepwright import risk
from deepwright.core.errors import InputError
from deepwright.risk.fragility.target_search import _trial

RNG = torch.Generator().manual_seed(0)
Z = 2 * torch.randn(60, 3, generator=RNG)
Y = (Z + torch.randn(60, 3, generator=RNG)).argmax(1)
NETWORK = torch.nn.Linear(3, 3)


def metric(z, y):
    found = risk.FragilityIndex()
    found.update(z, y)
    return found.compute()


def of_linear(z, y):
    z = z if isinstance(z, torch.Tensor) else torch.as_tensor(z)
    return risk.FragileLinearClassifier(divergence="kl").fit(z, y).fragility_


ENTRIES = {
    "brier": risk.brier,
    "ece": risk.ece,
    "ece_interval": risk.ece_interval,
    "fit_temperature": risk.fit_temperature,
    "nll": risk.nll,
    "reliability": risk.reliability,
    "temperature_gain": risk.temperature_gain,
    "expected_cost": lambda z, y: risk.expected_cost(torch.as_tensor(z).softmax(1), y),
    "fragility_index": risk.fragility_index,
    "fragility_report": lambda z, y: risk.fragility_report(z, y, bootstrap_rows=20, held_out=(z, y)).to_dict(),
    "misjudgment": risk.misjudgment,
    "FragilityIndex": metric,
    "FragilityLoss": lambda z, y: risk.FragilityLoss(2.0)(torch.as_tensor(z), y),
    "FragileLinearClassifier": of_linear,
    "lipschitz_estimate": lambda z, y: risk.lipschitz_estimate(NETWORK, torch.as_tensor(z), y, steps=1),
    "wasserstein_interval": lambda z, y: risk.wasserstein_interval(
        NETWORK, torch.as_tensor(z), y, tau=9.0, lipschitz=1.0, steps=1, restarts=1, tolerance=0.5
    ),
    "FragilityTargetSearch": lambda z, y: _trial(None, lambda target: NETWORK, lambda network: (z, y))["nfi"],
}
KINDS = {
    "numpy": lambda y: y.numpy(),
    "numpy int32": lambda y: y.numpy().astype(np.int32),
    "numpy uint8": lambda y: y.numpy().astype(np.uint8),
    "numpy big-endian": lambda y: y.numpy().astype(">i4"),
    "uint8": lambda y: y.to(torch.uint8),
    "int32": lambda y: y.int(),
    "int16": lambda y: y.short(),
    "list": lambda y: y.tolist(),
}


def flat(found):
    if isinstance(found, dict):
        return [v for key in sorted(found) for v in flat(found[key])]
    if isinstance(found, torch.Tensor):
        return found.detach().double().flatten().nan_to_num(-1).tolist()
    if isinstance(found, list | tuple):
        return [v for each in found for v in flat(each)]
    if hasattr(found, "__dataclass_fields__"):
        return flat(vars(found))
    return [found]


@pytest.mark.parametrize("name", ENTRIES)
def test_labels_of_every_type_count_alike(name):
    expected = flat(ENTRIES[name](Z, Y))
    for kind, made in KINDS.items():
        assert flat(ENTRIES[name](Z, made(Y))) == expected, kind


@pytest.mark.parametrize(
    "name", ["brier", "ece", "fit_temperature", "fragility_index", "fragility_report", "misjudgment"]
)
def test_logits_may_be_an_array(name):
    assert flat(ENTRIES[name](Z.numpy(), Y.numpy())) == flat(ENTRIES[name](Z, Y))


@pytest.mark.parametrize("name", sorted(ENTRIES.keys() - {"FragileLinearClassifier"}))
@pytest.mark.parametrize("bad", ["names", "fractions", "too large"])
def test_what_are_no_labels_is_refused(name, bad):
    y = {
        "names": np.array(["a", "b", "c"])[Y],
        "fractions": Y + 0.5,
        "too large": Y + 1,
    }[bad]
    with pytest.raises(InputError):
        ENTRIES[name](Z, y)
