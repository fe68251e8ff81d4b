"""Bad input to what speaks of tasks: their words on the command line, folders, tables, claims and intervals."""

import numpy as np
import torch
from PIL import Image
from refusals import Bad, command, over

from deepwright.core.tasks import Binary, Regression
from deepwright.data import load, load_boxes, load_masks, load_targets
from deepwright.nets import FinalDetections, small_ssd
from deepwright.risk import (
    bootstrap_index,
    boundary_f1,
    confidence_ece,
    conformal_half_width,
    coverage,
    drawn_pixels,
    grouped_calibration,
    miscoverage,
)
from deepwright.workflows import SubjectOptions

P, RIGHT = torch.tensor([0.2, 0.9]), torch.tensor([False, True])
MAP = torch.zeros(2, 4, 4, dtype=torch.long)


def table(folder, text="a,y,z\n1,0.5,1\n2,1.5,0\n3,2.5,1\n"):
    (folder / "t.csv").write_text(text * 1)
    return folder / "t.csv"


def pictures(folder, names=("0", "1")):
    for name in names:
        (folder / name).mkdir()
        for i in range(6):
            Image.fromarray(np.full((8, 8), i, np.uint8)).save(folder / name / f"{i}.png")
    return folder


CLAIMS = [
    Bad("a probability above 1", lambda _: confidence_ece(P + 1, RIGHT), ("confidence", "1.9")),
    Bad("a probability of NaN", lambda _: grouped_calibration(P / 0 * 0, RIGHT, MAP[0, 0, :2]), ("confidence", "nan")),
    Bad("no claim", lambda _: confidence_ece(P[:0], RIGHT[:0]), ("claims", "(0,)")),
    Bad("no bin", lambda _: grouped_calibration(P, RIGHT, torch.arange(2), bins=0), ("bins", "0")),
    Bad("groups of another number", lambda _: grouped_calibration(P, RIGHT, torch.arange(3)), ("group", "(3,)")),
    Bad("index groups of another number", lambda _: bootstrap_index(P, group=torch.arange(3)), ("group", "(3,)")),
    Bad("a level of 1", lambda _: conformal_half_width(P, 1.0), ("level", "1")),
    Bad("errors of NaN", lambda _: conformal_half_width(P / 0 * 0, 0.9), ("errors",)),
    Bad("an empty set of intervals", lambda _: coverage(P[:0], P[:0], P[:0], 0.9), ("intervals", "(0,)")),
    Bad("no level", lambda _: miscoverage({}), ("levels", "none")),
    Bad("no tolerance of borders", lambda _: boundary_f1(MAP, MAP, 2, tolerance=0.0), ("tolerance", "0")),
    Bad("maps of two sizes", lambda _: boundary_f1(MAP, MAP[:1], 2), ("label maps", "(1, 4, 4)")),
    Bad("no pixel of an image", lambda _: drawn_pixels(MAP, 0), ("most", "0")),
    Bad("a spread that is none", lambda _: Regression(spread="sigma"), ("spread", "sigma", "deviation")),
    Bad("levels that fall", lambda _: Regression(spread="quantiles", levels=(0.9, 0.1)), ("levels", "rising")),
    Bad(
        "a sensitivity of 0",
        lambda _: Binary().at_sensitivity(torch.zeros(2, 2), torch.tensor([0, 1]), 0.0),
        ("sensitivity",),
    ),
    Bad("a score above 1", lambda _: FinalDetections(small_ssd(), score=2.0), ("score", "2")),
]
FILES = [
    Bad("an unknown word for a task", lambda f: load(table(f), target="y", task="regresion"), ("task", "regression")),
    Bad("numbers of a folder", lambda f: load(pictures(f), task="regression"), ("regression", "classification")),
    Bad("maps of a table", lambda f: load(table(f), target="y", task="segmentation"), ("segmentation", "regression")),
    Bad("maps of digits", lambda _: load("digits", task="segmentation"), ("digits", "classification")),
    Bad("boxes of class folders", lambda f: load_boxes(pictures(f)), ("boxes", "COCO", "VOC", "YOLO")),
    Bad("boxes of nothing", lambda f: load_boxes(f / "none"), ("boxes",)),
    Bad("masks of class folders", lambda f: load_masks(pictures(f, ("a", "b"))), ("label map", "masks")),
    Bad(
        "two columns as a class",
        lambda f: load(table(f), target=["y", "z"], task="classification"),
        ("2 columns", "one"),
    ),
    Bad("a target twice", lambda f: load_targets(table(f), ["y", "y"], labels=False), ("target", "once")),
    Bad(
        "a target aside",
        lambda f: load_targets(table(f), ["y", "z"], labels=False, aside=["z"]),
        ("aside", "'z', a target"),
    ),
    Bad("a column that isn't there", lambda f: load_targets(table(f), ["w"], labels=False), ("'w'", "a, y, z")),
    Bad("text as a number", lambda f: load_targets(table(f, "a,y\n1,x\n2,z\n"), ["y"], labels=False), ("'y'", "text")),
    Bad("numbers as labels", lambda f: load_targets(table(f), ["y"], labels=True), ("'y'", "0.5", "regression")),
    Bad(
        "classes of numbers", lambda f: load(table(f), target="y", task="regression", classes=("a", "b")), ("classes",)
    ),
]
WORDS = [
    Bad("a task that is no word", lambda _: SubjectOptions(task="regresion"), ("task", "regression")),
    Bad(
        "two ways to a threshold",
        lambda _: SubjectOptions(threshold=0.3, sensitivity=0.9),
        ("threshold", "sensitivity"),
    ),
    Bad("a threshold of 2", lambda _: SubjectOptions(threshold=2.0), ("threshold", "2")),
    Bad("a threshold beside a task", lambda _: SubjectOptions(task=Binary(), threshold=0.3), ("threshold", "task")),
    Bad(
        "a task of ten classes as binary",
        lambda _: command("audit", "--task", "binary", "--check", "cost"),
        ("binary", "10"),
    ),
    Bad(
        "an audit of digits as numbers",
        lambda _: command("audit", "--task", "regression"),
        ("regression", "classification"),
    ),
    Bad("a threshold of ten classes", lambda _: command("audit", "--threshold", "0.3"), ("threshold", "binary")),
    Bad("a sensitivity of ten classes", lambda _: command("audit", "--sensitivity", "0.9"), ("sensitivity", "Binary")),
]

ROWS = CLAIMS + FILES + WORDS

test_it_is_refused = over(ROWS)
