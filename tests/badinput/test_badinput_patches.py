"""Bad input to patches, to the scenes that they are tried on, and to the receiver before them."""

import torch
from refusals import Bad, over
from torch import nn

from deepwright.adversarial.patches import (
    EOT,
    PSF,
    SAAP,
    AdversarialPatch,
    AdvPatch,
    DPatch,
    Placement,
    UniversalAttenuation,
    adversarial_training_hook,
    apply_patches,
    attenuated,
    load_patches,
    smallest_shares,
)
from deepwright.core.boxes import Detections
from deepwright.core.tasks import CandidateDetection, Classification, Detection
from deepwright.data import sar_ships, to_amplitude, to_decibels
from deepwright.nets import CentreDetector, centre_loss, centre_targets, small_ssd

TASK = CandidateDetection(1)
NET = CentreDetector(width=4).eval()
SHIPS = small_ssd(1, image_size=(16, 16)).eval()
X = torch.full((2, 1, 16, 16), 0.5)
BOX = torch.tensor([[2.0, 2.0, 10.0, 10.0]])
BOXES = [BOX, BOX]
FIELD = torch.zeros(2, 1, 16, 16, dtype=torch.complex64)
HOLED = X.clone()
HOLED[1, 0, 0, 0] = float("nan")


class Detached(nn.Module):
    def forward(self, x):
        return NET(x).detach()


def hide(x=X, boxes=BOXES, model=NET, task=TASK, tau=0.2, field=None, ids=None, shares=None, **options):
    return SAAP(task, tau, **{"steps": 1, **options})(model, x, boxes, field=field, ids=ids, tau=shares)


def paste(x=X, y=None, **options):
    labels = torch.zeros(len(x), dtype=torch.long) if y is None else y
    return AdversarialPatch(**{"steps": 1, "pixels": 4, **options}).fit(nn.Flatten(), [(x, labels)])


ATTENUATION = [
    Bad("no task", lambda _: hide(task=None), ("task", "CandidateDetection")),
    Bad("a task of final detections", lambda _: hide(task=Detection(1)), ("Detection", "CandidateBoxes")),
    Bad("scenes of three channels", lambda _: hide(X.expand(2, 3, 16, 16), model=SHIPS), ("images", "3, 16", "takes")),
    Bad("scenes of another size", lambda _: hide(X[..., :8], model=SHIPS), ("images", "(2, 1, 16, 8)", "takes")),
    Bad("a share of 0", lambda _: hide(tau=0), ("tau", "0")),
    Bad("a share in per cent", lambda _: hide(tau=10), ("tau", "10 % is 0.1")),
    Bad("a share as a word", lambda _: hide(tau="0.1"), ("tau", "'0.1'")),
    Bad("a share of NaN", lambda _: hide(tau=float("nan")), ("tau", "nan")),
    Bad("shares of other objects", lambda _: hide(shares=[torch.ones(2), torch.ones(1)]), ("tau", "an object")),
    Bad("shares above 1", lambda _: hide(shares=[torch.full((1,), 2.0)] * 2), ("tau", "(0, 1]")),
    Bad("no steps", lambda _: hide(steps=0), ("steps", "0")),
    Bad("an unknown optimiser", lambda _: hide(optimizer="frank wolf"), ("optimizer", "frank-wolfe")),
    Bad("an unknown loss", lambda _: hide(loss="hid"), ("loss", "hide")),
    Bad("an unknown constraint", lambda _: hide(constraint="none"), ("constraint", "'loose'")),
    Bad("an unknown budget", lambda _: hide(budget="energy"), ("budget", "'power'")),
    Bad("a step length without steps", lambda _: hide(lr=0.1), ("lr", "frank-wolfe")),
    Bad("a negative step length", lambda _: hide(optimizer="pgd", lr=-1), ("lr", "-1")),
    Bad("at most where all is spent", lambda _: hide(at_most=True), ("at_most", "False")),
    Bad("a loose bound on Frank-Wolfe", lambda _: hide(constraint="loose"), ("constraint", "sign")),
    Bad("a literal sign within the budget", lambda _: hide(literal=True), ("literal", "loose")),
    Bad("levels of power", lambda _: hide(budget="power", levels=255), ("levels", "power")),
    Bad("levels off which images are", lambda _: hide(X + 0.001, levels=255), ("levels", "1/255")),
    Bad("transformations as a number", lambda _: hide(eot=4), ("eot", "patches.EOT")),
    Bad("a receiver as a number", lambda _: hide(physical=1.5), ("physical", "patches.PSF")),
    Bad("a receiver without a scene", lambda _: hide(physical=PSF()), ("field", "none")),
    Bad("a scene without a receiver", lambda _: hide(field=FIELD), ("field", "PSF")),
    Bad("a real scene", lambda _: hide(field=FIELD.real, physical=PSF()), ("field", "complex")),
    Bad("a scene of another size", lambda _: hide(field=FIELD[..., :8], physical=PSF()), ("field", "16")),
    Bad("no images", lambda _: hide(X[:0], []), ("images", "at least one")),
    Bad("images as an array", lambda _: hide(X.numpy()), ("images", "ndarray")),
    Bad("images of bytes", lambda _: hide((X * 255).byte()), ("images", "uint8")),
    Bad("images of NaN", lambda _: hide(HOLED), ("images", "NaN", "[1]")),
    Bad("images of 0..255", lambda _: hide(X * 255), ("images", "divide 8-bit images", "bounds=(0, 255)")),
    Bad("images of 0..1 told to be 0..255", lambda _: hide(bounds=(0, 255)), ("images", "0.5", "bounds")),
    Bad("decibels", lambda _: hide(X * -40), ("images", "decibels", "to_amplitude")),
    Bad("a detector that is none", lambda _: hide(model=len), ("detector", "Module")),
    Bad("a detector of other columns", lambda _: hide(task=CandidateDetection(3)), ("(N, candidates, 7)",)),
    Bad("a detector without gradients", lambda _: hide(model=Detached()), ("gradient",)),
    Bad("boxes of other images", lambda _: hide(boxes=[BOX]), ("boxes", "1 images", "of 2")),
    Bad("boxes of one tensor", lambda _: hide(boxes=BOX), ("boxes", "a list")),
    Bad("boxes of three numbers", lambda _: hide(boxes=[BOX[:, :3]] * 2), ("boxes of image 0", "(1, 3)")),
    Bad("boxes turned round", lambda _: hide(boxes=[BOX, BOX.flip(1)]), ("boxes of image 1", "turned round")),
    Bad("boxes of NaN", lambda _: hide(boxes=[BOX * float("nan"), BOX]), ("boxes of image 0", "NaN")),
    Bad("fewer ids", lambda _: hide(ids=torch.arange(1)), ("ids", "(2,)")),
    Bad("a fill of no kind", lambda _: attenuated("bright", X, BOXES, 0.1), ("kind", "brightest")),
    Bad("a fill of more than all", lambda _: attenuated("random", X, BOXES, 1.5), ("tau", "1.5")),
    Bad("no halvings", lambda _: smallest_shares(SAAP(TASK), NET, X, BOXES, halvings=0), ("halvings", "0")),
    Bad("edges that fall", lambda _: UniversalAttenuation(TASK, edges=(9.0, 4.0)), ("edges", "rising")),
    Bad(
        "a pattern without objects", lambda _: UniversalAttenuation(TASK).fit(NET, X, [BOX[:0]] * 2), ("boxes", "none")
    ),
    Bad("a pattern that isn't there", lambda _: UniversalAttenuation(TASK)(X, BOXES), ("UniversalAttenuation",)),
    Bad("training on another attack", lambda _: adversarial_training_hook(NET), ("attack", "SAAP")),
    Bad("training on more than all", lambda _: adversarial_training_hook(SAAP(TASK), 1.5), ("p", "1.5")),
    Bad("a file that isn't there", lambda p: load_patches(p / "no.npz"), ("no.npz", "save_patches")),
    Bad("patches of other images", lambda _: apply_patches(X, [], []), ("patches", "of 2")),
    Bad(
        "patches beyond the edge",
        lambda _: apply_patches(X[:1], [[torch.zeros(1, 4, 4)]], [torch.tensor([[14, 14]])]),
        ("patches", "within the image"),
    ),
]

OTHERS = [
    Bad("chances of turns that don't add up", lambda _: EOT(turns=(0.5, 0.5, 0.5, 0.5)), ("turns", "1")),
    Bad("a gain turned round", lambda _: EOT(gain=(1.4, 0.7)), ("gain", "low <= high")),
    Bad("no samples", lambda _: EOT(samples=0), ("samples", "0")),
    Bad("a resolution of 0", lambda _: PSF(0), ("azimuth", "0")),
    Bad("an unknown window", lambda _: PSF(window="hann"), ("window", "'taylor'")),
    Bad("taps of an even number", lambda _: PSF(taps=(0.5, 0.5)), ("taps", "odd")),
    Bad("a least transmission of 1", lambda _: PSF(least=1.0), ("least", "1.0")),
    Bad("cells that don't fit", lambda _: PSF(cell=(3, 3)).cell_amplitudes(FIELD), ("field", "whole cells")),
    Bad("a scene below the receiver", lambda _: PSF(8.0, 8.0).received(FIELD), ("field", "16 x 16")),
    Bad("a place in words", lambda _: Placement("middle"), ("where", "anywhere")),
    Bad("one coordinate", lambda _: Placement((0.5,)), ("where", "(x, y)")),  # type: ignore[arg-type]
    Bad("a place that is a number", lambda _: Placement(0.5), ("where", "(x, y)")),  # type: ignore[arg-type]
    Bad("one end", lambda _: Placement(scale=1.0), ("scale", "(low, high)")),  # type: ignore[arg-type]
    Bad("a patch of size 0", lambda _: Placement(size=0), ("size", "0")),
    Bad("a triangle", lambda _: Placement(shape="triangle"), ("shape", "'disc'")),
    Bad("a placement as a word", lambda _: AdversarialPatch("anywhere"), ("placement", "patches.Placement")),
    Bad(
        "objects of a classifier",
        lambda _: AdversarialPatch(Placement("objects"), task=Classification(3)),
        ("where", "classification", "detection"),
    ),
    Bad("a patch on labels as a loss of its own", lambda _: AdversarialPatch(loss=max), ("success", "task")),
    Bad("a patch into rows", lambda _: paste(X.flatten(1)), ("x", "(2, 256)")),
    Bad("a patch into images of 0..255", lambda _: paste(X * 255), ("x", "range", "normalisation")),
    Bad("a patch of another task", lambda _: DPatch(Classification(3)), ("task", "CandidateDetection")),
    Bad("a patch on objects of final detections", lambda _: AdvPatch(Detection(1)), ("loss", "vanish")),
    Bad("no scenes", lambda _: sar_ships(0), ("n", "0")),
    Bad("scenes of 8 pixels", lambda _: sar_ships(1, size=8), ("size", "8")),
    Bad("more than all islands", lambda _: sar_ships(1, islands=2), ("islands", "2")),
    Bad("an unknown unit", lambda _: to_amplitude(X, "dB"), ("unit", "'decibels'")),
    Bad("negative intensities", lambda _: to_amplitude(X - 9, "intensity"), ("values", "decibels")),
    Bad("negative amplitudes", lambda _: to_decibels(X - 1), ("amplitude", "0 or more")),
    Bad("images of other channels", lambda _: NET(X.expand(-1, 3, -1, -1)), ("images", "(N, 1")),
    Bad(
        "true boxes outside",
        lambda _: centre_targets([Detections(BOX + 10, torch.zeros(1, dtype=torch.long))], 16, 16),
        ("boxes of image 0",),
    ),
    Bad(
        "a weight of 0",
        lambda _: centre_loss(torch.zeros(1, 4, 5), torch.zeros(1, 4) > 0, torch.zeros(1, 4, 4), weight=0),
        ("weight", "0"),
    ),
]

ROWS = [*ATTENUATION, *OTHERS]

test_it_is_refused = over(ROWS)
