"""Bad input to attacks and corruptions."""

import math

import numpy as np
import torch
from refusals import Bad, over
from torch import nn

from deepwright.adversarial import (
    APGD,
    APGDT,
    FABT,
    FGSM,
    MIFGSM,
    PGD,
    VMIFGSM,
    AttackSuite,
    Boundary,
    CarliniWagner,
    ClassRemoval,
    DeepFool,
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
    UniversalPerturbation,
    Vanish,
    WorstImages,
    curve,
    from_art,
    from_foolbox,
    masking_flags,
    minimal_eps,
    robust_accuracy,
    suite,
)
from deepwright.core.boxes import Detections
from deepwright.core.tasks import Binary, CandidateDetection, Classification, DetectionBatch, Segmentation
from deepwright.corruptions import Compose, Suite, apply, get, move_boxes, move_labels, names
from deepwright.corruptions.tables import TABLES
from deepwright.nets import CandidateBoxes

torch.manual_seed(0)
NET = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
X, Y = torch.full((4, 1, 8, 8), 0.5), torch.tensor([0, 1, 2, 0])
HOLED = X.clone()
HOLED[1, 0, 0, 0] = math.nan
SHORT = PGD(0.1, steps=1)
NONE = X[:0]
OBJECTS = CandidateDetection(2)
VANISH = Vanish(0.1, task=OBJECTS)
BOXES = [Detections(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([0]))]


class Nothing(nn.Module):
    """Outputs that no gradient reaches."""

    def forward(self, x):
        return NET(x).detach()


class Noisy(nn.Module):
    def forward(self, x):
        return NET(x) + torch.rand(len(x), 3)


class Soft(nn.Module):
    def forward(self, x):
        return NET(x).softmax(1)


def attack(x=X, y=Y, model=NET, by=SHORT, **options):
    return by(model, x, y, **options)


def robust(batches, by=SHORT, **options):
    return robust_accuracy(NET, batches, by, **options)


def suited(*batches, which=("contrast",), model=NET, **options):
    return Suite(list(which), (1,)).evaluate(model, list(batches), **options)


ATTACKS = [
    Bad("no inputs", lambda _: attack(NONE, Y[:0]), ("batch", "0 inputs", "at least one")),
    Bad("a suite on no inputs", lambda _: attack(NONE, Y[:0], by=suite("quick", 0.1)), ("0 inputs", "at least one")),
    Bad("inputs of NaN", lambda _: attack(HOLED), ("x", "NaN", "[1]")),
    Bad("infinite inputs", lambda _: attack(X / 0), ("infinity", "finite")),
    Bad("bytes", lambda _: attack((X * 255).to(torch.uint8)), ("uint8", "x.float() / 255")),
    Bad("pixels of 0..255", lambda _: attack(X * 255), ("range", "divide 8-bit images by 255")),
    Bad("standardised pixels", lambda _: attack(X - 1), ("range", "normalisation into the model")),
    Bad("an array", lambda _: attack(X.numpy()), ("x", "ndarray", "tensor")),
    Bad("one number", lambda _: attack(torch.tensor(0.5), torch.tensor(0)), ("x", "(N, ...)")),
    Bad("one picture without a batch", lambda _: attack(X[0, 0], Y.repeat(2)), ("x", "(8, 8)", "x[None]")),
    Bad("pictures of three channels", lambda _: attack(X.expand(4, 3, 8, 8)), ("x", "(4, 3, 8, 8)", "takes")),
    Bad("a suite on three channels", lambda _: suited((X.expand(4, 3, 8, 8), Y)), ("batches", "3, 8, 8)", "takes")),
    Bad("fewer labels", lambda _: attack(y=Y[:3]), ("4 inputs, 3 labels",)),
    Bad("no labels", lambda _: attack(y=None), ("0 labels",)),
    Bad("a label beyond the classes", lambda _: attack(y=Y + 1), ("0..2",)),
    Bad("a negative label", lambda _: attack(y=Y - 1), ("-1", "0..2")),
    Bad("labels with fractions", lambda _: attack(y=Y + 0.5), ("y", "float32")),
    Bad("labels as words", lambda _: attack(y=["a", "b", "c", "d"]), ("y", "0, 1, 2")),
    Bad("an eps as a word", lambda _: PGD("0.1"), ("eps", "'0.1'", "0 or more")),
    Bad("no eps", lambda _: PGD(None), ("eps", "None")),
    Bad("a negative eps", lambda _: PGD(-0.1), ("eps", "-0.1")),
    Bad("an eps of NaN", lambda _: PGD(math.nan), ("eps", "nan")),
    Bad("an eps as a pair", lambda _: attack(eps=torch.ones(2, 2)), ("eps", "one a sample")),
    Bad("an eps for other samples", lambda _: attack(eps=torch.ones(3)), ("eps", "3 numbers for 4 samples")),
    Bad("an empty eps", lambda _: attack(eps=torch.ones(0)), ("eps", "one a sample")),
    Bad("no steps", lambda _: PGD(0.1, steps=0), ("steps", "0", "1 or more")),
    Bad("half a step", lambda _: APGD(0.1, steps=1.5), ("steps", "1.5", "whole number")),
    Bad("steps as a word", lambda _: APGD(0.1, steps="10"), ("steps", "'10'", "whole number")),
    Bad("a suite without steps", lambda _: suite("fast", 0.1, steps=0), ("steps", "0", "1 or more")),
    Bad("negative restarts", lambda _: PGD(0.1, restarts=-1), ("restarts", "-1")),
    Bad("an alpha of NaN", lambda _: PGD(0.1, alpha=math.nan), ("alpha", "nan", "above 0")),
    Bad("a targeted of no", lambda _: PGD(0.1, targeted="no"), ("targeted", "'no'", "True or False")),
    Bad("an early stop of 1", lambda _: APGD(0.1, early_stop=1), ("early_stop", "True or False")),
    Bad("a random start of 0", lambda _: PGD(0.1, random_start=0), ("random_start", "True or False")),
    Bad("a seed as a word", lambda _: PGD(0.1, seed="a"), ("seed", "'a'", "whole number")),
    Bad("a box upside down", lambda _: PGD(0.1, bounds=(1, 0)), ("bounds", "low < high")),
    Bad("a box of one number", lambda _: PGD(0.1, bounds=1.0), ("bounds", "(low, high)")),
    Bad("an unknown norm", lambda _: PGD(0.1, "l3"), ("norm", "'l3'", "linf")),
    Bad("an unknown loss", lambda _: PGD(0.1, loss="hinge"), ("loss", "'hinge'", "'ce'")),
    Bad("a task's class", lambda _: PGD(0.1, task=Binary), ("task", "Binary itself")),
    Bad("an option of another attack", lambda _: FGSM(0.1, early_stop=False), ("early_stop", "one step")),
    Bad("an eot of no passes", lambda _: attack(eot=0), ("eot", "0", "1 or more")),
    Bad("an eot of half a pass", lambda _: attack(eot=1.5), ("eot", "1.5", "whole number")),
    Bad("a function as through", lambda _: attack(through=torch.sigmoid), ("through", "through=[step]")),
    Bad("numbers as through", lambda _: attack(through=[1]), ("through", "functions")),
    Bad("a mask of another shape", lambda _: attack(mask=torch.ones(4, 1, 8, 9)), ("mask", "(4, 1, 8, 9)")),
    Bad("a mask as a list", lambda _: attack(mask=[1]), ("mask", "list")),
    Bad("ids for other samples", lambda _: attack(ids=torch.arange(3)), ("ids", "(4,)")),
    Bad("ids as floats", lambda _: attack(ids=torch.rand(4)), ("ids", "float32", "whole numbers")),
    Bad("no levels", lambda _: attack(quantize=0), ("quantize", "0")),
    Bad("half a level", lambda _: attack(quantize=2.5), ("quantize", "2.5")),
    Bad("inputs between levels", lambda _: attack(X + 0.3 / 255, quantize=255), ("quantize", "round()")),
    Bad("a model without gradients", lambda _: attack(model=Nothing()), ("no gradient path", "bpda")),
    Bad("a model that answers at random", lambda _: attack(model=Noisy()), ("different outputs", "eot=10")),
    Bad("probabilities", lambda _: attack(torch.rand(40, 1, 8, 8), Y.repeat(10), Soft()), ("probabilities",)),
    Bad("one output without classes", lambda _: attack(model=nn.Linear(8, 1)), ("output", "Binary()")),
    Bad("Square in L1", lambda _: Square(0.1, "l1"), ("norm", "'l1'")),
    Bad("Square with no queries", lambda _: Square(0.1, queries=0), ("queries", "1 or more")),
    Bad("Square of twice the picture", lambda _: Square(0.1, p=2.0), ("p", "2.0", "(0, 1]")),
    Bad("DeepFool with one candidate", lambda _: DeepFool(candidates=1), ("candidates", "2 or more")),
    Bad("Carlini-Wagner without a box", lambda _: CarliniWagner(bounds=(-math.inf, math.inf)), ("finite box",)),
    Bad("Carlini-Wagner at rest", lambda _: CarliniWagner(lr=0), ("lr", "above 0")),
    Bad("FAB with no target", lambda _: FABT(0.1, targets=0), ("targets", "1 or more")),
    Bad("APGD-T with no target", lambda _: APGDT(0.1, targets=0), ("targets", "1 or more")),
    Bad("an unknown noise", lambda _: Noise(0.1, kind="pink"), ("kind", "'pink'", "gaussian")),
    Bad("noise never drawn", lambda _: Noise(0.1, repeats=0), ("repeats", "1 or more")),
    Bad("a momentum below 0", lambda _: MIFGSM(0.1, decay=-1), ("decay", "-1", "0 or more")),
    Bad("a variation as a word", lambda _: MIFGSM(0.1, variations=["di"]), ("variations", "di", "DiverseInputs()")),
    Bad("a seed for nothing drawn", lambda _: MIFGSM(0.1, seed=1), ("seed", "nothing is drawn")),
    Bad("no neighbours", lambda _: VMIFGSM(0.1, neighbours=0), ("neighbours", "1 or more")),
    Bad("a probability in percent", lambda _: DiverseInputs(50), ("probability", "50")),
    Bad("a canvas below the image", lambda _: DiverseInputs(0.5, 0.9), ("largest", "0.9", "1 or more")),
    Bad("no scales", lambda _: Scales(0), ("copies", "1 or more")),
    Bad("a kernel of even size", lambda _: SmoothGradients(4), ("size", "4", "odd")),
    Bad("a kernel of no width", lambda _: SmoothGradients(5, 0), ("sigma", "above 0")),
    Bad("no surrogates", lambda _: Surrogates([]), ("models", "none")),
    Bad("a function as a surrogate", lambda _: Surrogates([print]), ("models", "builtin", "networks")),
    Bad("weights of other surrogates", lambda _: Surrogates([NET], [1, 2]), ("weights", "1 numbers")),
    Bad("weights of 0", lambda _: Surrogates([NET], [0]), ("weights", "not all 0")),
    Bad("surrogates of two dtypes", lambda _: Surrogates([NET, nn.Linear(2, 2).double()]), ("models", "float64")),
    Bad("other outputs", lambda _: Surrogates([NET, nn.Flatten()])(X), ("outputs", "(4, 3), (4, 64)")),
    Bad("a dense attack on classes", lambda _: SegPGD(0.1, task=Classification(3)), ("SegPGD", "does not apply")),
    Bad("a dense attack without a task", lambda _: SegPGD(0.1), ("no task", "task=Segmentation")),
    Bad("a class beyond all", lambda _: ClassRemoval(0.1, 3, task=Segmentation(3)), ("label", "3", "0..2")),
    Bad("all may be left", lambda _: ClassRemoval(0.1, 1, left=1.0, task=Segmentation(3)), ("left", "1.0")),
    Bad("a dense suite of classes", lambda _: WorstImages([SHORT]), ("attacks", "no task", "Segmentation")),
    Bad("objects on classes", lambda _: Vanish(0.1, task=Classification(3)), ("Vanish", "CandidateDetection")),
    Bad("all objects may be left", lambda _: Vanish(0.1, left=1.0, task=OBJECTS), ("left", "1.0")),
    Bad("nothing to make up", lambda _: Fabricate(0.1, count=0, task=OBJECTS), ("count", "1 or more")),
    Bad("a label beyond all", lambda _: Mislabel(0.1, label=2, task=OBJECTS), ("label", "2", "0..1")),
    Bad("no share", lambda _: Mislabel(0.1, share=0, task=OBJECTS), ("share", "0")),
    Bad("no other label", lambda _: Mislabel(0.1, task=CandidateDetection(1)), ("one class", "two or more")),
    Bad("a success besides", lambda _: Vanish(0.1, success=print, task=OBJECTS), ("success", "its own")),
    Bad("scores in percent", lambda _: CandidateDetection(2, least=5), ("least", "5")),
    Bad("no detections", lambda _: CandidateDetection(2, limit=0), ("limit", "1 or more")),
    Bad("classes as candidates", lambda _: attack(y=[BOXES[0]] * 4, by=VANISH), ("candidates", "CandidateBoxes")),
    Bad("candidates of no detector", lambda _: CandidateBoxes(NET), ("network", "Sequential", "SSD")),
    Bad(
        "rates of nothing",
        lambda _: OBJECTS.error_rates(DetectionBatch([]), DetectionBatch([])),
        ("targets", "no boxes"),
    ),
    Bad("a boundary in L-inf", lambda _: Boundary(norm="linf"), ("norm", "'linf'", "HopSkipJump")),
    Bad("HopSkipJump in L1", lambda _: HopSkipJump(norm="l1"), ("norm", "'l1'")),
    Bad("no evaluations", lambda _: HopSkipJump(evaluations=0), ("evaluations", "1 or more")),
    Bad(
        "starts of another shape",
        lambda _: attack(by=Boundary(starting=lambda x, y: x[..., :4])),
        ("starting", "shape"),
    ),
    Bad(
        "starts outside", lambda _: attack(by=Boundary(starting=lambda x, y: x + 9)), ("starting", "within (0.0, 1.0)")
    ),
    Bad("an angle of NaN", lambda _: Spatial(rotation=math.nan), ("rotation", "nan")),
    Bad("a shift in pixels", lambda _: Spatial(translation=3), ("translation", "3")),
    Bad("a grid of one number", lambda _: Spatial(grid=5), ("grid", "5", "three counts")),
    Bad("an unknown padding", lambda _: Spatial(padding="mirror"), ("padding", "'mirror'", "border")),
    Bad("more than the ranges", lambda _: attack(by=Spatial(), eps=2.0), ("eps", "2", "0..1")),
    Bad("a mask for turns", lambda _: attack(by=Spatial(), mask=torch.ones_like(X)), ("mask", "None")),
    Bad("levels for turns", lambda _: attack(by=Spatial(), quantize=255), ("quantize", "None")),
    Bad("turned rows", lambda _: attack(X.flatten(1), by=Spatial()), ("x", "(4, 64)", "images")),
    Bad("turned label maps", lambda _: Spatial(task=Segmentation(3)), ("Spatial", "places")),
    Bad("a perturbation not fitted", lambda _: attack(by=UniversalPerturbation(0.1)), ("not fitted", ".fit")),
    Bad("no epochs", lambda _: UniversalPerturbation(0.1, epochs=0), ("epochs", "1 or more")),
    Bad("batches once", lambda _: UniversalPerturbation(0.1).fit(NET, iter([(X, Y)])), ("batches", "list(...)")),
    Bad("nothing to fit on", lambda _: UniversalPerturbation(0.1).fit(NET, []), ("batches", "none")),
    Bad("no draws to fit on", lambda _: UniversalPerturbation(0.1).fit(NET, [(X, Y)], eot=0), ("eot", "1 or more")),
    Bad("an unknown suite", lambda _: suite("best", 0.1), ("suite", "'best'", "'standard'")),
    Bad("a suite of no attacks", lambda _: AttackSuite([]), ("attacks", "none")),
    Bad("a suite of classes", lambda _: AttackSuite([PGD]), ("attacks", "like PGD(0.1)")),
    Bad("foolbox without an attack", lambda _: from_foolbox(3, 0.1), ("attack", "foolbox")),
    Bad("ART without an attack", lambda _: from_art(print, 0.1), ("attack", "generate")),
    Bad("no batches", lambda _: robust([]), ("batches", "none")),
    Bad("an empty batch", lambda _: robust([(NONE, Y[:0])]), ("0 inputs",)),
    Bad("batches of three", lambda _: robust([(X, Y, Y)]), ("batches", "3 parts", "pairs")),
    Bad("batches of inputs", lambda _: robust([X]), ("batches", "tensor", "pairs")),
    Bad("a batch of NaN", lambda _: robust([(X, Y), (HOLED, Y)]), ("NaN", "[1]")),
    Bad("ids of a whole set", lambda _: robust([(X, Y)], ids=torch.arange(4)), ("options", "ids", "numbered")),
    Bad("an unknown option", lambda _: robust([(X, Y)], foo=1), ("options", "foo", "quantize")),
    Bad("a targeted attack", lambda _: robust([(X, Y)], PGD(0.1, targeted=True)), ("targeted", "untargeted")),
    Bad("a word as an attack", lambda _: robust([(X, Y)], "pgd"), ("attack", "'pgd'", "PGD(0.1)")),
    Bad("a curve over one number", lambda _: curve(NET, X, Y, SHORT, 0.1), ("eps", "sequence")),
    Bad("a curve over no budgets", lambda _: curve(NET, X, Y, SHORT, []), ("eps", "sequence")),
    Bad("a curve over words", lambda _: curve(NET, X, Y, SHORT, ["a"]), ("eps", "'a'")),
    Bad("a curve over no inputs", lambda _: curve(NET, NONE, Y[:0], SHORT, [0.1]), ("0 inputs",)),
    Bad("a bracket of no width", lambda _: minimal_eps(NET, X, Y, SHORT, tol=0), ("bracket", "tol > 0")),
    Bad("a width of NaN", lambda _: minimal_eps(NET, X, Y, SHORT, tol=math.nan), ("tol", "nan")),
    Bad("a bracket of words", lambda _: minimal_eps(NET, X, Y, SHORT, high="1"), ("high", "'1'")),
    Bad("a bracket without end", lambda _: minimal_eps(NET, X, Y, SHORT, high=math.inf), ("bracket", "finite")),
    Bad("masking of NaN", lambda _: masking_flags(NET, HOLED, Y, 0.1), ("NaN",)),
]


CORRUPTIONS = [
    Bad("a severity between levels", lambda _: apply(X, "pixelate", 2.5), ("severity", "2.5", "whole number")),
    Bad("a severity below a first level", lambda _: apply(X, "frost", 0.5), ("severity", "0.5", "whole below 1")),
    Bad("a severity of 5.5", lambda _: apply(X, "contrast", 5.5), ("severity", "5.5", "0..5")),
    Bad("a severity as a word", lambda _: apply(X, "contrast", "3"), ("severity", "'3'", "0..5")),
    Bad("a severity of True", lambda _: apply(X, "contrast", True), ("severity", "True")),
    Bad("a severity of 6", lambda _: apply(X, "contrast", 6), ("severity", "6", "0..5")),
    Bad("a negative severity", lambda _: apply(X, "contrast", -1), ("severity", "-1")),
    Bad("a severity of NaN", lambda _: apply(X, "contrast", math.nan), ("severity", "nan")),
    Bad("severities for other images", lambda _: apply(X, "contrast", torch.tensor([1, 2])), ("severity", "an image")),
    Bad("no severities", lambda _: apply(X, "contrast", torch.ones(0)), ("severity", "an image")),
    Bad("no images", lambda _: apply(NONE, "contrast", 1), ("images", "(0, 1, 8, 8)", "1 or more")),
    Bad("images of NaN", lambda _: apply(HOLED, "contrast", 1), ("images", "NaN")),
    Bad("images of 0..255", lambda _: apply(X * 255, "contrast", 1), ("images", "divide 8-bit")),
    Bad("small images", lambda _: apply(X[..., :7], "contrast", 1), ("images", "8 x 8")),
    Bad("whole numbers as images", lambda _: apply(X.long(), "contrast", 1), ("images", "int64")),
    Bad("a list as images", lambda _: apply([0.5], "contrast", 1), ("images", "list")),
    Bad("an array of floats", lambda _: apply(np.ones((9, 9)), "contrast", 1), ("array", "float64", "uint8")),
    Bad("two channels in colour", lambda _: apply(X.expand(4, 2, 8, 8), "low_pass", 1), ("low_pass", "2 channels")),
    Bad("image ids as floats", lambda _: get("contrast")(X, 1, ids=torch.rand(4)), ("ids", "float32")),
    Bad("ids of other images", lambda _: get("contrast")(X, 1, ids=torch.arange(3)), ("ids", "(4,)")),
    Bad("a height of no lines", lambda _: get("contrast")(X, 1, reference_height=0), ("reference_height", "0")),
    Bad("a height as a word", lambda _: get("contrast")(X, 1, reference_height="a"), ("reference_height", "'a'")),
    Bad("a literal form of none", lambda _: get("contrast")(X, 1, literal=True), ("literal", "phase_scrambling")),
    Bad("an unknown backend", lambda _: get("contrast")(X, 1, backend="cv"), ("backend", "'cv'", "torch")),
    Bad("a seed of noise of 1.5", lambda _: get("gaussian_noise")(X, 1, 1.5), ("seed", "1.5", "whole number")),
    Bad("a seed of True", lambda _: apply(X, "gaussian_noise", 1, seed=True), ("seed", "True", "whole number")),
    Bad("a seed of rows as a word", lambda _: TABLES[0](X.flatten(1), 1, seed="a"), ("seed", "'a'", "whole number")),
    Bad("a seed where nothing is drawn", lambda _: apply(X, "pixelate", 0, seed="a"), ("seed", "'a'")),
    Bad("a seed of eight bits", lambda _: apply((X * 255).byte(), "contrast", 1, seed=0.0), ("seed", "0.0")),
    Bad("an unknown perturbation", lambda _: get("contrst"), ("contrst", "contrast")),
    Bad("an unknown category", lambda _: names("nose"), ("category", "nose", "noise")),
    Bad("names as steps", lambda _: Compose(["pixelate"]), ("steps", "pairs", "Compose([")),
    Bad("one step as steps", lambda _: Compose(("pixelate", 2)), ("steps", "pairs")),
    Bad("half a severity in steps", lambda _: Compose([("pixelate", 2.5)]), ("severity", "2.5", "whole number")),
    Bad("a severity of 5.5 in steps", lambda _: Compose([("contrast", 5.5)]), ("steps", "5.5", "0..5")),
    Bad("a severity of a step as a word", lambda _: Compose([("pixelate", "2")]), ("steps", "'2'", "0..5")),
    Bad("one severity for a suite", lambda _: Suite("all", 3), ("severities", "3", "(1, 3, 5)")),
    Bad("a severity of 0 in a suite", lambda _: Suite("all", (0, 1)), ("severities", "0", "1..5")),
    Bad("a severity twice", lambda _: Suite("all", (1, 1)), ("severities", "1 twice")),
    Bad("a suite without severities", lambda _: Suite("all", ()), ("severities", "none")),
    Bad("a suite without perturbations", lambda _: Suite([]), ("perturbations", "none")),
    Bad("a perturbation twice", lambda _: Suite(["jpeg", "jpeg"]), ("perturbations", "jpeg twice")),
    Bad("a suite of nothing", lambda _: Suite(None), ("which", "None")),
    Bad("a suite of numbers", lambda _: Suite([1, 2]), ("which", "[1, 2]")),
    Bad("a suite on no batches", lambda _: suited(), ("batches", "no samples")),
    Bad("a suite on an empty batch", lambda _: suited((NONE, Y[:0])), ("batches", "no samples")),
    Bad("a suite on batches of three", lambda _: suited((X, Y, Y)), ("batches", "3 parts")),
    Bad("a suite on NaN", lambda _: suited((X, Y), (HOLED, Y)), ("batches", "NaN", "[1]")),
    Bad("a suite on lists", lambda _: suited(([1.0], [0])), ("batches", "list")),
    Bad("a suite with fewer targets", lambda _: suited((X, Y[:3])), ("4", "3")),
    Bad("a suite with a class too many", lambda _: suited((X, Y + 1)), ("0..2",)),
    Bad("an unknown measure", lambda _: suited((X, Y), measure="rigt"), ("measure", "rigt", "right")),
    Bad("a task and a function", lambda _: suited((X, Y), task=Classification(3), wrong=print), ("wrong", "task")),
    Bad("a suite of another task", lambda _: suited((X, Y), task=Classification), ("task", "Classification")),
    Bad("a suite for maps", lambda _: suited((X, Y), task=Segmentation(3)), ("(4,)",)),
    Bad("rows of NaN", lambda _: TABLES[0](HOLED.flatten(1), 1), ("rows", "NaN")),
    Bad("rows of whole numbers", lambda _: TABLES[0](Y[:, None], 1), ("rows", "int64")),
    Bad("rows as a list", lambda _: TABLES[0]([[1.0]], 1), ("rows", "list")),
    Bad("half a severity of rows", lambda _: TABLES[0](X.flatten(1), 1.5), ("severity", "1.5")),
    Bad("ids of other rows", lambda _: TABLES[0](X.flatten(1), 1, ids=torch.arange(2)), ("ids", "(4,)")),
    Bad("a headline without a task", lambda _: suited((X, Y), wrong=print, headline=True), ("headline", "wrong")),
    Bad("boxes of small images", lambda _: move_boxes(get("rotate"), BOXES, (4, 4), 1), ("8",)),
    Bad("labels of a list", lambda _: move_labels(get("rotate"), Y, 1, outside=0), ("labels", "(4,)")),
]

ROWS = ATTACKS + CORRUPTIONS

test_it_is_refused = over(ROWS)
