"""Bad input to what trains on worst inputs and on mixtures of corrupted pictures."""

import torch
from refusals import Bad, command, over
from torch import nn

from deepwright.adversarial.training import AdversarialTraining, Ball, RobustScore, Trades, overfitted
from deepwright.core.tasks import Classification, Detection, Regression
from deepwright.corruptions import Consistent, CorruptionMix, split_families
from deepwright.workflows import HardenOptions

NET = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
X, Y = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0])
FOUR = torch.full((2, 4, 16, 16), 0.5)
RNG = torch.Generator().manual_seed(0)
THREE = Classification(3)

WORST = [
    Bad("no budget", lambda _: AdversarialTraining(0.0, task=THREE), ("eps",)),
    Bad("a ball in L1", lambda _: Trades(0.1, "l1", task=THREE), ("norm", "l1")),
    Bad("no steps", lambda _: AdversarialTraining(0.1, steps=0, task=THREE), ("steps",)),
    Bad("a step of no length", lambda _: Trades(0.1, alpha=0.0, task=THREE), ("alpha",)),
    Bad("the bounds upside down", lambda _: Trades(0.1, task=THREE, bounds=(1.0, 0.0)), ("bounds",)),
    Bad("a word for a switch", lambda _: Trades(0.1, task=THREE, joint="no"), ("joint",)),
    Bad("boxes", lambda _: AdversarialTraining(0.1, task=Detection(3)), ("task", "detection")),
    Bad("numbers without probabilities", lambda _: Trades(0.1, task=Regression(2)), ("task", "regression")),
    Bad("a negative beta", lambda _: Trades(0.1, task=THREE, beta=-1.0), ("beta",)),
    Bad("a task's class", lambda _: Trades(0.1, task=Classification), ("task", "itself")),
    Bad("bytes to train on", lambda _: Trades(0.1, task=THREE).start((X * 255).byte(), RNG), ("uint8", "floats")),
    Bad("normalised inputs", lambda _: Trades(0.1, task=THREE).start(X - 0.5, RNG), ("range", "normalisation")),
    Bad("a budget for a ball", lambda _: RobustScore(X, Y, 0.1, THREE), ("ball", "recipe.ball")),
    Bad("scores of nothing", lambda _: RobustScore(X[:0], Y[:0], Ball(0.1), THREE), ("samples", "0 inputs")),
    Bad("scores of other labels", lambda _: RobustScore(X, Y[:3], Ball(0.1), THREE), ("4 inputs, 3 targets",)),
    Bad("pixels of 255", lambda _: RobustScore(X * 255, Y, Ball(0.1), THREE)(NET), ("range", "255")),
    Bad("a history of losses", lambda _: overfitted([{"loss": 1.0}]), ("one_step",)),
]
MIXED = [
    Bad("no perturbations", lambda _: CorruptionMix(()), ("perturbations", "one or more")),
    Bad("one name by itself", lambda _: CorruptionMix("contrast"), ("perturbations", "several")),
    Bad("an unknown perturbation", lambda _: CorruptionMix(("contrst",)), ("contrst", "contrast")),
    Bad("a number among perturbations", lambda _: CorruptionMix((3,)), ("perturbations",)),
    Bad("no chain", lambda _: CorruptionMix(("contrast",), width=0), ("width",)),
    Bad("a severity of 6", lambda _: CorruptionMix(("contrast",), severities=(6,)), ("severities", "1..5")),
    Bad("minus one view", lambda _: CorruptionMix(("contrast",), views=-1), ("views",)),
    Bad("bytes to mix", lambda _: CorruptionMix(("contrast",))((X * 255).byte(), RNG), ("uint8", "255")),
    Bad("one picture to mix", lambda _: CorruptionMix(("contrast",))(X[0], RNG), ("(N, C, H, W)", "x[None]")),
    Bad("small pictures to mix", lambda _: CorruptionMix(("contrast",))(X[..., :4], RNG), ("images", "8 x 8")),
    Bad("four channels to mix", lambda _: CorruptionMix(("low_pass",))(FOUR, RNG), ("low_pass", "4 channels")),
    Bad("NaN to mix", lambda _: CorruptionMix(("contrast",))(X / 0, RNG), ("inputs", "within")),
    Bad("one family by itself", lambda _: split_families("noise"), ("held_out", "several")),
    Bad("an unknown family", lambda _: split_families(("nois",)), ("nois", "noise")),
    Bad("no family", lambda _: split_families(()), ("held_out", "0 of")),
    Bad("one answer to numbers", lambda _: Consistent(Regression(2)), ("task", "probabilities")),
    Bad("an answer worth nothing", lambda _: Consistent(THREE, 0.0), ("weight",)),
]
WORKED = [
    Bad("steps of smoothing", lambda _: HardenOptions(steps=3), ("steps", "trades")),
    Bad("hardening in 0 steps", lambda _: HardenOptions(method="trades", steps=0), ("steps",)),
    Bad("TRADES below 0", lambda _: HardenOptions(method="trades", beta=-1.0), ("beta",)),
    Bad(
        "an unknown family kept back",
        lambda _: HardenOptions(method="corruption-training", held_out=("fog",)),
        ("category", "fog"),
    ),
    Bad(
        "an unknown mixing",
        lambda _: HardenOptions(method="corruption-training", mixing="both"),
        ("mixing", "consistent"),
    ),
    Bad(
        "beta at the command line without TRADES",
        lambda p: command("harden", "resnet8-mnist", "--with", "smoothing", "--beta", 3, "--out", p / "out"),
        ("beta", "trades"),
    ),
    Bad(
        "pictures with the steps of a network",
        lambda p: command("harden", "--images", p, "--steps", 3, "--out", f"{p}-out"),
        ("steps", "no network"),
    ),
]

ROWS = [*WORST, *MIXED, *WORKED]

test_it_is_refused = over(ROWS)
