"""A network as one header of C99: constant tables, no allocation, votes of all classes in bit planes."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.files import write_atomic
from deepwright.weightless.export import c_texts as texts
from deepwright.weightless.export.compilers import compiler, ran_c
from deepwright.weightless.export.encoding import encoder, near_thresholds
from deepwright.weightless.export.plain import ExportMismatch, Plain, golden, identifier

MOST = 1 << 22


def write_c(network: Plain, path: Path | str, name: str, verify: bool, samples: Any) -> Path:
    """Write the header, once what is in it has been held against the network.

    Args:
        network: to write.
        path: of the header.
        name: prefix of all its names.
        verify: compile and run it on 1000 vectors where there is a compiler; read its tables back in any case.
        samples: Boolean features for half of the vectors, or None.

    Raises:
        ExportMismatch: votes, classes, codes or tables differ.
    """
    identifier(name)
    words = class_words(network.tables)
    refuse_large(words.size)
    text = _header(network, words, name)
    if verify:
        _check_tables(text, name, words)
        if compiler() is not None:
            _check_votes(text, name, network, samples)
    return write_atomic(path, lambda stream: stream.write(text.encode("ascii")))


def refuse_large(constants: int) -> None:
    """Raise where source text would be too large for a compiler.

    Args:
        constants: how many numbers it would have.
    """
    if constants > MOST:
        raise InputError("tables", given=f"{constants} constants", expected=f"at most {MOST}", hint="fewer n_inputs")


def class_words(tables: np.ndarray) -> np.ndarray:
    """One bit a class in words of 8, 16 or 32 bits, the first class lowest.

    Args:
        tables: (luts, 2^n, classes) of 0 and 1.

    Returns:
        (luts, 2^n, words).
    """
    luts, size, classes = tables.shape
    width = 8 if classes <= 8 else 16 if classes <= 16 else 32
    count = -(-classes // width)
    padded = np.zeros((luts, size, count * width), dtype=np.uint8)
    padded[:, :, :classes] = tables
    words = np.packbits(padded, axis=2, bitorder="little").view(f"<u{width // 8}")
    return words.astype(f"u{width // 8}")


def numbers(values: np.ndarray, columns: int = 24) -> str:
    """Constants for the inside of braces.

    Args:
        values: whole numbers, of any shape.
        columns: in a line.
    """
    flat = list(map(str, values.ravel().tolist()))
    return ",\n".join(",".join(flat[i : i + columns]) for i in range(0, len(flat), columns))


def read_constants(text: str, array: str) -> np.ndarray:
    """The constants of an array as the text has them.

    Args:
        text: of the header.
        array: its name.
    """
    found = re.findall(rf"\b{array}\[[^\]]*\] = \{{([^}}]*)\}}", text)
    if len(found) != 1:
        raise ExportMismatch(f"{len(found)} arrays named {array} in the header, 1 expected")
    return np.array(found[0].split(","), dtype=np.int64)


def mapping_type(features: int) -> np.dtype[Any]:
    """The smallest type for places of bits.

    Args:
        features: bits of a sample, with room for the padding beyond them.
    """
    return np.dtype(np.uint8 if features <= 240 else np.uint16 if features <= 65_500 else np.uint32)


def c_string(text: str) -> str:
    """A literal of C: what isn't a plain letter, digit, space or one of `._-+` is written as its UTF-8 bytes in octal.

    Args:
        text: of anybody.
    """
    plain = set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-+")
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode("utf-8", "replace")) + '"'


def shared_values(network: Plain, name: str) -> dict[str, str]:
    """What both kinds of header fill in.

    Args:
        network: to write.
        name: prefix of its names.
    """
    kind = mapping_type(network.features + network.inputs)
    declared, defined = encoder(network.coder, name)
    return {
        "n": name,
        "N": name.upper(),
        "features": str(network.features),
        "tables": str(network.luts),
        "inputs": str(network.inputs),
        "size": str(network.size),
        "classes": str(network.classes),
        "index": f"uint{8 * kind.itemsize}_t",
        "mapping": numbers(network.mapping),
        "labels": ",\n".join(map(c_string, network.labels)),
        "padding": f"(i) < {name.upper()}_FEATURES ? (bits)[i] & 1u : 0u" if network.padded else "(bits)[i] & 1u",
        "encode_declared": declared,
        "encode_defined": defined,
        "map_bytes": str(network.mapping.size * kind.itemsize),
    }


def checksum(words: np.ndarray) -> int:
    """CRC-32 of words, low byte first.

    Args:
        words: unsigned integers.
    """
    return zlib.crc32(words.astype(words.dtype.newbyteorder("<")).tobytes())


def _header(network: Plain, words: np.ndarray, name: str) -> str:
    width = 8 * words.dtype.itemsize
    values = shared_values(network, name) | {
        "word": f"uint{width}_t",
        "width": str(width),
        "words": str(words.shape[2]),
        "planes": str(max(3, network.most)),
        "constants": numbers(words),
        "bytes": str(words.nbytes),
        "crc": f"0x{checksum(words):08X}",
    }
    return texts.fill(texts.DECLARED, values) + texts.fill(texts.FIXED, values)


def _check_tables(text: str, name: str, words: np.ndarray) -> None:
    back = read_constants(text, f"{name}_tables").astype(words.dtype)
    if len(back) != words.size or checksum(back) != checksum(words):
        raise ExportMismatch("the tables in the header aren't the network's")


def _check_votes(text: str, name: str, network: Plain, samples: Any) -> None:
    bits = golden(network, samples)
    points = near_thresholds(network.coder) if network.coder is not None else None
    body = texts.fill(texts.RUN_FIXED if points is None else texts.RUN_ENCODED, {"n": name, "N": name.upper()})
    given = [bits] if points is None else [bits, points]
    out = ran_c(text, body, given)
    expected = network.votes(bits)
    compare(out, expected, checksum(class_words(network.tables)))
    if points is not None and network.coder is not None:
        codes = np.frombuffer(out[4 + len(bits) * (2 * network.classes + 4) :], dtype=np.uint8)
        if not np.array_equal(codes, network.coder.transform(points).ravel()):
            raise ExportMismatch("the header's codes of numbers aren't the Booleanizer's")


def compare(out: bytes, votes: np.ndarray, crc: int) -> None:
    """Hold what a compiled header said against the network.

    Args:
        out: the checksum, then for each vector its votes and class.
        votes: (vectors, classes), as they should be.
        crc: the checksum as it should be.
    """
    count, classes = votes.shape
    if len(out) < 4 + count * (2 * classes + 4) or int(np.frombuffer(out[:4], dtype=np.uint32)[0]) != crc:
        raise ExportMismatch("the compiled tables aren't the network's")
    rows = np.frombuffer(out[4 : 4 + count * (2 * classes + 4)], dtype=np.uint8).reshape(count, -1)
    said = np.ascontiguousarray(rows[:, : 2 * classes]).view(np.uint16)
    chosen = np.ascontiguousarray(rows[:, 2 * classes :]).view(np.int32).ravel()
    wrong = (said != votes).any(axis=1) | (chosen != votes.argmax(axis=1))
    if wrong.any():
        first = int(wrong.argmax())
        raise ExportMismatch(f"{wrong.sum()} of {count} vectors differ; vector {first}: {said[first]}, {votes[first]}")
