"""Calls of the room of data quality: fingerprints are kept on the CPU, fits work where the features are."""

import torch

from deepwright.dataquality import (
    classifier_two_sample_test,
    close_pairs,
    compare_groups,
    content_hashes,
    equal_pairs,
    find_duplicates,
    find_label_errors,
    find_weak_slices,
    fit_label_noise,
    grey,
    grouping,
    groups_of,
    literals_of,
    moved_columns,
    out_of_fold,
    perceptual_hashes,
    picture_fingerprints,
    picture_statistics,
    random_features,
    row_fingerprints,
    statistics_of,
    text_fingerprints,
)
from entries import Entry, normal, seeded, uniform


def copies(device):
    x = uniform(80, 3, 20, 20)
    pictures = find_duplicates(torch.cat([x, x[:3]]).to(device))
    rows = normal(90, 4)
    return pictures.pairs, find_duplicates(torch.cat([rows, rows[:2]]).to(device)).pairs


def prints(device):
    texts = text_fingerprints(["a b c d e f", "A b c d e f"])
    return picture_fingerprints([uniform(9, 1, 8, 8).to(device)]), row_fingerprints(normal(20, 3).to(device)), texts


def pairs(device):
    hashes = torch.tensor([5, 4, 1 << 40], device=device)
    return close_pairs(hashes, 2), equal_pairs(hashes[:, None]), groups_of(torch.tensor([[0, 1]], device=device), 3)


def labels(device):
    p = (2 * normal(150, 3)).softmax(1).to(device)
    y = torch.randint(0, 3, (150,), generator=seeded())
    return find_label_errors(p, y), fit_label_noise(p, y)


def fitted(device, dtype=torch.float32):
    x = normal(90, 4, dtype=dtype).to(device)
    return random_features(x, 8), out_of_fold(x, torch.arange(90) % 3)


def slices(device):
    x = normal(400, 2).to(device)
    found = find_weak_slices((x[:, 0] > 1).double(), {"a": x[:, 0], "b": x[:, 1]})[0]
    return [(s.words, s.gap, s.p) for s in found], literals_of({"a": x[:, 0]}).words


def sets(device):
    a, b = normal(60, 3).to(device), normal(50, 3, seed=2).to(device)
    found = classifier_two_sample_test(a, b, permutations=19)
    return found.scores, found.auroc, moved_columns({"a": a[:, 0]}, {"a": b[:, 0]})


def groups(device):
    return compare_groups((normal(90) > 0).to(device), grouping((torch.arange(90) % 2).to(device)))


def pictures(device):
    x = uniform(6, 3, 8, 8).to(device)
    return grey(x), perceptual_hashes(x), content_hashes(x), picture_statistics(x)


ENTRIES = [
    Entry("find_duplicates", copies, returns="cpu"),
    Entry("picture_fingerprints, row_fingerprints, text_fingerprints", prints, returns="cpu"),
    Entry("close_pairs, equal_pairs, groups_of", pairs, returns="cpu"),
    Entry("find_label_errors, fit_label_noise", labels),
    Entry("random_features, out_of_fold", fitted, tolerance=1e-3, dtypes=(torch.float64,)),
    Entry("find_weak_slices, literals_of", slices, returns="cpu"),
    Entry("classifier_two_sample_test, moved_columns", sets),
    Entry("compare_groups, grouping", groups),
    Entry("grey, perceptual_hashes, content_hashes, picture_statistics", pictures),
    Entry("statistics_of", lambda d: statistics_of([uniform(5, 3, 8, 8).to(d)]), returns="cpu"),
]
