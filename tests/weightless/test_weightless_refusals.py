"""What isn't bits, isn't finite, doesn't fit, or was edited by a stranger is refused, and counts stay whole."""

import copy
import inspect
import io
import subprocess
import warnings
import zipfile

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.weightless import (
    DWN,
    ULEEN,
    BinaryWNN,
    BleachingWiSARD,
    Booleanizer,
    BTHOWeN,
    DWNClassifier,
    TorchTsetlinWiSARD,
    TsetlinWiSARD,
    ULEENClassifier,
    WiSARD,
    WNNHead,
    bit_flips,
    flip_bits,
)
from deepwright.weightless.differentiable.layers import LearnedThresholds
from deepwright.weightless.export.compilers import compiler


def small(luts=20, seed=0):
    rng = np.random.default_rng(seed)
    tables, mapping = rng.integers(0, 2, (luts, 16, 3)), rng.permuted(np.tile(np.arange(12), (luts, 1)), axis=1)[:, :4]
    return BinaryWNN(tables, mapping, 12, np.arange(3))


def bits_of(samples, features, seed=0):
    return (torch.rand(samples, features, generator=torch.Generator().manual_seed(seed)) > 0.5).float()


@pytest.mark.parametrize("value", [7.0, 0.3, -1.0, float("nan")])
@pytest.mark.parametrize("make", [lambda: DWN(12, 3, (9,), 4), lambda: ULEEN(12, 3, (4,)), lambda: small().to_torch()])
@pytest.mark.parametrize("training", [False, True])
def test_torch_networks_take_bits_only(make, value, training):
    net, bits = make().train(training), bits_of(4, 12)
    assert net(bits).shape == (4, 3)
    bits[2, 5] = value
    with pytest.raises(InputError, match="Booleanizer"):
        net(bits)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_head_refuses_what_no_threshold_can_place(bad):
    head, x = WNNHead(4, 2, bits=3, layers=(8,), n_inputs=3), torch.randn(6, 4)
    x[1, 2] = bad
    for call in (head, head.margin, head.anomaly):
        with pytest.raises(InputError, match="finite"):
            call(x)
    assert torch.isfinite(head.coder.thresholds).all()


def test_a_head_begins_with_samples_of_all_classes(monkeypatch):
    monkeypatch.setattr("deepwright.weightless.differentiable.layers._QUANTILE_ROWS", 400)
    coder = LearnedThresholds(1, 1)
    coder.start(torch.cat([torch.zeros(400, 1), torch.ones(600, 1)]))  # sorted by class
    assert coder.thresholds.item() == 1.0
    with pytest.raises(InputError, match="no sample"):
        coder.start(torch.zeros(0, 1))


@pytest.mark.parametrize("make", [lambda: DWN(64, 3, (9000,), mapping="random"), lambda: ULEEN(64, 3, (4,), 3000)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_votes_are_whole_counts_in_short_numbers(make, dtype):
    net, bits = make().eval(), bits_of(64, 64)
    short = copy.deepcopy(net).to(dtype)
    with torch.no_grad():
        for own, other in zip(net.parameters(), short.parameters()):
            own.copy_(other)
    assert torch.equal(short.votes(bits), net.votes(bits))
    assert torch.equal(short(bits).argmax(dim=1), net(bits).argmax(dim=1))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DWNClassifier(device="meta"), "device"),
        (lambda: DWNClassifier(device="cuda:99"), "device"),
        (lambda: DWNClassifier().set_params(layers=50), "layers"),
        (lambda: ULEENClassifier().set_params(n_inputs=4), "n_inputs"),
        (lambda: ULEENClassifier(prune=1.5), "prune"),
        (lambda: ULEENClassifier(prune=float("nan")), "prune"),
    ],
)
def test_options_are_refused_before_anything_is_trained(make, said, monkeypatch):
    monkeypatch.setattr("deepwright.weightless.differentiable.estimators.fit", None)
    bits = bits_of(20, 12).numpy()
    with pytest.raises(InputError, match=said):
        make().fit(bits, np.arange(20) % 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rates": 0.1}, "rates"),
        ({"rates": "0.1"}, "rates"),
        ({"rates": ()}, "rates"),
    ],
)
def test_bad_rates_of_flips_are_refused(given, said):
    bits = bits_of(10, 12).numpy()
    with pytest.raises(InputError, match=said):
        inspect.unwrap(bit_flips)(small(), bits, np.arange(10) % 3, **given)


@pytest.mark.parametrize("places", [[50], [-1], [1, 1], [0.5]])
def test_bad_places_of_protected_tables_are_refused(places):
    with pytest.raises(InputError, match="protected"):
        flip_bits(small(), 0.1, protected=np.array(places))


def test_a_small_share_protects_one_table():
    bits = bits_of(10, 12).numpy()
    found = bit_flips(small(), bits, np.arange(10) % 3, protect=0.01, calibration=bits)
    assert found.protected == 1
    assert bit_flips(small(), bits, np.arange(10) % 3, protect=0.1, calibration=bits).protected == 2


def edited(path, member, body):
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in (parts | {member: body}).items():
            new.writestr(name, content)


def npy(header, body=b""):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def saved(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("member", "body"),
    [
        ("mapping.npy", npy("{'descr': '<i4', 'fortran_order': False, 'shape': (20, 4\n")),
        ("mapping.npy", npy(f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({1 << 40}, 4), }}\n", bytes(320))),
        ("mapping.npy", npy(f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({1 << 26}, 4), }}\n", bytes(320))),
        ("header.npy", saved(np.frombuffer(b"[" * 100_000, dtype=np.uint8))),
        ("classes.npy", saved(np.array([1j, 2j, 3j]))),
        ("classes.npy", saved(np.arange(3).astype("datetime64[D]"))),
        ("classes.npy", saved(np.arange(3))[:-1]),
    ],
)
def test_edited_files_are_refused(tmp_path, member, body):
    small().save(tmp_path / "n.npz")
    edited(tmp_path / "n.npz", member, body)
    with pytest.raises(InputError, match="isn't a whole"):
        BinaryWNN.load(tmp_path / "n.npz")


def test_a_mapping_by_columns_comes_back(tmp_path):
    net = small()
    net.mapping = np.asfortranarray(net.mapping)
    net.save(tmp_path / "n.npz")
    assert np.array_equal(BinaryWNN.load(tmp_path / "n.npz").mapping, net.mapping)


@pytest.mark.skipif(compiler() is None, reason="no C compiler here")
def test_a_header_with_an_encoder_is_old_cpp_too(tmp_path):
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coder = Booleanizer("thermometer", bits=4, compact=True).fit(
            rng.normal(size=(50, 4)) * [1, 1e-9, 1e300, 1e-310]
        )
    net = small()
    BinaryWNN(net.tables, net.mapping, 12, net.classes, coder).export_c(tmp_path / "n.h")
    (tmp_path / "m.cpp").write_text(
        '#define N_IMPLEMENTATION\n#define WNN_IMPLEMENTATION\n#include "n.h"\nint main() { return 0; }\n'
    )
    flags = ["-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    done = subprocess.run(
        ["g++", *flags, "-c", "m.cpp", "-o", "m.o"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", [TsetlinWiSARD, TorchTsetlinWiSARD])
@pytest.mark.parametrize("n_states", [16, 1000])
def test_a_stored_learner_learns_on_as_it_would_have(tmp_path, kind, n_states):
    bits, y = bits_of(300, 12).numpy().astype(np.uint8), np.array(list("abc"))[np.arange(300) % 3]
    net = kind(3, 9, n_states, p_update=np.float64(0.5), random_state=4)
    net.partial_fit(bits[:100], y[:100], classes=["a", "b", "c"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coder = Booleanizer("binary").fit(bits)
    net.save(tmp_path / "n.npz", coder)
    back = kind.load(tmp_path / "n.npz")
    assert back.booleanizer_.n_bits_ == 12
    for part in (slice(100, 180), slice(180, 300)):
        net.partial_fit(bits[part], y[part])
        back.partial_fit(bits[part], y[part])
        assert np.array_equal(net.states_, back.states_)
    assert np.array_equal(net.predict(bits), back.predict(bits))
    with pytest.raises(InputError, match="deepwright-"):
        ({TsetlinWiSARD: TorchTsetlinWiSARD, TorchTsetlinWiSARD: TsetlinWiSARD}[kind]).load(tmp_path / "n.npz")


@pytest.mark.parametrize(
    ("member", "array"),
    [
        ("states.npy", np.full((9, 8, 3), 200, dtype=np.uint8)),
        ("states.npy", np.zeros((9, 4, 3), dtype=np.uint8)),
        ("states.npy", np.zeros((9, 8, 2), dtype=np.uint8)),
        ("states.npy", np.zeros((9, 8, 3), dtype=np.uint16)),
        ("mapping.npy", np.full((9, 3), 99, dtype=np.int32)),
        ("mapping.npy", np.zeros((8, 3), dtype=np.int32)),
        ("classes.npy", np.array([2, 1, 0])),
        ("classes.npy", np.array([0.5, 1.5, 2.5])),
        ("header.npy", np.frombuffer(b"{}", dtype=np.uint8)),
    ],
)
def test_edited_files_of_learners_are_refused(tmp_path, member, array):
    bits = bits_of(30, 12).numpy()
    TsetlinWiSARD(3, 9, 16, random_state=0).fit(bits, np.arange(30) % 3).save(tmp_path / "n.npz")
    edited(tmp_path / "n.npz", member, saved(array))
    with pytest.raises(InputError):
        TsetlinWiSARD.load(tmp_path / "n.npz")


def test_options_that_change_after_fit_change_no_prediction():
    bits, y = bits_of(60, 12).numpy(), np.arange(60) % 3
    for net, later in (
        (WiSARD(3, 9, random_state=0), {"tables": "hashed", "n_inputs": 5, "n_luts": 2}),
        (WiSARD(3, 9, random_state=0, tables="hashed"), {"tables": "dense", "n_inputs": 5}),
        (BleachingWiSARD(3, 9, random_state=0), {"tables": "hashed"}),
        (BTHOWeN(3, 9, 16, random_state=0), {"n_inputs": 2, "n_luts": 3}),
        (TsetlinWiSARD(3, 9, random_state=0), {"n_states": 16, "n_luts": 2, "n_inputs": 2}),
    ):
        before = net.fit(bits, y).decision_function(bits)
        net.set_params(**later)
        net._words = None
        assert np.array_equal(net.decision_function(bits), before)


@pytest.mark.parametrize("device", ["meta", "cuda:99", "x"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(InputError, match="device"):
        TorchTsetlinWiSARD(3, 9, device=device).fit(bits_of(9, 12).numpy(), np.arange(9) % 3)
