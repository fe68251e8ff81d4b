"""Calls of the room of attacks."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import torch

from deepwright.adversarial import (
    APGD,
    APGDT,
    BIM,
    DAG,
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
    ClassRemoval,
    CosPGD,
    DeepFool,
    DensePGD,
    DiverseInputs,
    Fabricate,
    HopSkipJump,
    Mislabel,
    Noise,
    Scales,
    SegPGD,
    SmoothGradients,
    Spatial,
    Square,
    Surrogates,
    TargetScene,
    UniversalPerturbation,
    Vanish,
    bpda,
    curve,
    from_art,
    from_foolbox,
    masking_flags,
    minimal_eps,
    norms,
    project,
    robust_accuracy,
    suite,
    to_foolbox,
)
from deepwright.adversarial.sharpening import (
    BiLevel,
    BitDepth,
    Blur,
    ContrastStretch,
    FastPreemption,
    GaussianNoise,
    GuidedSharpen,
    Jpeg,
    LaplacianSharpen,
    LastIterate,
    Unsharp,
    align_surrogate,
    blocking,
    compare,
    gain,
    laplacian,
    psnr,
    reverse,
    ssim,
    texture_correlation,
    texture_intensity,
)
from deepwright.adversarial.smoothing import NoisyMean, Smoothed, certified_accuracy
from deepwright.adversarial.text import FromEmbeddings, WordSubstitution
from deepwright.adversarial.training import AdversarialTraining, RobustScore, Trades, overfitted
from deepwright.core.boxes import Detections
from deepwright.core.tasks import Binary, CandidateDetection, Classification, MultiLabel, Regression, Segmentation
from deepwright.nets import CandidateBoxes, small_ssd
from deepwright.nets.texts import Tokenized, WordTokenizer, text_cnn
from entries import Entry, Placed, image_classifier, uniform

ATTACKS = {
    "PGD": PGD(0.1, steps=3),
    "PGD l2": PGD(1.0, "l2", steps=3),
    "PGD l1": PGD(8.0, "l1", steps=3),
    "FGSM": FGSM(0.1),
    "RFGSM": RFGSM(0.1),
    "BIM": BIM(0.1, steps=3),
    "APGD": APGD(0.1, steps=5),
    "APGDT": APGDT(0.1, steps=4, targets=2),
    "FABT": FABT(0.1, steps=3, targets=2),
    "Square": Square(0.1, queries=12),
    "Square l2": Square(2.0, "l2", queries=12),
    "DeepFool": DeepFool(2.0, steps=4),
    "DeepFool linf": DeepFool(0.1, "linf", steps=4),
    "CarliniWagner": CarliniWagner(2.0, steps=6, rounds=2, initial_c=1.0),
    "Noise": Noise(0.1),
    "Boundary": Boundary(2.0, steps=12),
    "HopSkipJump": HopSkipJump(2.0, iterations=2, evaluations=6),
    "HopSkipJump linf": HopSkipJump(0.1, "linf", iterations=2, evaluations=6),
    "Spatial": Spatial(grid=(3, 1, 3)),
    "Spatial of draws": Spatial(tries=3),
    "MIFGSM": MIFGSM(0.1, steps=3, variations=[DiverseInputs(), Scales(2), SmoothGradients(5, 1.0)]),
    "NIFGSM": NIFGSM(0.1, steps=3),
    "VMIFGSM": VMIFGSM(0.1, steps=3, neighbours=2),
}


def attacked(name):
    def call(device, dtype=torch.float32):
        model, x, y = image_classifier(device, dtype)
        found = ATTACKS[name](model, x, y)
        return {"x_adv": Placed(found.x_adv), "success": found.success, "model": model}

    return call


def options_elsewhere(device):
    """Budgets, ids and a mask may come from the CPU or from the device."""
    model, x, y = image_classifier(device)
    each, mask = torch.linspace(0.02, 0.1, len(x)), torch.zeros(len(x), 1, 8, 8)
    mask[..., :4] = 1
    ids = torch.arange(len(x))
    return [
        PGD(0.1, steps=3)(model, x, y, eps=e, ids=i, mask=m).success
        for e, i, m in ((each, ids, mask), (each.to(device), ids.to(device), mask.to(device)))
    ]


def data_elsewhere(device):
    model, x, y = image_classifier(device)
    return PGD(0.1, steps=3)(model, x.cpu(), y.cpu()).success


def every_option(device):
    model, x, y = image_classifier(device)
    options = {"quantize": 255, "eot": 2, "callback": lambda step, done: None, "through": (lambda t: t * 1.0,)}
    return PGD(0.3, steps=3, targeted=True)(model, (x * 255).round() / 255, (y + 1) % 10, **options).success


def robust(device):
    model, x, y = image_classifier(device)
    attacks = AttackSuite([PGD(0.1, steps=3), Square(0.1, queries=10)])
    with tempfile.TemporaryDirectory() as folder:
        found = [
            robust_accuracy(model, [(x[:6], y[:6]), (x[6:], y[6:])], attacks, checkpoint=Path(folder) / "c.jsonl")
            for _ in range(2)
        ]
    return [(r.clean.value, r.robust.value) for r in found]


def sweeps(device):
    model, x, y = image_classifier(device)
    return str(curve(model, x, y, PGD(0.1, steps=3), [0.0, 0.05, 0.1]))


def budgets(device):
    model, x, y = image_classifier(device)
    return Placed(minimal_eps(model, x, y, PGD(0.1, steps=2), tol=0.05))


def pixels(device):
    """A network with three columns at every pixel, and images that it is right on."""
    torch.manual_seed(2)
    model, x = torch.nn.Conv2d(1, 3, 3, padding=1).eval(), image_classifier("cpu")[1]
    with torch.no_grad():
        y = model(x).argmax(1)
    return model.to(device), x.to(device), y


def on_task(task, y_of):
    """PGD and Square on ten outputs that are read as another task; targets may come from the CPU."""

    def call(device):
        model, x, _ = pixels(device) if isinstance(task, Segmentation) else image_classifier(device)
        if not isinstance(task, Segmentation):
            model[-1] = torch.nn.Linear(32, task.columns[-1], device=device)
            with torch.no_grad():
                model[-1].weight.copy_(uniform(*model[-1].weight.shape, seed=4) - 0.5)
                model[-1].bias.zero_()
        with torch.no_grad():
            y = y_of(model(x))
        return [
            attack(model, x, targets).success
            for attack in (PGD(0.2, steps=3, task=task), Square(0.2, queries=8, task=task))
            for targets in (y, y.cpu())
        ]

    return call


TASKS = {
    "binary": on_task(Binary(), lambda z: (z[:, 1] > z[:, 0]).long()),
    "labels": on_task(MultiLabel(3, outputs="logits"), lambda z: (z > 0).long()),
    "numbers": on_task(Regression(2, tolerance=(0.1, 0.2)), lambda z: z),
    "pixels": on_task(Segmentation(3), lambda z: z.argmax(1)),
}


SCENES = {
    "DensePGD": DensePGD(0.1, steps=3, task=Segmentation(3)),
    "SegPGD": SegPGD(0.1, steps=3, task=Segmentation(3)),
    "CosPGD": CosPGD(0.1, steps=3, task=Segmentation(3)),
    "DAG": DAG(steps=3, task=Segmentation(3)),
    "TargetScene": TargetScene(0.1, steps=3, task=Segmentation(3)),
    "ClassRemoval": ClassRemoval(0.1, 1, steps=3, task=Segmentation(3)),
    "the dense suite": suite("dense", 0.1, steps=2, task=Segmentation(3)),
}


def on_scenes(name):
    """Labels from the CPU, one image without any that counts."""

    def call(device):
        model, x, y = pixels(device)
        y = y.roll(1, 0)
        y[0] = 255
        found = SCENES[name](model, x, y)
        return {"x_adv": Placed(found.x_adv), "success": found.success, "skipped": found.flags["skipped"]}

    return call


def universal(device, dtype=torch.float32):
    model, x, y = image_classifier(device, dtype)
    attack = UniversalPerturbation(0.2, epochs=2).fit(model, [(x, y)])
    return Placed(attack.delta), Placed(attack(model, x, y).x_adv), model


OBJECTS = CandidateDetection(2)
AIMS = {
    "Vanish": Vanish(0.1, steps=2, task=OBJECTS),
    "Fabricate": Fabricate(0.1, steps=2, task=OBJECTS),
    "Mislabel": Mislabel(0.1, steps=2, task=OBJECTS),
    "DAG on candidates": DAG(0.1, steps=2, task=OBJECTS),
}


def detector(device):
    """A detector's candidates, and images with the boxes that it claims and one that it doesn't."""
    torch.manual_seed(5)
    ssd = small_ssd(2, image_size=(32, 32), width=0.5)
    for head in ssd.heads:
        torch.nn.init.normal_(head.weight, std=0.5)
    model, x = CandidateBoxes(ssd).eval(), uniform(3, 1, 32, 32)
    with torch.no_grad():
        claims = OBJECTS.prediction(model(x))
    one = torch.tensor([[4.0, 4.0, 20.0, 24.0]])
    y = [Detections(torch.cat([d.boxes[:2], one]), torch.cat([d.labels[:2], torch.tensor([1])])) for d in claims]
    return model.to(device), x.to(device), y


def on_objects(name):
    """True boxes from the CPU."""

    def call(device):
        model, x, y = detector(device)
        found = AIMS[name](model, x, y)
        return {"x_adv": Placed(found.x_adv), "success": found.success, "candidates": model(x).detach()}

    return call


def ready(device):
    model, x, y = image_classifier(device)
    found = suite("quick", 0.05, steps=3)(model, x, y)
    return {"x_adv": Placed(found.x_adv), "success": found.success}


def several(device, dtype=torch.float32):
    model, x, y = image_classifier(device, dtype)
    both = Surrogates([model, image_classifier(device, dtype)[0]], [1, 3])
    return both(x).detach(), Placed(MIFGSM(0.1, steps=3)(both, x, y).x_adv), both


def geometry(device):
    x, delta = uniform(6, 1, 4, 4).to(device), (uniform(6, 1, 4, 4, seed=1) - 0.5).to(device)
    eps = torch.linspace(0.1, 1.0, 6).to(device)
    near = [project(delta, x, eps, norm, (0.0, 1.0)) for norm in ("linf", "l2", "l1")]
    return near, [norms(delta, norm) for norm in ("linf", "l2", "l1")]


def through_rounding(device):
    model, x, y = image_classifier(device)
    return PGD(0.1, steps=3)(model, x, y, through=[bpda(lambda t: (t * 8).round() / 8)]).success


def foolbox(device):
    model, x, _ = image_classifier(device)
    return to_foolbox(model)(x)


def from_other_library(device):
    import foolbox.attacks

    model, x, y = image_classifier(device)
    return from_foolbox(foolbox.attacks.FGSM(), 0.05)(model, x, y).success


def from_arrays(device):
    """An attack on NumPy arrays, as ART's are."""

    class Brighter:
        def generate(self, x, y):
            return x + 0.1

    model, x, y = image_classifier(device)
    return from_art(Brighter(), 0.05)(model, x, y).x_adv


def flags(device):
    return str(masking_flags(*image_classifier(device, n=3), 0.3))


# All attacks are held to their dtype on the CPU (test_attack_precision.py); these, one of a kind, on a second device too.
ALSO = {"PGD": (torch.float64, torch.float16, torch.bfloat16)}
ALSO |= dict.fromkeys(("Square", "CarliniWagner", "DeepFool", "MIFGSM"), (torch.float64, torch.float16))
OTHERS = (
    [] if find_spec("foolbox") is None else [Entry("to_foolbox", foolbox), Entry("from_foolbox", from_other_library)]
)


def text_network(device, dtype=torch.float32):
    """A network of words that it classifies as it does, and its texts."""
    texts = ["the weather was surprisingly good", "nobody liked the ending", "plain words follow here"]
    tokenizer = WordTokenizer.of(texts)
    torch.manual_seed(0)
    model = Tokenized(text_cnn(len(tokenizer), 2), tokenizer).eval().to(device, dtype)
    with torch.no_grad():
        return model, texts, model(texts).argmax(1)


def words_exchanged(device):
    """What it gives about texts is on the CPU, as texts are."""
    model, texts, y = text_network(device)
    found = WordSubstitution(Classification(2), share=0.5)(model, texts, y)
    return found.texts, found.success, found.changed, found.queries, found.loss


def embeddings_moved(device, dtype=torch.float32):
    model, texts, y = text_network(device, dtype)
    ids = model.encode(texts)
    inner = FromEmbeddings(model.network, ids, model.real(ids))
    embedded = inner.embed(ids, model.real(ids))
    free = {"bounds": (-float("inf"), float("inf")), "task": Classification(2)}
    found = PGD(0.5, "l2", steps=3, **free)(inner, embedded.x, y, mask=embedded.mask)
    return embedded.x, embedded.mask, inner(embedded.x).detach(), Placed(found.x_adv), inner


def published(method):
    """Pictures, and these at strengths that reach a target."""

    def call(device, dtype=torch.float32):
        x = (uniform(3, 3, 12, 12) * 0.6 + 0.2).to(device, dtype)
        return method(x), method(x[0]), method.strengths(x).strength.to(dtype)

    return call


PUBLISHERS = {
    "LaplacianSharpen": LaplacianSharpen(0.3),
    "LaplacianSharpen, 8 neighbours of a Gaussian": LaplacianSharpen(0.3, 8, sigma=1.0, max_change=0.05, quantize=255),
    "LaplacianSharpen, luma": LaplacianSharpen(0.3, space="luma", linear=True),
    "LaplacianSharpen to a PSNR": LaplacianSharpen("psnr:30"),
    "Unsharp to an SSIM": Unsharp(1.5, "ssim:0.95"),
    "GuidedSharpen": GuidedSharpen(),
    "ContrastStretch": ContrastStretch(),
    "Blur": Blur(),
    "GaussianNoise": GaussianNoise(),
}


def of_pictures(device):
    x = (uniform(3, 1, 12, 12) * 0.6 + 0.2).to(device)
    y = LaplacianSharpen(0.2)(x)
    w = torch.linspace(0, 3, 5).to(device)
    texture = [texture_intensity(x, kind) for kind in ("laplacian", "gradient", "deviation", "contrast")]
    return laplacian(x), reverse(y, 0.2), gain(w, w), psnr(x, y), ssim(x, y), texture, blocking(x)


def textures_and_budgets(device):
    model, x, y = image_classifier(device)
    return str(sorted(texture_correlation(model, x, y, FGSM(0.1))))


def as_stored(device):
    x = uniform(2, 3, 8, 8).to(device)
    return BitDepth(3)(x), Jpeg(90)(x), LaplacianSharpen(0.3)((x * 255).to(torch.uint8))


def robust_points(device, dtype=torch.float32):
    model, x, _ = image_classifier(device, dtype, n=4)
    made = BiLevel(model, 0.03, iters=2, attack=PGD(0.03, steps=1)), FastPreemption(model, max_change=0.03)
    return [Placed(m(x)) for m in made], Placed(made[1].reconstruct(x)), model


def last_steps(device):
    model, x, y = image_classifier(device, n=4)
    return Placed(LastIterate(0.05, steps=2)(model, x, y).x_adv)


def published_side_by_side(device):
    model, x, y = image_classifier(device, n=6)
    other, _, _ = image_classifier(device, n=6)
    methods = {"sharpened": LaplacianSharpen(0.2), "fast": FastPreemption(model, steps=1, copies=1)}
    found = compare(
        methods, model, other, [(x, y), (x.cpu(), y.cpu())], [0.02], attack=LastIterate(0.02, steps=2), equal_mse=False
    )
    return [r.clean for r in found.rows], [r.name for r in found.rows]


def aligned(device):
    x = uniform(20, 4).to(device)
    torch.manual_seed(0)
    model, witness = torch.nn.Linear(4, 3).to(device), torch.nn.Linear(4, 3).to(device)
    return align_surrogate(model, [witness], x, batch_size=10)


def smoothed(device, dtype=torch.float32):
    model, x, y = image_classifier(device, dtype, n=3)
    made = Smoothed(model, 0.1, batch_size=100)
    found = made.certify(x, 60, 0.01, first=20)
    report = certified_accuracy(made, [(x, y)], draws=60, alpha=0.01)
    return found, made.predict(x, 60, 0.01), report.right, report.radius


def noisy_mean(device, dtype=torch.float32):
    model, x, _ = image_classifier(device, dtype, n=3)
    made = NoisyMean(model, 0.1, (1, 8, 8), draws=4)
    return made(x).detach(), made


def worst_inputs(make):
    def call(device, dtype=torch.float32):
        model, x, y = image_classifier(device, dtype)
        recipe = make(0.05, steps=2, task=Classification(10))
        pairs = recipe.start(x, torch.Generator().manual_seed(0))
        loss = recipe(model, pairs, y)
        score = RobustScore(x.cpu(), y.cpu(), recipe.ball, recipe.task, one_step=True)(model)
        return Placed(loss.detach()), Placed(pairs), Placed(recipe.ball.clipped(x + 1, x)), sorted(score)

    return call


def watched(device):
    return overfitted([{"robust": 0.4, "one_step": 0.5}, {"robust": 0.1, "one_step": 0.9}])


ENTRIES = [
    Entry("AdversarialTraining and RobustScore", worst_inputs(AdversarialTraining), dtypes=(torch.float64,)),
    Entry("Trades", worst_inputs(Trades), dtypes=(torch.float64,)),
    Entry("overfitted", watched, returns="cpu"),
    *(Entry(name, published(method), dtypes=(torch.float64, torch.float16)) for name, method in PUBLISHERS.items()),
    Entry("what is measured of pictures", of_pictures),
    Entry("texture_correlation", textures_and_budgets),
    Entry("BitDepth and Jpeg", as_stored),
    Entry("BiLevel and FastPreemption", robust_points, dtypes=(torch.float64,)),
    Entry("LastIterate", last_steps),
    Entry("compare publishers", published_side_by_side),
    Entry("align_surrogate", aligned),
    Entry("Smoothed and certified_accuracy", smoothed),
    Entry("NoisyMean", noisy_mean, dtypes=(torch.float64,)),
    Entry("WordSubstitution", words_exchanged, returns="cpu"),
    Entry("FromEmbeddings", embeddings_moved),
    *(Entry(name, attacked(name), dtypes=ALSO.get(name, ())) for name in ATTACKS),
    Entry("PGD, budgets, ids and mask elsewhere", options_elsewhere),
    Entry("PGD, data on the CPU", data_elsewhere, returns="cpu"),
    Entry("PGD, every option", every_option),
    Entry("robust_accuracy", robust),
    Entry("curve", sweeps),
    Entry("minimal_eps", budgets),
    Entry("masking_flags", flags, slow=True),
    *(Entry(f"PGD and Square, {name}", call) for name, call in TASKS.items()),
    Entry("suite", ready),
    *(Entry(name, on_scenes(name)) for name in SCENES),
    *(Entry(name, on_objects(name)) for name in AIMS),
    Entry("UniversalPerturbation", universal, dtypes=(torch.float64,)),
    Entry("Surrogates", several, dtypes=(torch.float64,)),
    Entry("project and norms", geometry),
    Entry("bpda", through_rounding),
    Entry("from_art", from_arrays),
    *OTHERS,
]
