"""Calls of the ground floor."""

from contextlib import nullcontext

import torch

from deepwright.core.boxes import box_iou, class_nms, decode, encode, nms
from deepwright.core.devices import back_to, home, to_model
from deepwright.core.features import extract, layer_names
from deepwright.core.inference import logits_of
from deepwright.core.pictures import Strip, strips
from deepwright.core.randomness import Streams, generator
from deepwright.core.spreading import alone, spread_map
from deepwright.core.statistics import bootstrap, conformal_pvalues, mcnemar, paired_permutation
from deepwright.core.taps import Tap, summarise_map
from entries import Entry, image_classifier, normal, residual_classifier, seeded, uniform


def boxes_on(device):
    corner = uniform(30, 2) * 50
    return torch.cat([corner, corner + 10 + 10 * uniform(30, 2, seed=1)], 1).to(device)


def outputs(device, dtype=torch.float32):
    model, x, _ = image_classifier(device, dtype)
    return logits_of(model, [x[:7], x[7:]]), model


def outputs_of_host_data(device):
    model, x, _ = image_classifier(device)
    return logits_of(model, [x.cpu()])


def outputs_of_mixed_data(device):
    model, x, _ = image_classifier(device)
    return logits_of(model, [x, x.cpu()])


def spread(device, dtype=torch.float32):
    x = uniform(9, 3, dtype=dtype).to(device)
    return spread_map(lambda: nullcontext(lambda number, piece: piece.sum(0) * number), x.split(2)), alone(
        lambda: x + 1
    )


def activations(device):
    model, x, y = residual_classifier(device)
    return extract(model, [(x[:40], y[:40]), (x[40:], y[40:])]), model


def activations_of_host_data(device):
    model, x, y = residual_classifier(device)
    return extract(model, [(x.cpu(), y.cpu())])


def activations_offloaded(device):
    model, x, y = residual_classifier(device)
    return extract(model, [(x, y)], offload="cpu")


def activations_stored(device):
    import tempfile

    model, x, y = residual_classifier(device, 24)
    with tempfile.TemporaryDirectory() as folder:
        runs = [extract(model, [(x[:12], y[:12]), (x[12:], y[12:])], store=folder, every=1) for _ in range(2)]
    return runs


def tapped(device):
    model, x, _ = image_classifier(device)
    with torch.no_grad(), Tap(model) as tap:
        model(x)
    return tap.layers, summarise_map(x)


def names(device):
    model, x, _ = image_classifier(device)
    return layer_names(model, x.cpu())


def moved(device, dtype=torch.float32):
    model, x, y = image_classifier(device, dtype)
    given = {"x": x.cpu().float(), "rest": (y.cpu(), "word")}
    assert home(given).type == "cpu"
    return to_model(given, model), back_to(given, model)["rest"], model


def streams(device):
    def fresh():
        return Streams(3, torch.arange(5, device=device), "noise", device=device)

    return fresh().bits(99), fresh().uniform(99), fresh().normal(99), fresh().integers(0, 17, 99)


def drawn(device):
    return torch.randn(5, generator=generator(0, "trial", device=device), device=device)


def box_calls(device):
    boxes, scores, labels = boxes_on(device), uniform(30, seed=2).to(device), (torch.arange(30) % 3).to(device)
    codes = encode(boxes, boxes.flip(0))
    kept = nms(boxes, scores), class_nms(boxes, scores, labels), nms(boxes[:0], scores[:0])
    return box_iou(boxes, boxes), codes, decode(codes, boxes.flip(0)), kept


def pictures(device, dtype=torch.float32):
    rows = Strip("grey", uniform(2, 1, 8, 8).to(device, dtype)), Strip("colour", uniform(2, 3, 60, 8).to(device, dtype))
    return [[picture["png"] for picture in row["pictures"]] for row in strips("t", rows).series]


def intervals(device):
    a, b = normal(40).to(device), normal(40, seed=1).to(device)
    return bootstrap(a, rows=50), paired_permutation(a, b, rows=100), mcnemar(a > 0, b > 0)


def exact_permutation(device):
    return paired_permutation(normal(6).to(device), normal(6, seed=1).to(device))


def pvalues(device):
    return conformal_pvalues(normal(40).to(device), normal(20, seed=1).to(device))


def pvalues_of_host_calibration(device):
    return conformal_pvalues(torch.randn(40, generator=seeded()), normal(20, seed=1).to(device))


FLOATS = (torch.float64, torch.float16, torch.bfloat16)

ENTRIES = [
    Entry("logits_of", outputs, dtypes=(torch.float64,)),
    Entry("logits_of, data on the CPU", outputs_of_host_data, returns="cpu"),
    Entry("logits_of, data on both", outputs_of_mixed_data),
    Entry("spread_map, alone", spread, dtypes=(torch.float64,)),
    Entry("extract", activations),
    Entry("extract, data on the CPU", activations_of_host_data),
    Entry("extract, offloaded", activations_offloaded, returns="cpu"),
    Entry("extract, from shards", activations_stored),
    Entry("Tap, summarise_map", tapped),
    Entry("layer_names", names),
    Entry("to_model, back_to", moved, dtypes=FLOATS),
    Entry("Streams", streams, tolerance=1e-6),
    Entry("generator", drawn, random=True),
    Entry("boxes", box_calls),
    Entry("strips", pictures),
    Entry("bootstrap, paired_permutation, mcnemar", intervals),
    Entry("paired_permutation, exact", exact_permutation),
    Entry("conformal_pvalues", pvalues),
    Entry("conformal_pvalues, calibration on the CPU", pvalues_of_host_calibration),
]
