"""Bad input to what is read when it is needed: Parquet, Arrow folders, pictures and arrays in their files, loaders."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from refusals import Bad, command, over
from torch import nn

import deepwright as dw
from deepwright.data import load

LONG = 40
X, Y = torch.zeros(60, 4), torch.arange(60) % 2


# --- what is given -----------------------------------------------------------------------------------------------------


def frame(**columns):
    return {"u": [float(i) for i in range(LONG)], "y": [i % 2 for i in range(LONG)], **columns}


def parquet(columns, target="y", change=None, **options):
    def give(folder):
        path = folder / "t.parquet"
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, path)
        if change is not None:
            path.write_bytes(change(path.read_bytes()))
        return load(path, target=target, **options)

    return give


def text_as_parquet(folder):
    (folder / "t.parquet").write_text("u,y\n1,0\n")
    return load(folder / "t.parquet", target="y")


def arrow(features, columns, change=None, schema=None, **options):
    """A folder as `save_to_disk` writes it, with what is wrong in it."""

    def give(folder):
        own = folder / "own"
        own.mkdir()
        table = pa.table(columns, schema=schema)
        with pa.OSFile(str(own / "data.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
        (own / "dataset_info.json").write_text(json.dumps({"features": features}))
        (own / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
        if change is not None:
            change(own)
        return load(own, **options)

    return give


PICTURE = {"_type": "Image"}
KINDS = {"_type": "ClassLabel", "names": ["cat", "dog"]}
STORED = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(side=4):
    import io

    stream = io.BytesIO()
    Image.new("RGB", (side, side)).save(stream, "png")
    return stream.getvalue()


def pictures(contents, labels=None, **options):
    rows = [{"bytes": content, "path": "/etc/passwd"} for content in contents]
    columns = {"image": pa.array(rows, STORED), "label": pa.array(labels or [i % 2 for i in range(len(rows))])}
    return arrow({"image": PICTURE, "label": KINDS}, columns, **options)


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def state(**entries):
    return lambda own: (own / "state.json").write_text(json.dumps(entries))


def folder_with(broken, **options):
    """A class folder of sound pictures and one that is broken in the middle of them."""

    def give(folder):
        for name in "ab":
            (folder / "d" / name).mkdir(parents=True)
            for i in range(9):
                (folder / "d" / name / f"{i}.png").write_bytes(png())
        (folder / "d" / "b" / "5.png").write_bytes(broken)
        return load(folder / "d", stream=True, **options)

    return give


def array_file(change=None, dtype=np.float32, shape=(60, 4), compressed=False, fill=0.0):
    def give(folder):
        save = np.savez_compressed if compressed else np.savez
        save(folder / "d.npz", x=np.full(shape, fill, dtype), y=np.arange(shape[0]) % 2)
        if change is not None:
            path = folder / "d.npz"
            path.write_bytes(change(path.read_bytes()))
        return load(folder / "d.npz", stream=True)

    return give


def short_npy(folder):
    (folder / "d").mkdir()
    np.save(folder / "d" / "x.npy", np.zeros((60, 40)))
    np.save(folder / "d" / "y.npy", np.arange(60) % 2)
    cut_in_half(folder / "d" / "x.npy")
    return load(folder / "d", stream=True)


def audited(batches, **options):
    return lambda folder: dw.audit(nn.Linear(4, 2), batches, **options)


def on_the_command_line(folder):
    pd.DataFrame(frame(u=[np.nan] + [1.0] * (LONG - 1))).to_parquet(folder / "t.parquet")
    return command("audit", "--data", folder / "t.parquet", "--target", "y", "--out", folder / "out")


def splits(own):
    shutil.copytree(own, own / "extra")
    (own / "dataset_dict.json").write_text(json.dumps({"splits": ["extra"]}))


ROWS = [
    # Parquet
    Bad("text named .parquet", text_as_parquet, ("cannot read", "a Parquet file")),
    Bad("a Parquet file cut in half", parquet(frame(), change=lambda b: b[: len(b) // 2]), ("cannot read", "parquet")),
    Bad(
        "a Parquet file with damaged pages",
        parquet(frame(), change=lambda b: b[:4] + b"\xff" * 60 + b[64:]),
        ("cannot",),
    ),
    Bad("a Parquet table without its target", parquet(frame(), target="z"), ("'z'", "one of u, y", "--target")),
    Bad("a Parquet table without a target", parquet(frame(), target=None), ("needs a target column", "--target")),
    Bad("a Parquet table of a target alone", parquet({"y": [0, 1] * 20}), ("no column beside the target",)),
    Bad("a Parquet table without rows", parquet(pa.table(frame()).slice(0, 0)), ("t.parquet",)),
    Bad(
        "a null in a Parquet table",
        parquet(frame(u=[None] + [1.0] * 39)),
        ("1 rows", "'u' at rows [1]", "--skip-broken"),
    ),
    Bad("NaN in a Parquet table", parquet(frame(u=[1.0] * 39 + [np.nan])), ("'u' at rows [40]",)),
    Bad("infinity in a Parquet table", parquet(frame(u=[1.0] * 39 + [np.inf])), ("'u' at rows [40]",)),
    Bad("a Parquet table beyond float32", parquet(frame(u=[1e39] * LONG)), ("float32", "scale the column")),
    Bad(
        "a Parquet table of broken rows only",
        parquet(frame(u=[np.nan] * LONG), skip_broken=True),
        ("no row that is whole",),
    ),
    Bad("lists in a Parquet table", parquet(frame(l=[[1.0]] * LONG)), ("'l'", "list", "leave it out")),
    Bad("dates in a Parquet table", parquet(frame(t=pd.date_range("2026", periods=LONG))), ("'t'", "timestamp")),
    Bad(
        "names in a Parquet table", parquet(frame(n=[f"n{i}" for i in range(LONG)]), target="n"), ("fewer than 3 rows",)
    ),
    Bad("a fraction as a class in Parquet", parquet(frame(y=[0.5, 1.0] * 20)), ("fractions", "0.5", "regression")),
    Bad(
        "a Parquet column twice",
        parquet(pa.table([[1.0] * 40, [2.0] * 40, [0, 1] * 20], names=["u", "u", "y"])),
        ("'u' twice",),
    ),
    Bad("pixels' size for a Parquet table", parquet(frame(), size=8), ("size", "t.parquet", "none")),
    Bad("NaN in Parquet on the command line", on_the_command_line, ("'u' at rows [1]", "--skip-broken")),
    # Hugging Face's folders
    Bad(
        "an Arrow file cut in half",
        pictures([png()] * 20, change=lambda own: cut_in_half(own / "data.arrow")),
        ("cannot read", "data.arrow"),
    ),
    Bad(
        "an Arrow file of other columns",
        arrow({"image": PICTURE, "label": KINDS}, {"u": [1.0] * 20, "label": [0, 1] * 10}),
        ("data.arrow", "no column 'image'"),
    ),
    Bad(
        "pictures that are numbers",
        arrow({"image": PICTURE, "label": KINDS}, {"image": [1.0] * 20, "label": [0, 1] * 10}),
        ("pictures as double", "bytes"),
    ),
    Bad(
        "an Arrow file that is missing",
        pictures([png()] * 20, change=lambda own: (own / "data.arrow").unlink()),
        ("cannot read", "data.arrow"),
    ),
    Bad(
        "a state that is no JSON",
        pictures([png()] * 20, change=lambda own: (own / "state.json").write_text("{")),
        ("state.json", "save_to_disk"),
    ),
    Bad(
        "files outside of the folder",
        pictures([png()] * 20, change=state(_data_files=[{"filename": "../x.arrow"}])),
        ("save_to_disk",),
    ),
    Bad(
        "rows in another order",
        pictures(
            [png()] * 20,
            change=state(_data_files=[{"filename": "data.arrow"}], _indices_data_files=[{"filename": "i.arrow"}]),
        ),
        ("another order", "flatten_indices"),
    ),
    Bad(
        "an Arrow picture that is broken",
        pictures([png()] * 12 + [b"no picture"] + [png()] * 9),
        ("train row 12", "--skip-broken"),
    ),
    Bad(
        "an Arrow picture that is only a path",
        pictures([png()] * 12 + [None] + [png()] * 9),
        ("train row 12", "no picture in the Arrow file"),
    ),
    Bad("Arrow pictures without labels", pictures([png()] * 20, labels=[-1] * 20), ("below 0", "without one")),
    Bad("an Arrow label without a name", pictures([png()] * 20, labels=[0, 2] * 10), ("label 2", "below 2")),
    Bad(
        "Arrow pictures and no class labels",
        arrow({"image": PICTURE}, {"image": pa.array([{"bytes": png(), "path": ""}] * 20, STORED)}),
        ("needs a target column", "image", "--target"),
    ),
    Bad(
        "a target that an Arrow folder lacks", pictures([png()] * 20, target="kind"), ("'kind'", "one of image, label")
    ),
    Bad(
        "classes that an Arrow folder's aren't among",
        pictures([png()] * 20, classes=("dog", "fox")),
        ("'cat'", "dog, fox"),
    ),
    Bad(
        "splits that nobody knows", pictures([png()] * 20, change=splits), ("splits extra", "train, validation or test")
    ),
    # pictures and arrays in their files
    Bad("a streamed picture that is broken", folder_with(png()[:40]), ("b/5.png", "--skip-broken")),
    Bad("a streamed picture of another size", folder_with(png(5)), ("4x4x3, 5x5x3", "--size")),
    Bad("a streamed npz with NaN", array_file(fill=np.nan), ("d.npz:x", "infinity")),
    Bad("a streamed npz of images beyond [0, 1]", array_file(shape=(60, 4, 4), fill=2.0), ("2..2", "[0, 1]")),
    Bad("a streamed npz of whole numbers", array_file(dtype=np.int64), ("int64", "uint8 or floats")),
    Bad(
        "a streamed npz with a flipped byte",
        array_file(change=lambda b: b[:300] + b"\1" + b[301:]),
        ("cannot read", "CRC"),
    ),
    Bad("a streamed npz cut in half", array_file(change=lambda b: b[: len(b) // 2], compressed=True), ("cannot read",)),
    Bad("a streamed npy that is too short", short_npy, ("d:x", "write the file again")),
    # loaders of dicts
    Bad("dicts with two kinds of inputs", audited([{"image": X, "x": X, "label": Y}]), ("'image' or 'x'", "keys=(")),
    Bad("dicts with unknown keys", audited([{"scan": X, "grade": Y}]), ("'scan', 'grade'", "keys=(")),
    Bad(
        "dicts of token ids for a network of numbers",
        audited([{"input_ids": X.long(), "label": Y}], keys=("input_ids", "label")),
        ("failed on its input", "int64"),
    ),
    Bad(
        "a key that no dict has",
        audited([{"image": X, "label": Y}], keys=("image", "y")),
        ("no 'y'", "'image', 'label'"),
    ),
    Bad("one key", audited([{"image": X, "label": Y}], keys="image"), ("keys", '("image", "label")')),
    Bad("three keys", audited([{"image": X, "label": Y}], keys=("a", "b", "c")), ("keys", "two names")),
    Bad("keys for pairs", audited([(X, Y)], keys=("image", "label")), ("keys are for dicts",)),
    Bad("a dict of single samples", audited([{"image": X[0, 0], "label": 1}]), ("a single sample", "DataLoader")),
]

test_it_is_refused = over(ROWS)
