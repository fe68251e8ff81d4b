"""Bad input to the room of data quality, and to what an audit is told about groups and references."""

import torch
from refusals import Bad, command, over
from torch import nn

import deepwright as dw
from deepwright.checks import Subject
from deepwright.data import Data, Split
from deepwright.dataquality import (
    Fingerprints,
    classifier_two_sample_test,
    close_pairs,
    compare_groups,
    content_hashes,
    find_duplicates,
    find_label_errors,
    find_weak_slices,
    fit_label_noise,
    grey,
    grouping,
    literals_of,
    moved_columns,
    out_of_fold,
    perceptual_hashes,
    random_features,
    row_fingerprints,
    text_fingerprints,
)

NAN = float("nan")
X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(60) % 3
P = torch.full((60, 3), 1 / 3)
NET = nn.Linear(4, 3).eval()


def with_nan(values):
    values = values.clone()
    values[2] = NAN
    return values


def audit(**options):
    return dw.audit(NET, [(X, Y)], checks=["drift", "groups"], **options)


def subject(**options):
    part = Split(X, Y)
    return Subject(NET, Data("made up", "tabular", ("a", "b", "c"), part, part, part), **options)


ROWS = [
    Bad(
        "whole numbers as samples", lambda _: find_duplicates(torch.ones(5, 3, dtype=torch.long)), ("samples", "float")
    ),
    Bad("one text as texts", lambda _: find_duplicates("a b c"), ("texts", "sequence")),
    Bad("a negative seed", lambda _: find_duplicates(X, seed=-1), ("seed",)),
    Bad("a list as samples to hash", lambda _: content_hashes([1, 2]), ("samples to hash", "tensor")),
    Bad("rows as pictures", lambda _: grey(X), ("pictures", "(N, C, H, W)")),
    Bad("bytes as pictures", lambda _: perceptual_hashes(torch.zeros(2, 3, 8, 8).byte()), ("pictures", "uint8")),
    Bad("pictures as rows", lambda _: row_fingerprints(torch.zeros(2, 3, 8, 8)), ("rows",)),
    Bad("numbers as texts", lambda _: text_fingerprints([1, 2]), ("texts",)),
    Bad("no fingerprints", lambda _: Fingerprints.cat([]), ("fingerprints", "at least one")),
    Bad("floats as hashes", lambda _: close_pairs(X[:, 0]), ("hashes", "int64")),
    Bad("no window", lambda _: close_pairs(torch.arange(5), window=0), ("window",)),
    Bad("logits as probabilities", lambda _: find_label_errors(X, Y), ("probabilities", "softmax")),
    Bad("NaN probabilities", lambda _: find_label_errors(with_nan(P), Y), ("probabilities", "samples [2]")),
    Bad("labels out of range", lambda _: find_label_errors(P, Y + 1), ("labels", "0 to 2")),
    Bad("fewer labels", lambda _: find_label_errors(P, Y[:5]), ("probabilities and labels", "60 and 5")),
    Bad("no labels", lambda _: find_label_errors(P[:0], Y[:0]), ("probabilities", "no sample")),
    Bad("one class", lambda _: find_label_errors(P[:, :1], Y), ("probabilities", "two classes")),
    Bad("noise of logits", lambda _: fit_label_noise(X, Y), ("probabilities",)),
    Bad("fewer samples than folds", lambda _: out_of_fold(X[:3], Y[:3]), ("samples", "5 or more")),
    Bad("NaN features", lambda _: out_of_fold(with_nan(X), Y), ("features", "samples [2]")),
    Bad("a label too many", lambda _: out_of_fold(X, Y, 2), ("labels", "0 to 1")),
    Bad("no penalty", lambda _: out_of_fold(X, Y, penalty=0.0), ("penalty",)),
    Bad("no random features", lambda _: random_features(X, 0), ("count",)),
    Bad("fewer attributes than losses", lambda _: find_weak_slices(X[:, 0], {"age": [1, 2]}), ("'age'", "60")),
    Bad("NaN losses", lambda _: find_weak_slices(with_nan(X[:, 0]), {}), ("losses",)),
    Bad("a level of 1", lambda _: find_weak_slices(X[:, 0], {}, level=1.0), ("level",)),
    Bad("attributes of two lengths", lambda _: literals_of({"a": [1, 2], "b": [1]}), ("'b'", "(2,)")),
    Bad("booleans as labels", lambda _: find_label_errors(P, Y > 0), ("labels", "torch.bool", "whole numbers")),
    Bad("a number as an attribute", lambda _: literals_of({"a": 3}), ("'a'", "int", "one value a sample")),
    Bad("a number as a slice's attribute", lambda _: find_weak_slices(X[:, 0], {"a": 3}), ("'a'", "one value")),
    Bad("a column of NaN", lambda _: moved_columns({"a": [NAN]}, {"a": [1.0]}), ("'a'", "known values")),
    Bad("one bin", lambda _: literals_of({"a": [1, 2]}, bins=1), ("bins",)),
    Bad("sets of other columns", lambda _: classifier_two_sample_test(X, X[:, :2]), ("two sets", "4 and 2")),
    Bad("a set of few rows", lambda _: classifier_two_sample_test(X, X[:5]), ("second set", "20 or more")),
    Bad("a set with NaN", lambda _: classifier_two_sample_test(with_nan(X), X), ("first set", "samples [2]")),
    Bad("columns of other names", lambda _: moved_columns({"a": [1]}, {"b": [1]}), ("columns", "'a'")),
    Bad("a column without values", lambda _: moved_columns({"a": []}, {"a": []}), ("'a'",)),
    Bad("groups without values", lambda _: grouping([]), ("groups",)),
    Bad("groups of names", lambda _: grouping([f"p{i}" for i in range(60)]), ("groups", "60 values")),
    Bad("values of another length", lambda _: compare_groups(X[:5, 0], grouping(Y)), ("values", "60")),
    Bad("values that are NaN", lambda _: compare_groups(with_nan(X[:, 0]), grouping(Y)), ("values",)),
    Bad("groups of fewer samples", lambda _: audit(groups=["a", "b"]), ("groups", "60 values")),
    Bad("a number as a column of groups", lambda _: subject(groups=3), ("groups", "name of a column")),
    Bad("a reference of other columns", lambda _: audit(reference=[(X[:, :2], Y)]), ("reference", "(4,)")),
    Bad("a reference with NaN", lambda _: subject(reference=Split(with_nan(X), Y)), ("reference", "NaN")),
    Bad("a tensor as a reference", lambda _: subject(reference=X), ("reference", "Split")),
    Bad("a column of another length", lambda _: Split(X, Y, {"site": X[:5, 0].numpy()}), ("'site'", "60 samples")),
    Bad("aside of pictures", lambda d: command("audit", "--aside", "a", "--data", "digits"), ("aside", "digits")),
    Bad(
        "no such reference",
        lambda d: command("audit", "resnet8-mnist", "--limit", 50, "--reference", d / "no.zip", "--out", d),
        ("--reference", "does not exist"),
    ),
]

test_it_is_refused = over(ROWS)
