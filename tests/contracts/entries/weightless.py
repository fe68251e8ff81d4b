"""Calls of the weightless room: bits may come from any device; NumPy goes out."""

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
    compression,
    flip_bits,
)
from entries import Entry, normal


def samples(device):
    x = normal(60, 6)
    return x.to(device), (x[:, :3].sum(1) > 0).long().to(device)


def encoded(device):
    return Booleanizer("thermometer", bits=4).fit_transform(samples(device)[0])


def fitted(kind, **options):
    def call(device):
        x, y = samples(device)
        bits = (x > 0).long()
        net = kind(3, 8, random_state=0, engine="numpy", **options).fit(bits, y)
        return net.decision_function(bits), net.predict_proba(bits), net.predict(bits)

    return call


def streamed(device):
    x, y = samples(device)
    return TsetlinWiSARD(3, 8, random_state=0, engine="numpy").partial_fit((x > 0).long(), y, [0, 1]).states_


def binary(device):
    x, y = samples(device)
    bits = (x > 0).long()
    net: BinaryWNN = WiSARD(3, 8, random_state=0, engine="numpy").fit(bits, y).to_binary()
    return net.votes(bits), net.explain(bits), net.prune(0.5, bits, y).tables.astype(int)


def damaged(device):
    x, y = samples(device)
    bits = (x > 0).long()
    net: BinaryWNN = WiSARD(3, 8, random_state=0, engine="numpy").fit(bits, y).to_binary()
    curve = bit_flips(net, bits, y, (0.1,), 0.5, 2, calibration=bits)
    return curve.accuracy, flip_bits(net, 0.1).votes(bits), str(compression(net, bits))


def gradient(kind, **options):
    def call(device):
        x, y = samples(device)
        net = kind(random_state=0, epochs=1, **options).fit((x > 0).long(), y)
        return net.decision_function((x > 0).long()), net.predict((x > 0).long())

    return call


def module(kind, *sizes, **options):
    def call(device):
        x, _ = samples(device)
        net = kind(6, 2, *sizes, **options).to(device).eval()
        return net((x > 0).to(x.dtype)).detach()

    return call


def head(device):
    x, _ = samples(device)
    net = WNNHead(6, 2, bits=3, layers=(8,)).to(device).eval()
    net.start(x)
    return net(x).detach(), net.margin(x), net.anomaly(x)


def in_torch(device):
    x, y = samples(device)
    small = WiSARD(3, 8, random_state=0, engine="numpy").fit((x > 0).long(), y).to_binary()
    net = small.to_torch().to(device)
    return net((x > 0).long()), net.predict((x > 0).long())


ENTRIES = [
    Entry("Booleanizer", encoded),
    Entry("TsetlinWiSARD", fitted(TsetlinWiSARD, epochs=2)),
    Entry("TsetlinWiSARD.partial_fit", streamed),
    Entry("WiSARD", fitted(WiSARD)),
    Entry("BleachingWiSARD", fitted(BleachingWiSARD)),
    Entry("BinaryWNN", binary),
    Entry("bit_flips, flip_bits, compression", damaged),
    Entry("WiSARD, hashed", fitted(WiSARD, tables="hashed")),
    Entry("BTHOWeN", fitted(BTHOWeN, n_entries=16)),
    Entry("DWNClassifier", gradient(DWNClassifier, layers=(8,), n_inputs=3)),
    Entry("ULEENClassifier", gradient(ULEENClassifier, n_inputs=(3,))),
    Entry("DWN", module(DWN, (8,), 3)),
    Entry("ULEEN", module(ULEEN, (3, 6), entries=16)),
    Entry("WNNHead", head),
    Entry("TorchWNN", in_torch),
    Entry("TorchTsetlinWiSARD", fitted(TorchTsetlinWiSARD, epochs=1)),
]
