"""Bad input to what is published before an attack, and to what is voted on under noise."""

import math

import torch
from refusals import Bad, command, over
from torch import nn

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
from deepwright.core.tasks import Regression
from deepwright.data import texture_waves
from deepwright.workflows import HardenOptions, PublishOptions

torch.manual_seed(0)
NET, OTHER = (nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval() for _ in range(2))
X, Y = torch.full((4, 1, 8, 8), 0.5) + 0.1 * torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
HOLED = X.clone()
HOLED[1, 0, 0, 0] = math.nan


def sharpen(x=X, strength=0.2, **options):
    return LaplacianSharpen(strength, **options)(x)


def compared(methods=None, surrogate=NET, target=OTHER, batches=((X, Y),), **options):
    return compare({"s": LaplacianSharpen(0.2)} if methods is None else methods, surrogate, target, batches, **options)


PICTURES = [
    Bad("no pictures", lambda _: sharpen(X[:0]), ("x", "at least one")),
    Bad("a picture of two rows", lambda _: sharpen(X[:, :, :2]), ("3 x 3",)),
    Bad("a row of numbers", lambda _: sharpen(X[0, 0]), ("(N, C, H, W)", "(8, 8)")),
    Bad("an array", lambda _: sharpen(X.numpy()), ("ndarray",)),
    Bad("whole numbers", lambda _: sharpen(X.long()), ("int64", "uint8")),
    Bad("NaN", lambda _: sharpen(HOLED), ("NaN", "finite")),
    Bad("infinity", lambda _: sharpen(X / 0), ("inf", "[0, 1]")),
    Bad("pixels of 0..255", lambda _: sharpen(X * 255), ("range", "divide 8-bit")),
    Bad("normalised pixels", lambda _: sharpen(X - 0.6), ("range", "inside the model")),
    Bad("a negative strength", lambda _: sharpen(strength=-0.1), ("strength", "-0.1")),
    Bad("a strength of NaN", lambda _: sharpen(strength=math.nan), ("strength", "nan")),
    Bad("a PSNR of no number", lambda _: sharpen(strength="psnr:high"), ("psnr:high", "psnr:30")),
    Bad("a negative PSNR", lambda _: sharpen(strength="psnr:-3"), ("psnr:-3",)),
    Bad("an SSIM of one", lambda _: sharpen(strength="ssim:1"), ("ssim:1",)),
    Bad("an unknown target", lambda _: sharpen(strength="lpips:0.1"), ("lpips:0.1", "ssim:0.95")),
    Bad("a PSNR that bytes can't tell", lambda _: sharpen(strength="psnr:52", quantize=255), ("psnr:52", "48")),
    Bad("one for uint8", lambda _: sharpen((X * 255).to(torch.uint8), strength="psnr:52"), ("psnr:52", "48")),
    Bad("an unreachable PSNR", lambda _: sharpen(torch.full((1, 8, 8), 0.3), strength="psnr:30"), ("no strength",)),
    Bad("six neighbours", lambda _: sharpen(neighbours=6), ("neighbours", "4 or 8")),
    Bad("true neighbours", lambda _: laplacian(X, True), ("neighbours", "4 or 8")),
    Bad("an unknown space", lambda _: sharpen(space="lab"), ("space", "lab")),
    Bad("luma of grey", lambda _: sharpen(space="luma"), ("luma", "three colours")),
    Bad("transparency of grey", lambda _: sharpen(alpha=True), ("alpha", "RGBA")),
    Bad("no change", lambda _: sharpen(max_change=0.0), ("max_change",)),
    Bad(
        "a change below half a level", lambda _: sharpen(max_change=0.001, quantize=255), ("max_change", "half a level")
    ),
    Bad("no levels", lambda _: sharpen(quantize=0), ("quantize", "0")),
    Bad("levels without clipping", lambda _: sharpen(quantize=255, clip=False), ("quantize", "clip")),
    Bad("other levels of uint8", lambda _: sharpen((X * 255).byte(), quantize=15), ("quantize", "uint8")),
    Bad("linear light with a budget", lambda _: sharpen(linear=True, max_change=0.1), ("max_change", "linear")),
    Bad("clipping as a word", lambda _: sharpen(clip="no"), ("clip", "True or False")),
    Bad("no sigma", lambda _: Unsharp(0.0), ("sigma",)),
    Bad("no blur", lambda _: Blur(-1.0), ("sigma", "-1")),
    Bad("no window", lambda _: GuidedSharpen(0), ("radius", "0")),
    Bad("a seed of text", lambda _: GaussianNoise(0.1, "x"), ("seed",)),
    Bad("errors of other pictures", lambda _: ContrastStretch().strengths(X, torch.ones(3)), ("error", "(N,)")),
    Bad("nine bits", lambda _: BitDepth(9), ("bits", "1 to 8")),
    Bad("quality of 101", lambda _: Jpeg(101), ("quality", "101")),
    Bad("JPEG of five channels", lambda _: Jpeg()(torch.rand(1, 5, 8, 8)), ("1 or 3",)),
    Bad("a negative strength to reverse", lambda _: reverse(X, -1.0), ("strength", "-1")),
    Bad("bytes to reverse", lambda _: reverse((X * 255).byte()), ("uint8", "x.float() / 255")),
    Bad("a negative gain", lambda _: gain(torch.zeros(1), torch.zeros(1), -1.0), ("strength",)),
    Bad("PSNR of two sizes", lambda _: psnr(X, X[:, :, :7]), ("one shape",)),
    Bad("SSIM of bytes", lambda _: ssim(X, (X * 255).byte()), ("uint8",)),
    Bad("an unknown texture", lambda _: texture_intensity(X, "gradiant"), ("gradient",)),
    Bad("no waves", lambda _: texture_waves(0), ("n", "0")),
]
ASKING = [
    Bad("textures and no attack", lambda _: texture_correlation(NET, X, Y, "pgd"), ("attack", "PGD(0.1)")),
    Bad("bi-level of no network", lambda _: BiLevel("net"), ("model", "nn.Module")),
    Bad("bi-level in L1", lambda _: BiLevel(NET, norm="l1"), ("norm", "l1")),
    Bad("bi-level without a budget", lambda _: BiLevel(NET, 0.0), ("max_change",)),
    Bad("bi-level by a word", lambda _: BiLevel(NET, attack="pgd"), ("attack", "PGD(0.1)")),
    Bad("no rounds", lambda _: BiLevel(NET, iters=0), ("iters",)),
    Bad("bytes to bi-level", lambda _: BiLevel(NET, iters=1)((X * 255).byte()), ("uint8",)),
    Bad("no steps", lambda _: FastPreemption(NET, steps=0), ("steps",)),
    Bad("a class for a network", lambda _: FastPreemption(nn.Linear), ("an instance",)),
    Bad("noise for one copy", lambda _: FastPreemption(NET, copies=1, noise=0.1), ("noise", "one copy")),
    Bad("copies without noise", lambda _: BiLevel(NET, copies=4), ("copies", "noise above 0")),
    Bad("no copies", lambda _: FastPreemption(NET, copies=0), ("copies",)),
    Bad("an early stop of the last step", lambda _: LastIterate(0.1, early_stop=False), ("early_stop", "last")),
    Bad("a success of the last step", lambda _: LastIterate(0.1, success=lambda o, y: y), ("success", "last")),
    Bad("one witness by itself", lambda _: align_surrogate(NET, OTHER, X), ("witnesses", "sequence")),
    Bad(
        "a witness of other classes",
        lambda _: align_surrogate(NET, [nn.Sequential(nn.Flatten(), nn.Linear(64, 5))], X),
        ("witnesses", "5 classes"),
    ),
    Bad("surrogate and target in one", lambda _: compared(surrogate=OTHER), ("surrogate", "the target itself")),
    Bad("an attacker that is the target", lambda _: compared(attacker=OTHER), ("attacker", "third")),
    Bad("no methods", lambda _: compared({}), ("methods", "at least one")),
    Bad("a method named as a control", lambda _: compared({"contrast": ContrastStretch()}), ("contrast",)),
    Bad("a method's class", lambda _: compared({"s": LaplacianSharpen}), ("method", "'s'")),
    Bad("a method of other shapes", lambda _: compared({"s": lambda t: t[:, :, 1:]}), ("'s'", "(4, 1, 8, 8)")),
    Bad("no batches", lambda _: compared(batches=[]), ("batches", "at least one")),
    Bad("normalised pictures", lambda _: compared(batches=[(X - 0.6, Y)]), ("range", "inside the model")),
    Bad("no budgets", lambda _: compared(eps=[]), ("eps",)),
    Bad("a budget of nothing", lambda _: compared(eps=[0.0]), ("eps", "0.0")),
    Bad("an attack in L2", lambda _: compared(attack=LastIterate(0.1, "l2")), ("L-inf",)),
    Bad("an attack on another task", lambda _: compared(attack=LastIterate(0.1, task=Regression(3))), ("task",)),
]
SMOOTHED = [
    Bad("smoothing without noise", lambda _: Smoothed(NET, 0.0), ("sigma",)),
    Bad("smoothing of a word", lambda _: Smoothed("net", 0.1), ("nn.Module",)),
    Bad("a denoiser that is none", lambda _: Smoothed(NET, 0.1, denoiser=3), ("denoiser",)),
    Bad("votes on numbers", lambda _: Smoothed(NET, 0.1, task=Regression(3)).predict(X, 10), ("one class a sample",)),
    Bad("votes on nothing", lambda _: Smoothed(NET, 0.1).predict(X[:0], 10), ("x", "one input or more")),
    Bad("votes on NaN", lambda _: Smoothed(NET, 0.1).certify(HOLED, 10), ("NaN",)),
    Bad("no draws", lambda _: Smoothed(NET, 0.1).predict(X, 0), ("draws",)),
    Bad("a certain certificate", lambda _: Smoothed(NET, 0.1).certify(X, 10, 0.0), ("alpha",)),
    Bad("ids of other samples", lambda _: Smoothed(NET, 0.1).predict(X, 10, ids=torch.arange(3)), ("ids", "(4,)")),
    Bad("a plain network to certify", lambda _: certified_accuracy(NET, [(X, Y)]), ("Smoothed(model, sigma)",)),
    Bad("nothing to certify", lambda _: certified_accuracy(Smoothed(NET, 0.1), []), ("batches",)),
    Bad("labels as floats to certify", lambda _: certified_accuracy(Smoothed(NET, 0.1), [(X, Y / 1)]), ("labels",)),
    Bad(
        "a label beyond the classes to certify",
        lambda _: certified_accuracy(Smoothed(NET, 0.1), [(X, Y + 1)]),
        ("0..2",),
    ),
    Bad("a negative radius", lambda _: certified_accuracy(Smoothed(NET, 0.1), [(X, Y)], [-1.0]), ("radius",)),
    Bad("a mean over no noise", lambda _: NoisyMean(NET, 0.1, (1, 8, 8), draws=0), ("draws",)),
    Bad("a mean over no shape", lambda _: NoisyMean(NET, 0.1, ()), ("shape",)),
]
WORKED = [
    Bad("an unknown way to harden", lambda _: HardenOptions(method="smooting"), ("smoothing",)),
    Bad("hardening for -1 epochs", lambda _: HardenOptions(epochs=-1), ("epochs",)),
    Bad("hardening at no strength", lambda _: HardenOptions(strength=0.0), ("strength",)),
    Bad("pictures of no folder", lambda p: PublishOptions(p / "none", out=p / "out"), ("images", "no folder")),
    Bad("an empty folder", lambda p: command("harden", "--images", p, "--out", f"{p}-out"), ("no picture",)),
    Bad("PSNR and SSIM", lambda p: PublishOptions(p, out=f"{p}-o", psnr=30.0, ssim=0.9), ("ssim", "beside psnr")),
    Bad("a PSNR that files can't tell", lambda p: PublishOptions(p, out=f"{p}-o", psnr=60.0), ("psnr:60", "48")),
    Bad(
        "pictures beside a network", lambda p: command("harden", "resnet8-mnist", "--images", p), ("MODEL", "--images")
    ),
    Bad("PSNR of a network", lambda _: command("harden", "resnet8-mnist", "--psnr", 30), ("--psnr", "--images")),
]

ROWS = [*PICTURES, *ASKING, *SMOOTHED, *WORKED]

test_it_is_refused = over(ROWS)
