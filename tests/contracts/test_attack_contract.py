"""One contract for every attack: within budget, box and mask, batch invariance, determinism, the model left as found."""

import warnings
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from deepwright.adversarial import (
    ALL,
    APGD,
    APGDT,
    BIM,
    FABT,
    FGSM,
    MIFGSM,
    NIFGSM,
    PGD,
    RFGSM,
    VMIFGSM,
    Boundary,
    CarliniWagner,
    DeepFool,
    HopSkipJump,
    Noise,
    Square,
    suite,
)
from deepwright.adversarial.engine import Attack, AttackResult
from deepwright.core import protocols
from deepwright.core.errors import InputError

SMALL = {
    "PGD": lambda **o: PGD(0.1, steps=5, **o),
    "PGD-l2": lambda **o: PGD(1.0, "l2", steps=5, **o),
    "PGD-l1": lambda **o: PGD(8.0, "l1", steps=5, **o),
    "FGSM": lambda **o: FGSM(0.1, **o),
    "RFGSM": lambda **o: RFGSM(0.1, **o),
    "BIM": lambda **o: BIM(0.1, steps=4, **o),
    "APGD": lambda **o: APGD(0.1, steps=8, **o),
    "APGDT": lambda **o: APGDT(0.1, steps=5, targets=3, **o),
    "FAB": lambda **o: FABT(0.1, steps=5, targets=2, **o),
    "Square": lambda **o: Square(0.1, queries=30, **o),
    "Square-l2": lambda **o: Square(2.0, "l2", queries=30, **o),
    "DeepFool": lambda **o: DeepFool(2.0, steps=8, **o),
    "DeepFool-linf": lambda **o: DeepFool(0.1, "linf", steps=8, **o),
    "C&W": lambda **o: CarliniWagner(2.0, steps=20, rounds=2, initial_c=1.0, **o),
    "noise": lambda **o: Noise(0.1, **o),
    "MI": lambda **o: MIFGSM(0.1, steps=4, **o),
    "MI-l2": lambda **o: MIFGSM(1.0, "l2", steps=4, **o),
    "NI": lambda **o: NIFGSM(0.1, steps=4, **o),
    "Boundary": lambda **o: Boundary(2.0, steps=40, **o),
    "HopSkipJump": lambda **o: HopSkipJump(2.0, iterations=2, evaluations=8, **o),
    "HopSkipJump-linf": lambda **o: HopSkipJump(0.1, "linf", iterations=2, evaluations=8, **o),
    "VMI": lambda **o: VMIFGSM(0.1, steps=3, neighbours=2, **o),
}


def state(model):
    """What an attack must leave as found."""
    return {
        "mode": [part.training for part in model.modules()],
        "wants gradients": [p.requires_grad for p in model.parameters()],
        "gradients": [p.grad for p in model.parameters()],
        "parameters": [p.tolist() for p in model.state_dict().values()],
    }


@dataclass
class Attacked:
    """One attack on one network in train mode, for all tests of it."""

    model: nn.Module
    x: Tensor
    y: Tensor
    attack: Attack
    result: AttackResult
    before: dict
    after: dict
    untouched: Tensor
    told: list[str]

    def again(self, rows=slice(None), **options):
        """The attack once more, on some of the samples under their own identities."""
        return self.attack(self.model, self.x[rows], self.y[rows], ids=torch.arange(24)[rows], **options)


@pytest.fixture(scope="module", params=SMALL)
def attacked(request, make_conv):
    model, x, y = make_conv()
    attack, untouched = SMALL[request.param](), x.clone()
    before = state(model.train())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = attack(model, x, y)
    after, told = state(model), [str(w.message) for w in caught]
    return Attacked(model.eval(), x, y, attack, result, before, after, untouched, told)


@pytest.fixture(scope="module")
def in_parts(attacked):
    """The same attack in batches of seven."""
    return [attacked.again(slice(i, i + 7)) for i in range(0, 24, 7)]


def test_it_fits_the_protocol(attacked):
    assert isinstance(attacked.attack, protocols.Attack)


def test_train_mode_is_told(attacked):
    assert any("train mode" in text for text in attacked.told)


@pytest.mark.parametrize("part", ["mode", "wants gradients", "gradients", "parameters"])
def test_the_model_is_left_as_found(attacked, part):
    assert attacked.before[part] == attacked.after[part]


def test_the_input_stays_as_it_is(attacked):
    assert torch.equal(attacked.x, attacked.untouched)


def test_what_fools_is_within_the_budget(attacked):
    fooled = attacked.result.norm[attacked.result.success]
    assert bool((fooled <= attacked.attack.eps * (1 + 1e-4)).all())


def test_what_is_found_is_within_the_box(attacked):
    assert bool(((attacked.result.x_adv >= 0) & (attacked.result.x_adv <= 1)).all())  # NaN is neither


def test_success_is_what_the_model_answers(attacked):
    with torch.no_grad():
        answer = attacked.model(attacked.result.x_adv).argmax(1)
    assert torch.equal(answer != attacked.y, attacked.result.success)


def test_the_same_call_gives_the_same_bits(attacked):
    assert torch.equal(attacked.again().x_adv, attacked.result.x_adv)


def test_a_sample_ends_at_the_same_place_in_any_batch(attacked, in_parts):
    joined = torch.cat([part.x_adv for part in in_parts])
    assert float((joined - attacked.result.x_adv).abs().max()) < 1e-5


def test_a_sample_is_fooled_or_not_in_any_batch(attacked, in_parts):
    assert torch.equal(torch.cat([part.success for part in in_parts]), attacked.result.success)


def test_without_a_budget_nothing_moves(attacked):
    assert float((attacked.again(eps=0.0).x_adv - attacked.x).abs().max()) < 1e-6


def test_each_sample_has_its_own_budget(attacked):
    each = torch.linspace(0.02, 1.0, 24) * min(attacked.attack.eps, 5)
    alone = attacked.again(slice(5, 6), eps=float(each[5]))
    assert bool(alone.success[0]) == bool(attacked.again(eps=each).success[5])


def test_what_the_mask_hides_stays(attacked):
    mask = torch.zeros(24, 1, 16, 16)
    mask[..., :8] = 1
    moved = attacked.again(mask=mask).x_adv - attacked.x
    assert float(moved[..., 8:].abs().max()) == 0


@pytest.mark.parametrize("name", ["PGD", "APGD"])
def test_early_stop_does_not_change_success(conv, name):
    model, x, y = conv
    a, b = SMALL[name]()(model, x, y), SMALL[name](early_stop=False)(model, x, y)
    assert torch.equal(a.success, b.success)


class Sums(nn.Module):
    """Three classes of series (N, T, C), read however they lie in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(12 * 4, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.reshape(len(x), -1) - 0.5) @ self.weight


@pytest.fixture(scope="module")
def windows():
    """(8, 12, 4) with the strides of what `load_series` gives: time runs fastest."""
    x = torch.rand(8, 4, 12, generator=torch.Generator().manual_seed(1)).transpose(1, 2)
    return Sums().eval(), x, Sums()(x).argmax(1)


@pytest.mark.parametrize("name", SMALL)
def test_how_the_inputs_lie_in_memory_does_not_matter(windows, name):
    model, x, y = windows
    strided, packed = SMALL[name]()(model, x, y), SMALL[name]()(model, x.contiguous(), y)
    assert torch.allclose(strided.x_adv, packed.x_adv, atol=1e-5)


def test_every_attack_is_covered():
    covered = {type(make()) for make in SMALL.values()}
    assert {cls.__name__ for cls in ALL} == {cls.__name__ for cls in covered}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", SMALL)
def test_bad_input(conv, name):
    model, x, y = conv
    attack = SMALL[name]()
    for bad, message in (
        ((x * 255).to(torch.uint8), "floats"),
        (x * 255, "divide 8-bit"),
        (torch.full_like(x, torch.nan), "NaN"),
        (x[:0], "."),
    ):
        with pytest.raises(InputError, match=message):
            attack(model, bad, y[: len(bad)])
    with pytest.raises(InputError, match="labels"):
        attack(model, x, y + 10)


AIMING = {
    FGSM: lambda **o: FGSM(3.0, **o),
    RFGSM: lambda **o: RFGSM(3.0, **o),
    BIM: lambda **o: BIM(3.0, steps=20, **o),
    PGD: lambda **o: PGD(3.0, steps=20, **o),
    APGD: lambda **o: APGD(3.0, steps=20, **o),
    APGDT: lambda **o: APGDT(3.0, steps=20, **o),
    FABT: lambda **o: FABT(3.0, steps=20, **o),
    Square: lambda **o: Square(3.0, queries=2000, **o),
    DeepFool: lambda **o: DeepFool(3.0, **o),
    CarliniWagner: lambda **o: CarliniWagner(20.0, steps=200, rounds=3, initial_c=1.0, **o),
    Noise: lambda **o: Noise(3.0, **o),
    MIFGSM: lambda **o: MIFGSM(3.0, steps=20, **o),
    NIFGSM: lambda **o: NIFGSM(3.0, steps=20, **o),
    Boundary: lambda **o: Boundary(20.0, steps=100, **o),
    HopSkipJump: lambda **o: HopSkipJump(20.0, iterations=3, evaluations=20, **o),
    VMIFGSM: lambda **o: VMIFGSM(3.0, steps=20, neighbours=3, **o),
}
BLIND, DEAF = {FABT, DeepFool, Noise}, {APGDT, FABT, DeepFool, CarliniWagner, Boundary, HopSkipJump}
STILL = {FGSM, BIM, FABT, DeepFool, CarliniWagner, MIFGSM, NIFGSM}  # these begin at x and draw nothing
STOPPING = {PGD, BIM, APGD, APGDT, FABT, MIFGSM, NIFGSM, VMIFGSM}


def affine():
    """A network of five classes, and inputs with targets that they aren't classified as; enough dimensions for each."""
    rng = torch.Generator().manual_seed(0)
    model = torch.nn.Linear(16, 5).eval()
    with torch.no_grad():
        model.weight.copy_(torch.randn(5, 16, generator=rng))
        model.bias.zero_()
        x = torch.randn(20, 16, generator=rng)
        target = (model(x).argmax(1) + 1 + torch.randint(0, 4, (20,), generator=rng)) % 5
    return model, x, target


@pytest.mark.parametrize("cls", [c for c in ALL if c not in BLIND])
def test_what_takes_targeted_reaches_the_target(cls):
    model, x, target = affine()
    attack = AIMING[cls](targeted=True, bounds=(-8.0, 8.0))
    enough = 0.9 if cls is RFGSM else 1.0  # its one step starts from a random corner
    assert float(attack(model, x, target).success.double().mean()) >= enough


@pytest.mark.parametrize("cls", [c for c in ALL if c in BLIND])
def test_what_cannot_aim_refuses_targeted(cls):
    with pytest.raises(InputError, match="targeted"):
        AIMING[cls](targeted=True)


@pytest.mark.parametrize("cls", [c for c in ALL if c in DEAF])
def test_what_has_an_objective_of_its_own_refuses_loss(cls):
    with pytest.raises(InputError, match="loss"):
        AIMING[cls](loss="dlr")


@pytest.mark.parametrize("cls", ALL)
def test_a_seed_is_refused_or_changes_what_is_found(cls):
    if cls in STILL:
        with pytest.raises(InputError, match="seed left at 0"):
            AIMING[cls](seed=3)
    else:
        model, x, _ = affine()
        found = [AIMING[cls](seed=seed, bounds=(-8.0, 8.0))(model, x, model(x).argmax(1)) for seed in (0, 3)]
        assert not torch.equal(found[0].x_adv, found[1].x_adv)


@pytest.mark.parametrize("cls", ALL)
def test_early_stop_is_refused_or_saves_queries(cls):
    if cls not in STOPPING:
        with pytest.raises(InputError, match="early_stop left at True"):
            AIMING[cls](early_stop=False)
    else:
        model, x, _ = affine()
        found = [
            AIMING[cls](early_stop=stop, bounds=(-8.0, 8.0))(model, x, model(x).argmax(1)) for stop in (True, False)
        ]
        assert int(found[0].queries.sum()) < int(found[1].queries.sum())


@pytest.mark.parametrize("word", ["loss", "targeted", "early_stop", "seed"])
def test_the_attacks_that_a_refusal_names_take_the_word(word):
    assert not {word} & {*PGD.refused, *APGD.refused}


def test_an_argument_at_its_default_is_no_demand():
    assert DeepFool(loss=None, targeted=False, early_stop=True, seed=0).early_stop


@pytest.mark.parametrize("name", ["quick", "fast", "standard"])
def test_a_suite_gives_its_seed_to_all_that_draw(name):
    assert {type(a) for a in suite(name, 0.1, seed=3).attacks if a.seed != 3} <= STILL


@pytest.mark.parametrize("cls", [BIM, APGDT])
def test_what_has_one_start_takes_no_restarts(cls):
    with pytest.raises(TypeError, match="restarts"):
        AIMING[cls](restarts=3)


@pytest.mark.parametrize("cls", ALL)
def test_an_unknown_word_is_refused(cls):
    with pytest.raises(TypeError, match="temperature"):
        AIMING[cls](temperature=2.0)


NONSENSE = {
    PGD: ({"steps": 0}, {"restarts": 0}, {"alpha": -1.0}),
    BIM: ({"steps": 0},),
    APGD: ({"steps": 0}, {"rho": 0.0}),
    APGDT: ({"targets": 0},),
    FABT: ({"steps": 0}, {"targets": 0}),
    Square: ({"queries": 0}, {"p": 2.0}),
    DeepFool: ({"steps": 0}, {"candidates": 1}, {"overshoot": -0.1}),
    CarliniWagner: ({"steps": 0}, {"rounds": 0}, {"lr": 0.0}, {"initial_c": 0.0}),
    Noise: ({"repeats": 0}, {"kind": "pink"}),
    MIFGSM: ({"steps": 0}, {"alpha": 0.0}, {"decay": -1.0}),
    Boundary: ({"steps": 0}, {"sphere": 0.0}, {"step": 0.0}, {"converged": 0.0}, {"tries": 0}, {"norm": "linf"}),
    HopSkipJump: ({"iterations": 0}, {"evaluations": 0}, {"most": 0}, {"queries": 0}, {"gamma": 0.0}, {"norm": "l1"}),
    VMIFGSM: ({"neighbours": 0}, {"radius": 0.0}),
}


@pytest.mark.parametrize(("cls", "options"), [(cls, o) for cls, several in NONSENSE.items() for o in several])
def test_nonsense_is_refused(cls, options):
    with pytest.raises(InputError):
        cls(0.1, **options)
