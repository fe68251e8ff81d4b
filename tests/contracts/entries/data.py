"""Calls of the data sets: what is made from data is where they are."""

import torch

from deepwright.core.randomness import generator
from deepwright.core.rows import Rows
from deepwright.core.texts import to_codes
from deepwright.data import (
    Data,
    Scenes,
    Split,
    class_blends,
    jitter_digits,
    make_scenes,
    make_sentences,
    ood_companions,
    shift_and_flip,
    shuffle_pixels,
    split_three,
    stratified_order,
    stream_scenes,
    table_data,
    to_float,
)
from entries import Entry, normal, seeded, uniform


def pixels(n=40, seed=0):
    return torch.randint(0, 256, (n, 1, 8, 8), generator=seeded(seed), dtype=torch.uint8)


def labels(n=40):
    return torch.arange(n) % 4


def split(device):
    part = Split(pixels().to(device), labels().to(device))
    mask = part.y == 2
    kept = [part.where(mask), part.where(mask.cpu()), part.take(11, seed=1)]
    return kept, list(part.batches(16)), part.inputs(torch.tensor([3, 1]))


def split_by_rows_there(device):
    """Data that stay on the CPU, rows that come from the device."""
    part = Split(pixels(), labels())
    rows = torch.tensor([5, 0, 7], device=device)
    return part.inputs(rows), part.where(rows), part.where((labels() == 2).to(device))


class Stored(Rows):
    """Pixels that are read when they are asked for."""

    def __init__(self):
        super().__init__((40, 1, 8, 8), torch.uint8)

    def _read(self, rows):
        return pixels()[rows]


def split_of_rows(device):
    """Inputs that are read from files, rows and labels that live on the device."""
    part = Split(Stored(), labels().to(device))
    kept = [part.inputs(torch.tensor([3, 1], device=device)), part.where(part.y == 2).inputs(), part.take(11).inputs()]
    return kept, [x for x, _ in part.batches(16)], part.loaded().x


def limited(device):
    parts = split_three(pixels().to(device), labels().to(device))
    data = Data("pictures", "image", tuple("abcd"), *parts, ood={"near": pixels(9, 1).to(device)})
    small = data.limited(6, 10)
    return small.train, small.validation, small.test, small.ood


def labels_there(device):
    """Inputs stay where they are."""
    return [part.x for part in split_three(pixels(), labels().to(device))]


def companions(device):
    parts = split_three(pixels().to(device), labels().to(device))
    data = Data("pictures", "image", tuple("abcd"), *parts, ood={"near given": pixels(9, 1).to(device)})
    return ood_companions(data, 6), class_blends(data, 5), shuffle_pixels(data.test.inputs())


def table_companions(device):
    data = table_data("rows", normal(60, 3).to(device), labels(60).to(device), tuple("abcd"), tuple("xyz"))
    return ood_companions(data, 5), data.train, data.test, data.center, data.scale


def text_and_series_companions(device):
    texts, y = make_sentences(60)
    parts = [Split(part.x.to(device), part.y.to(device)) for part in split_three(to_codes(texts), y)]
    words = ood_companions(Data("texts", "text", ("no", "yes"), *parts), 5)
    parts = [Split(part.x.to(device), part.y) for part in split_three(normal(60, 9, 2), y)]
    return words, ood_companions(Data("series", "series", ("no", "yes"), *parts), 5)


def augmented(device):
    x = pixels().to(device)
    each = [shift_and_flip(2), jitter_digits()]
    return [augment(x, generator(0, i, device=device)) for i, augment in enumerate(each)]


def scenes(device):
    there = torch.tensor([True, False, True, True], device=device)
    made = make_scenes(4, seed=3, occupied=there)
    some = made.take(there), made.take(there.cpu()), made.take(torch.tensor([2, 0], device=device))
    return made, some, made.occupied


def scenes_on_the_cpu(device):
    made = make_scenes(4, seed=3)
    return made.take(torch.tensor([2, 0], device=device)), stream_scenes(5, seed=1)


def moved_scenes(device):
    made = make_scenes(3, seed=1)
    moved = Scenes(made.images.to(device), made.truth)
    return moved.occupied, moved.images


ENTRIES = [
    Entry("Split", split),
    Entry("Split on the CPU, rows on the device", split_by_rows_there, returns="cpu"),
    Entry("Split of Rows, rows on the device", split_of_rows, returns="cpu"),
    Entry("split_three, Data.limited", limited),
    Entry("split_three, inputs on the CPU", labels_there, returns="cpu"),
    Entry("stratified_order", lambda d: stratified_order(labels().to(d), 3)),
    Entry("to_float", lambda d: (to_float(pixels().to(d)), to_float(uniform(3, 2).to(d)))),
    Entry("ood_companions, class_blends, shuffle_pixels", companions),
    Entry("table_data, ood_companions", table_companions),
    Entry("ood_companions of texts and series", text_and_series_companions),
    Entry("shift_and_flip, jitter_digits", augmented, random=True),
    Entry("make_scenes, Scenes", scenes),
    Entry("make_scenes, stream_scenes on the CPU", scenes_on_the_cpu, returns="cpu"),
    Entry("Scenes, moved", moved_scenes),
]
