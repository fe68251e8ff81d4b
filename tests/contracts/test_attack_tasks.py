"""Every attack on every task: it keeps ball and box and says truly what it fooled, or it says why it doesn't apply."""

import pytest
import torch
from test_attack_contract import BLIND, SMALL
from torch import nn

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
    AttackSuite,
    Boundary,
    CarliniWagner,
    DeepFool,
    HopSkipJump,
    Square,
    curve,
    masking_flags,
    minimal_eps,
    norms,
    robust_accuracy,
    suite,
)
from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.tasks import ALL as TASKS
from deepwright.core.tasks import (
    Binary,
    Classification,
    Detection,
    Forecast,
    GraphClassification,
    MultiLabel,
    Regression,
    Segmentation,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Dense(nn.Module):
    """A small network with an output of any shape; its weights are drawn from a seed."""

    def __init__(self, *shape, inputs=16, gain=1.0):
        super().__init__()
        self.shape = shape
        count = torch.Size(shape).numel()
        self.hidden, self.out = nn.Linear(inputs, 12), nn.Linear(12, count)
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=seeded(p.numel())) * (gain if p.ndim > 1 else 0.1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x.flatten(1)))).reshape(len(x), *self.shape)


class Boxes(nn.Module):
    """Two boxes at fixed places, each with a score that depends on the input."""

    def __init__(self):
        super().__init__()
        self.scores = Dense(2, gain=2.0)

    def forward(self, x):
        corners = x.new_tensor([[0.0, 0.0, 2.0, 2.0], [2.0, 2.0, 4.0, 4.0]])
        labels = torch.tensor([0, 1], device=x.device)
        return [Detections(corners, labels, row) for row in self.scores(x).sigmoid()]


def case(task, model, targets=None):
    """Inputs that the network is right on, and their targets."""
    x = torch.rand(12, 1, 4, 4, generator=seeded(3))
    with torch.no_grad():
        y = task.prediction(task.read(model(x), strict=False)) if targets is None else targets(model(x))
    if isinstance(y, torch.Tensor):
        y = y.clone()
    return task, model.eval(), x, y


CASES = {
    "classes": lambda: case(Classification(5), Dense(5)),
    "two classes": lambda: case(Classification(2), Dense(2)),
    "graphs": lambda: case(GraphClassification(4), Dense(4)),
    "binary, one column": lambda: case(Binary(), Dense(1)),
    "binary, flat": lambda: case(Binary(), Dense()),
    "binary, two columns": lambda: case(Binary(), Dense(2)),
    "binary, another threshold": lambda: case(Binary(threshold=0.2), Dense(1)),
    "labels": lambda: case(MultiLabel(3), Dense(3)),
    "numbers": lambda: case(Regression(2, tolerance=(0.3, 0.5)), Dense(2)),
    "a number": lambda: case(Regression(tolerance=0.3), Dense(1), lambda out: out[:, 0]),
    "pixels": lambda: case(Segmentation(3), Dense(3, 4, 4)),
    "pixels, one column": lambda: case(Segmentation(2), Dense(1, 4, 4)),
    "a forecast": lambda: case(Forecast(3, 2, tolerance=1.2), Dense(3, 2)),
    "boxes": lambda: case(Detection(2), Boxes()),
}
NO_CLASSES = {"labels", "numbers", "a number", "pixels", "pixels, one column", "a forecast", "boxes"}
NEEDS_CLASSES = {name for name, make in SMALL.items() if type(make()).needs_classes}
# One case a task; what else a task reads is tried with one attack of a kind.
ONE_A_TASK = ["classes", "graphs", "binary, one column", "labels", "numbers", "pixels", "a forecast", "boxes"]
FITTING = [(a, c) for a in SMALL for c in ONE_A_TASK] + [
    (a, c) for a in ("PGD", "DeepFool") for c in CASES if c not in ONE_A_TASK
]
FITTING = [(a, c) for a, c in FITTING if a not in NEEDS_CLASSES or c not in NO_CLASSES]
REFUSED = [(a, c) for a in sorted(NEEDS_CLASSES) for c in sorted(NO_CLASSES)]


def fooled(task, model, x, y, **aim):
    """By the task's own word, on the network itself."""
    with torch.no_grad():
        out = task.read(model(x), strict=False)
    y = task.check_targets(y)
    return task.fooled(out, **({"target": y} if aim.get("targeted") else {"y": y}))


def test_every_task_is_covered():
    assert {type(make()[0]) for make in CASES.values()} == set(TASKS)


@pytest.mark.parametrize("case", CASES)
def test_inputs_are_right_before_an_attack(case):
    task, model, x, y = CASES[case]()
    assert bool(PGD(0.1, task=task).stands(model, x, y).all())


@pytest.mark.parametrize(("attack", "case"), FITTING)
def test_ball_and_box_hold_and_success_is_what_the_task_says(attack, case):
    task, model, x, y = CASES[case]()
    method = SMALL[attack](task=task)
    result = method(model, x, y)
    assert float(result.x_adv.min()) >= 0
    assert float(result.x_adv.max()) <= 1
    assert bool((norms(result.x_adv - x, method.norm) <= float(method.eps) * (1 + 1e-5)).all())
    assert torch.equal(result.success, fooled(task, model, result.x_adv, y))


@pytest.mark.parametrize("case", ONE_A_TASK)
def test_a_gradient_attack_fools_more_than_noise(case):
    task, model, x, y = CASES[case]()
    found = {name: int(SMALL[name](task=task)(model, x, y, eps=0.3).success.sum()) for name in ("PGD", "noise")}
    assert found["PGD"] > found["noise"]


@pytest.mark.parametrize(("attack", "case"), REFUSED)
def test_what_needs_classes_says_why_it_does_not_apply(attack, case):
    with pytest.raises(InputError, match="does not apply, since"):
        SMALL[attack](task=CASES[case]()[0])


@pytest.mark.parametrize("attack", sorted(NEEDS_CLASSES))
def test_a_task_that_tells_no_classes_is_refused_at_the_call(attack):
    class Unsaid(Classification):
        def class_logits(self, out):
            return None

    _, model, x, y = CASES["classes"]()
    with pytest.raises(InputError, match="does not apply, since"):
        SMALL[attack](task=Unsaid(5))(model, x, y)


@pytest.mark.parametrize("case", ONE_A_TASK)
@pytest.mark.parametrize("method", [PGD, Square])
def test_every_loss_of_the_task_works(method, case):
    task, model, x, y = CASES[case]()
    length = {"steps": 4} if method is PGD else {"queries": 12}
    for loss in task.attack_losses:
        result = method(0.3, task=task, loss=loss, **length)(model, x, y)
        assert torch.equal(result.success, fooled(task, model, result.x_adv, y))


@pytest.mark.parametrize("case", CASES)
def test_a_loss_of_another_task_is_refused(case):
    task = CASES[case]()[0]
    foreign = "squared_error" if "ce" in task.attack_losses else "ce"
    with pytest.raises(InputError, match="loss"):
        PGD(0.1, task=task, loss=foreign)


def wanted(task, model, x, y):
    """Targets that some input within the box reaches: what the network says of another one."""
    if isinstance(task, Classification | Binary):
        return (y + 1) % task.classes
    with torch.no_grad():
        return task.check_targets(task.prediction(task.read(model(x.flip(0)), strict=False)))


@pytest.mark.parametrize("case", ONE_A_TASK)
@pytest.mark.parametrize("method", [PGD, APGD, FGSM, Square])
def test_targets_are_reached_as_the_task_says(method, case):
    task, model, x, y = CASES[case]()
    goal = wanted(task, model, x, y)
    length = {PGD: {"steps": 30}, APGD: {"steps": 30}, FGSM: {}, Square: {"queries": 60}}[method]
    result = method(1.0, task=task, targeted=True, **length)(model, x, goal)
    assert torch.equal(result.success, fooled(task, model, result.x_adv, goal, targeted=True))
    assert method in (FGSM, Square) or float(result.success.double().mean()) >= 0.25


@pytest.mark.parametrize("case", CASES)
def test_per_sample_budgets_masks_and_dropped_samples_keep_rows_together(case):
    task, model, x, y = CASES[case]()
    mask = torch.zeros_like(x)
    mask[..., :2] = 1
    eps = torch.linspace(0.0, 0.6, len(x))
    result = PGD(0.1, task=task, steps=8)(model, x, y, mask=mask, eps=eps)
    assert float((result.x_adv - x)[..., 2:].abs().max()) == 0
    assert bool(((result.x_adv - x).flatten(1).abs().amax(1) <= eps + 1e-6).all())
    assert torch.equal(result.success, fooled(task, model, result.x_adv, y))


@pytest.mark.parametrize("name", ["quick", "standard"])
@pytest.mark.parametrize("case", ONE_A_TASK)
def test_ready_suites_exist_for_every_task(case, name):
    task, model, x, y = CASES[case]()
    attacks = suite(name, 0.2, task=task, steps=1)
    report = robust_accuracy(model, [(x[:7], y[:7]), (x[7:], y[7:])], attacks)
    assert report.clean.value == 1.0
    fooled_alone = attacks.attacks[0](model, x, y).success
    assert report.robust.value <= 1 - float(fooled_alone.double().mean()) + 1e-12


@pytest.mark.parametrize("name", ["quick", "fast", "standard"])
def test_a_suite_of_several_starts_gives_them_to_apgd_and_says_so(name):
    several = suite(name, 0.2, task=Regression(), restarts=3)
    assert [a.restarts for a in several.attacks if isinstance(a, APGD)] == [3, 3]
    assert several.name == f"{name}, 3 starts"


@pytest.mark.parametrize("case", ONE_A_TASK)
def test_curve_falls_and_smallest_budgets_are_enough(case):
    task, model, x, y = CASES[case]()
    attack = PGD(0.1, task=task, steps=5)
    values = [p.value for p in curve(model, x, y, attack, [0.0, 0.2, 0.8])]
    assert values[0] == 1.0
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1.0
    least = minimal_eps(model, x, y, attack, high=0.8, tol=0.05)
    rows = torch.isfinite(least).nonzero().flatten()
    part = task.check_targets(y)[rows]
    assert bool(attack(model, x[rows], part, eps=least[rows], ids=rows).success.all())


def test_masking_flags_take_a_task():
    class Coarse(Dense):
        def forward(self, x):
            return super().forward((x * 4).round() / 4)

    task = Regression(tolerance=0.3)
    _, model, x, y = case(task, Coarse(1), lambda out: out[:, 0])
    assert "zero gradients" in masking_flags(model, x, y, 0.3, task=task)


# --- closed forms on affine networks ---------------------------------------------------------------------------


def plane(columns=1):
    """z = w x + b in double precision, and inputs far inside the box."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, columns)).double().eval()
    model[1].weight.data = torch.randn(columns, 16, generator=seeded(1), dtype=torch.float64)
    model[1].bias.data.zero_()
    x = torch.rand(20, 16, generator=seeded(2), dtype=torch.float64) * 0.2 + 0.4
    with torch.no_grad():
        return model, x, model(x), model[1].weight.detach()


@pytest.mark.parametrize(("method", "threshold"), [(DeepFool, 0.5), (DeepFool, 0.35), (CarliniWagner, 0.35)])
def test_binary_distance_to_the_threshold(method, threshold):
    model, x, z, w = plane()
    task = Binary(threshold=threshold, outputs="logits")
    boundary = float(torch.tensor(threshold, dtype=torch.float64).logit())
    options = {"steps": 150, "rounds": 5, "initial_c": 0.3} if method is CarliniWagner else {"overshoot": 0.0}
    result = method(task=task, **options)(model, x, (z[:, 0] > boundary).long())
    assert bool(result.success.all())
    assert torch.allclose(result.norm, (z[:, 0] - boundary).abs() / w.norm(), rtol=0.03)


@pytest.mark.parametrize("task", [Regression(tolerance=0.2), Forecast(1, 1, tolerance=0.2)], ids=["number", "forecast"])
def test_a_number_is_pushed_off_by_the_dual_norm(task):
    model, x, z, w = plane()
    attack = PGD(0.01, task=task, early_stop=False, alpha=0.01, random_start=False, bounds=(-3.0, 3.0))
    result = attack(model, x, z + 0.001)
    assert torch.allclose((model(result.x_adv) - z - 0.001).abs()[:, 0], 0.01 * w.abs().sum() + 0.001, atol=1e-9)


def test_a_number_needs_tolerance_over_dual_norm():
    model, x, z, w = plane()
    attack = PGD(0.1, task=Regression(tolerance=0.2), random_start=False, bounds=(-3.0, 3.0))
    least = minimal_eps(model, x, z + 1e-3, attack, high=0.5, tol=1e-5)
    assert torch.allclose(least, (0.199 / w.abs().sum()).float().expand(20), rtol=1e-3)


def test_a_label_set_falls_by_its_weakest_label():
    model, x, z, w = plane(3)
    size = w.abs().sum(1)  # rows of dual norm 1: the label nearest in logits is the nearest one
    model[1].weight.data /= size[:, None]
    y, least = (z > 0).long(), (z / size).abs().amin(1)
    attack = PGD(0.1, task=MultiLabel(3), loss="margin", steps=40, random_start=False, bounds=(-3.0, 3.0))
    assert not bool(attack(model, x, y, eps=0.99 * least).success.any())
    assert float(attack(model, x, y, eps=1.05 * least).success.double().mean()) == 1.0


# Attack with a target and the margin as loss -> what it takes, in distances to the boundary, to arrive everywhere.
AIMED = {
    "FGSM": (lambda norm, **o: FGSM(0.1, norm, **o), 1.01),
    "RFGSM": (lambda norm, **o: RFGSM(0.1, norm, **o), 4.0),
    "BIM": (lambda norm, **o: BIM(0.1, norm, **o), 1.01),
    "PGD": (lambda norm, **o: PGD(0.1, norm, steps=40, **o), 1.1),
    "APGD": (lambda norm, **o: APGD(0.1, norm, steps=40, **o), 1.1),
    "APGDT": (lambda norm, **o: APGDT(0.1, norm, steps=40, **o), 1.1),
    "Square": (lambda norm, **o: Square(0.1, norm, queries=80, **o), 8.0),
    "MI": (lambda norm, **o: MIFGSM(0.1, norm, **o), 1.01),
    "NI": (lambda norm, **o: NIFGSM(0.1, norm, **o), 1.01),
    "VMI": (lambda norm, **o: VMIFGSM(0.1, norm, neighbours=2, **o), 1.01),
    "HopSkipJump": (lambda norm, **o: HopSkipJump(0.1, norm, iterations=6, evaluations=60, **o), 1.5),
    "Boundary": (lambda norm, **o: Boundary(0.1, norm, steps=200, sphere=0.3, step=0.1, **o), 1.5),
}
DUALS = {"linf": 1, "l2": 2}


@pytest.mark.parametrize(("name", "norm"), [(a, n) for a in AIMED for n in DUALS if (a, n) != ("Boundary", "linf")])
def test_a_target_needs_its_distance(name, norm):
    """Two classes: the target is never reached before |z_t - z_y| / ||w_t - w_y||, and soon after it."""
    model, x, z, w = plane(2)
    goal = z.argmin(1)
    least = (z[:, 0] - z[:, 1]).abs() / (w[0] - w[1]).norm(p=DUALS[norm])
    make, enough = AIMED[name]
    attack = make(norm, targeted=True, bounds=(-3.0, 3.0))
    assert not bool(attack(model, x, goal, eps=0.99 * least).success.any())
    assert bool(attack(model, x, goal, eps=enough * least).success.all())


def test_every_attack_that_aims_is_measured():
    measured = {type(make("l2")) for make, _ in AIMED.values()} | {CarliniWagner}
    assert measured == set(ALL) - BLIND


def test_carlini_wagner_finds_the_distance_to_a_target():
    model, x, z, w = plane(2)
    attack = CarliniWagner(steps=150, rounds=5, initial_c=0.3, targeted=True)
    result = attack(model, x, z.argmin(1))
    assert torch.allclose(result.norm, (z[:, 0] - z[:, 1]).abs() / (w[0] - w[1]).norm(), rtol=0.03)


# --- what must be refused or mended ------------------------------------------------------------------------------


def test_float_labels_are_never_cut():
    _, model, x, y = CASES["classes"]()
    plain = PGD(0.1, steps=3)(model, x, y)
    assert torch.equal(PGD(0.1, steps=3)(model, x, y.float()).x_adv, plain.x_adv)
    with pytest.raises(InputError, match="fractions"):
        PGD(0.1, steps=3)(model, x, y + 0.5)


def test_softmax_outputs_are_refused_or_named():
    _, model, x, y = CASES["classes"]()
    soft = nn.Sequential(model, nn.Softmax(1)).eval()
    with pytest.raises(InputError, match="probabilities"):
        PGD(0.3, steps=5)(soft, x, y)
    named = PGD(0.3, steps=5, task=Classification(5, outputs="probabilities"))(soft, x, y)
    assert torch.equal(named.success, PGD(0.3, steps=5)(model, x, y).success)


@pytest.mark.parametrize("wrapped", [lambda z: (z, z[:, :1]), lambda z: {"logits": z, "hidden": z + 1}])
def test_outputs_in_tuples_and_dicts_are_read(wrapped):
    _, model, x, y = CASES["classes"]()

    class Wrapped(nn.Module):
        def forward(self, t):
            return wrapped(model(t))

    found = DeepFool(2.0, steps=5, task=Classification(5))(Wrapped().eval(), x, y)
    assert torch.equal(found.x_adv, DeepFool(2.0, steps=5)(model, x, y).x_adv)


@pytest.mark.parametrize("attack", [PGD, FGSM, APGD, APGDT, FABT, Square, DeepFool, CarliniWagner])
def test_one_column_beside_zeros_and_ones_is_one_logit(attack):
    _, model, x, y = CASES["binary, one column"]()
    options = {FGSM: {}, Square: {"queries": 20}}.get(attack, {"steps": 3})
    plain, named = attack(0.1, **options)(model, x, y), attack(0.1, task=Binary(), **options)(model, x, y)
    assert torch.equal(plain.x_adv, named.x_adv)
    assert torch.equal(plain.success, named.success)


def test_one_column_beside_other_targets_is_refused_with_the_tasks():
    _, model, x, y = CASES["binary, one column"]()
    for targets in (y.float(), y * 2):
        with pytest.raises(InputError, match="Binary"):
            PGD(0.1)(model, x, targets)


def test_an_open_tolerance_is_refused():
    _, model, x, y = CASES["a number"]()
    with pytest.raises(InputError, match="tolerance"):
        PGD(0.1, task=Regression())(model, x, y)


def test_sigmoid_outputs_are_refused_as_logits():
    _, model, x, y = CASES["binary, one column"]()
    with pytest.raises(InputError, match="probabilities"):
        PGD(0.3, task=Binary())(nn.Sequential(model, nn.Sigmoid()).eval(), x, y)


@pytest.mark.parametrize("as_given", [list, lambda rows: rows.numpy()], ids=["list", "array"])
def test_labels_may_be_lists_and_arrays(as_given):
    _, model, x, y = CASES["classes"]()
    attack = AttackSuite([PGD(0.05, steps=3), Square(0.05, queries=5)])
    labels = as_given(y.tolist() if as_given is list else y)
    assert torch.equal(attack(model, x, labels).success, attack(model, x, y).success)
    assert curve(model, x, labels, attack, [0.05]) == curve(model, x, y, attack, [0.05])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("wrong", [Binary, "binary", 2])
def test_what_is_no_task_is_refused(wrong):
    with pytest.raises(InputError, match="task"):
        PGD(0.1, task=wrong)


def test_functions_without_a_task_get_outputs_as_they_are():
    _, model, x, _ = CASES["pixels"]()
    level = torch.full((len(x),), 0.5, dtype=torch.float64)
    attack = PGD(0.3, steps=5, loss=lambda out, y: out.amax((1, 2, 3)), success=lambda out, y: out.amax((1, 2, 3)) > y)
    result = attack(model, x, level)
    assert torch.equal(result.success, model(result.x_adv).amax((1, 2, 3)) > level)


def test_a_suite_has_one_task():
    with pytest.raises(InputError, match="one task"):
        AttackSuite([PGD(0.1), PGD(0.1, task=Binary())])


@pytest.mark.parametrize("measure", [lambda *a: robust_accuracy(a[0], [a[1:3]], a[3]), lambda *a: curve(*a, [0.1])])
def test_accuracy_under_a_targeted_attack_is_refused(measure):
    _, model, x, y = CASES["classes"]()
    with pytest.raises(InputError, match="untargeted"):
        measure(model, x, y, PGD(0.1, targeted=True))


@pytest.mark.parametrize("eps", [[-0.1], [0.1, float("nan")]])
def test_a_curve_over_no_budgets_is_refused(eps):
    _, model, x, y = CASES["classes"]()
    with pytest.raises(InputError, match=r"budgets|eps"):
        curve(model, x, y, PGD(0.1, steps=2), eps)


@pytest.mark.parametrize("bracket", [{"low": 0.5, "high": 0.1}, {"tol": 0.0}, {"high": float("nan")}])
def test_an_empty_bracket_is_refused(bracket):
    _, model, x, y = CASES["classes"]()
    with pytest.raises(InputError, match="bracket"):
        minimal_eps(model, x, y, PGD(0.1, steps=2), **bracket)


def test_a_bracket_finer_than_float32_ends():
    _, model, x, y = CASES["classes"]()
    assert minimal_eps(model, x[:2], y[:2], FGSM(0.1), tol=1e-12).shape == (2,)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: ((x * 255).to(torch.uint8), y), "255"),
        (lambda x, y: (x * 255, y), "divide"),
        (lambda x, y: (x, y[:-1]), "as many labels"),
        (lambda x, y: (x, None), "as many labels"),
        (lambda x, y: (x, y[0]), "as many labels"),
    ],
)
def test_bad_batches_are_refused_even_where_nothing_would_be_attacked(change, message):
    _, model, x, y = CASES["classes"]()
    x, y = change(x, (y + 1) % 5)
    with pytest.raises(InputError, match=message):
        PGD(0.1, steps=2).stands(model, x, y)


def test_what_is_not_finite_does_not_stand():
    _, model, x, y = CASES["classes"]()
    broken = nn.Sequential(model, nn.Threshold(1e9, torch.nan)).eval()
    assert robust_accuracy(broken, [(x, y)], PGD(0.1, steps=2)).robust.value == 0.0


def test_a_defence_counts_for_clean_accuracy_too():
    _, model, x, y = CASES["classes"]()
    report = robust_accuracy(model, [(x, y)], PGD(0.0, steps=1), through=[lambda t: 1 - t])
    with torch.no_grad():
        assert report.clean.value == float((model(1 - x).argmax(1) == y).double().mean())


def test_a_mask_follows_its_samples():
    """Of a batch with wrong samples only the right ones are attacked, each under its own mask."""
    _, model, x, y = CASES["classes"]()
    y = y.clone()
    y[:6] = (y[:6] + 1) % 5
    mask = torch.zeros_like(x)
    mask[6:9] = 1
    report = robust_accuracy(model, [(x, y)], PGD(0.6, steps=10), mask=mask)
    assert report.right[9:] == [True] * 3
    assert not any(report.right[:6])


def test_every_attack_takes_a_task():
    assert all(method(0.1, task=Classification(3)).task == Classification(3) for method in ALL)


def test_probabilities_are_found_whatever_the_size_of_a_batch():
    net = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
    x, y = torch.rand(32, 4), torch.arange(32) % 2
    with pytest.raises(InputError, match="probabilities"):
        robust_accuracy(net, zip(x.split(4), y.split(4)), PGD(0.1, task=Binary(), steps=2))


def test_an_infinite_bracket_is_refused():
    with pytest.raises(InputError, match="finite"):
        minimal_eps(nn.Linear(4, 2), torch.rand(3, 4), torch.tensor([0, 1, 0]), PGD(0.1), high=float("inf"))
