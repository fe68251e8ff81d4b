"""One network trained with one loss, and how plausible its maps are under each way to read them."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.randomness import local_rng
from deepwright.data import load_camvid, make_nested_anatomy
from deepwright.data.named.anatomy import LAYERS
from deepwright.nets.unet import UNet
from deepwright.risk.ordinal import (
    ClassOrder,
    ContactDistanceLoss,
    ContactNeighborLoss,
    ContainmentViolation,
    ExpectedSquaredErrorLoss,
    HardOrdinalHead,
    InvalidContactRate,
    OrderedNeighborLoss,
    OrdinalScores,
    OrdinalSegmentationLoss,
    QuasiUnimodalLoss,
    TotalVariationLoss,
    UnimodalHead,
    UnimodalPixelRate,
    decode,
    repair_labels,
    require_order,
    wrap_logits,
)
from deepwright.studies._clock import one_thread

CE, DICE, HARD, PEAK = "CE", "CE + Dice", "hard ordinal head", "unimodal head"
TV, CO2, QUL, EXP = "CE + TV", "CE + CO2", "CE + QUL", "CE + EXP_MSE"
CSNP, CSDT, CSSDF = "CE + CSNP", "CE + CSDT", "CE + CSSDF"
BY_RATE, BY_WEIGHT = (CE, DICE, HARD, PEAK), (TV, CO2, QUL, EXP, CSNP, CSDT, CSSDF)
RATES, WEIGHTS, HEAVY = (3e-3, 1e-2), (1.0, 10.0), 30.0
LR, WARMUP, BATCH, PRICE = 3e-3, 100, 8, 10.0
IGNORED = 255
CAMVID_LAYERS = {
    "sky": ("sky",),
    "scenery": ("building", "pole", "tree", "sign", "fence"),
    "roadside": ("pavement", "car", "pedestrian", "bicyclist"),
    "road": ("road",),
}
"""From the outermost; 2 % of the labels' own contacts break it."""
WIDTHS, WIDE = (8, 16, 32), (12, 24, 48)
SIDE, LARGE, FRAME = 32, 48, (48, 64)


def term_of(name: str, order: ClassOrder) -> nn.Module:
    """The term beside cross-entropy.

    Args:
        name: of the arm.
        order: of the classes.
    """
    made: dict[str, Any] = {
        TV: lambda: TotalVariationLoss(ignore_index=IGNORED),
        CO2: lambda: OrderedNeighborLoss(order, ignore_index=IGNORED),
        QUL: lambda: QuasiUnimodalLoss(ignore_index=IGNORED),
        EXP: lambda: ExpectedSquaredErrorLoss(ignore_index=IGNORED),
        CSNP: lambda: ContactNeighborLoss(order, ignore_index=IGNORED),
        CSDT: lambda: ContactDistanceLoss(order, ignore_index=IGNORED),
        CSSDF: lambda: ContactDistanceLoss(order, signed=True, ignore_index=IGNORED),
    }
    term: nn.Module = made[name]()
    return term


def trained(
    name: str,
    setting: float,
    x: Tensor,
    y: Tensor,
    order: ClassOrder,
    seed: int,
    steps: int,
    warmup: int,
    widths: tuple[int, ...] = WIDTHS,
) -> nn.Module:
    """A U-Net after so many steps, in eval mode; all flips of the pictures are in its training set.

    Args:
        name: of the arm.
        setting: its learning rate, or the weight of its term.
        x: pictures.
        y: label maps.
        order: of the classes.
        seed: of weights and batches.
        steps: at least.
        warmup: steps in which the weight of a term grows.
        widths: of the network.
    """
    weighted = name in BY_WEIGHT
    lr = LR if weighted else setting
    classes = order.classes
    with local_rng(seed):
        net: nn.Module = UNet(x.shape[1], classes - (name == HARD), widths)
        if name in (HARD, PEAK):
            net = wrap_logits(net, HardOrdinalHead() if name == HARD else UnimodalHead())
    terms = {"term": (term_of(name, order), setting)} if weighted else None
    base = "dice_ce" if name == DICE else "ce"
    loss = OrdinalSegmentationLoss(base, terms, ignore_index=IGNORED, warmup=warmup)
    flips: list[tuple[int, ...]] = [(), (-1,)] if x.shape[1] > 1 else [(), (-1,), (-2,), (-1, -2)]
    data = torch.cat([x.flip(f) for f in flips]), torch.cat([y.flip(f) for f in flips])
    epochs = max(1, math.ceil(steps * BATCH / len(data[0])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that vanishes is counted in the result
        fit(
            net,
            data,
            epochs=epochs,
            batch_size=BATCH,
            loss=loss,
            optimizer=adamw(lr, 0.0),
            scheduler=one_cycle(lr, 0.1),
            seed=seed,
            description="train",
        )
    return net.eval()


def measured(labels: Tensor, y: Tensor, order: ClassOrder) -> dict[str, Any]:
    """Contacts, Dice and classes of label maps.

    Args:
        labels: (N, H, W).
        y: true ones.
        order: of the classes.
    """
    valid = y != IGNORED
    contacts, scores = InvalidContactRate(order), OrdinalScores(order, IGNORED)
    contacts.update(labels, valid)
    scores.update(labels, y)
    found = scores.compute()
    dice = [float(d) for d in found["dice"]]
    held = contacts.compute()
    return {
        "contacts": float(held) if not math.isnan(float(held)) else 0.0,
        "published contacts": float(contacts.published()),
        "dice": float(found["macro_dice"]),
        "mae": float(found["mae"]),
        "kappa": float(found["kappa"]),
        "worst dice": min(dice),
        "vanished": len(contacts.absent()),
    }


def probabilities(net: nn.Module, x: Tensor) -> Tensor:
    """(N, K, H, W).

    Args:
        net: trained.
        x: pictures.
    """
    with torch.no_grad():
        return torch.cat([net(part).softmax(1) for part in x.split(50)])


def _smoothed(p: Tensor) -> Tensor:
    return F.avg_pool2d(p, 3, 1, 1, count_include_pad=False)


def judged(net: nn.Module, x: Tensor, y: Tensor, order: ClassOrder) -> dict[str, Any]:
    """All that is measured on a set of pictures, by the way that labels are read.

    Args:
        net: trained.
        x: pictures.
        y: true labels.
        order: of the classes.
    """
    p = probabilities(net, x)
    smooth = _smoothed(p)
    ways = {
        "argmax": decode(p, order),
        "median": decode(p, order, "median"),
        "mean": decode(p, order, "mean"),
        "smoothed": decode(smooth, order),
        "smoothed median": decode(smooth, order, "median"),
        "icm": repair_labels(p, order),
        "path": repair_labels(p, order, "path"),
    }
    found: dict[str, Any] = {way: measured(labels, y, order) for way, labels in ways.items()}
    valid = y != IGNORED
    for key, sound in (("unimodal", False), ("unimodal, zeros left out", True)):
        share = UnimodalPixelRate(ignore_zeros=sound)
        share.update(p, valid)
        found[key] = float(share.compute())
    containment = ContainmentViolation(order, border=x.shape[1] == 1)
    containment.update(ways["argmax"], valid)
    found["violations"] = float(containment.compute().nan_to_num(0.0))
    regions = containment.regions().values()
    found["extra parts"] = sum(v["extra"] for v in regions if not math.isnan(v["extra"])) / len(regions)
    return found


def merit(net: nn.Module, x: Tensor, y: Tensor, order: ClassOrder) -> float:
    """What settings are chosen by: macro Dice less ten times the contact rate, both at argmax.

    Args:
        net: trained.
        x: validation pictures.
        y: their labels.
        order: of the classes.
    """
    found = measured(decode(probabilities(net, x), order), y, order)
    return float(found["dice"] - PRICE * found["contacts"])


@lru_cache(maxsize=2)
def _layers(n: int, skip: float, seed: int, side: int) -> tuple[Tensor, Tensor]:
    return make_nested_anatomy(n, side, skip_layer=skip, seed=seed)


def anatomy_trial(
    name: str,
    setting: float,
    seed: int,
    steps: int,
    pictures: int,
    skip: float = 0.0,
    warmup: int = WARMUP,
    large: bool = False,
) -> dict[str, Any]:
    """Layers inside one another: 24 pictures to train on.

    Args:
        name: of the arm.
        setting: its learning rate, or the weight of its term.
        seed: of pictures, weights and batches.
        steps: of training.
        pictures: of the test; half as many to choose by.
        skip: share of pictures in which a layer is missing, so that the order is false.
        warmup: steps in which the weight of a term grows.
        large: 48 x 48 pixels and the wider network, with which the thresholds were set, in place of 32 x 32.
    """
    held = pictures // 2
    with one_thread():
        x, y = _layers(24 + held + pictures, skip, seed, LARGE if large else SIDE)
        order = ClassOrder.chain(list(LAYERS))
        own = require_order(y[:24], order, limit=1.0)
        net = trained(name, setting, x[:24], y[:24], order, seed, steps, warmup, WIDE if large else WIDTHS)
        validation = merit(net, x[24 : 24 + held], y[24 : 24 + held], order)
        found = judged(net, x[24 + held :], y[24 + held :], order)
        return found | {"validation": validation, "own contacts": own}


@lru_cache(maxsize=1)
def _camvid(root: Path, limit: int) -> tuple[tuple[Tensor, Tensor], ...]:
    data = load_camvid(root, size=FRAME, limit=limit, train_limit=None)
    table = torch.zeros(256, dtype=torch.long)
    for level, names in enumerate(CAMVID_LAYERS.values()):
        table[[data.classes.index(name) for name in names]] = level
    table[IGNORED] = IGNORED
    return tuple((s.inputs() - 0.5, table[s.y]) for s in (data.train, data.validation, data.test))


def camvid_trial(name: str, setting: float, seed: int, steps: int, pictures: int, root: Path) -> dict[str, Any]:
    """Road scenes of CamVid in four layers: 48 frames to train on, other ones for each seed.

    Args:
        name: of the arm.
        setting: its learning rate, or the weight of its term.
        seed: of weights, batches and the frames that are trained on.
        steps: of training.
        pictures: at most so many frames to choose by, and to test with.
        root: of the data.
    """
    with one_thread():
        (x, y), held, test = _camvid(root, pictures)
        order = ClassOrder.chain(list(CAMVID_LAYERS))
        picked = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:48]
        own = require_order(y.where(y != IGNORED, 0), order, y != IGNORED, limit=1.0)
        net = trained(name, setting, x[picked], y[picked], order, seed, steps, WARMUP)
        found = judged(net, *test, order)
        return found | {"validation": merit(net, *held, order), "own contacts": own}
