"""Bad input at the doors: words of the command line, data, weights, networks, labels, gates."""

import io
import json
import threading
import zipfile

import numpy as np
import torch
from PIL import Image
from refusals import Bad, command, over
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import TensorDataset

import deepwright as dw
from deepwright.checks import evaluate, read_config, require_gates
from deepwright.data import (
    Data,
    Decoding,
    Split,
    boxes_ood,
    jitter_digits,
    letters,
    load,
    load_coco,
    load_csv,
    load_npz,
    load_voc,
    load_yolo,
    make_confident_error_data,
    make_redundant_pool,
    make_scenes,
    ood_companions,
    photo_patches,
    read_classes,
    shift_and_flip,
    shuffle_pixels,
    split_three,
    table_data,
)
from deepwright.nets import (
    Normalised,
    ScoresOnly,
    cifar_resnet,
    from_callable,
    from_estimator,
    load_weights,
    mlp,
    read_weights,
    small_ssd,
)
from deepwright.nets import load as load_model
from deepwright.workflows import (
    AuditOptions,
    ExitOptions,
    GuardOptions,
    LabelOptions,
    ShrinkOptions,
    SolveOptions,
    audit,
    build_subject,
    guard,
    solve,
)

NET = nn.Linear(4, 3)
X, Y = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
PIXELS = np.zeros((60, 8, 8), np.uint8)
DIGITS = load("digits")
LABELS = np.arange(60) % 3
LINES_CSV = ["a,b,y"] + [f"{i},{i % 7},{i % 2}" for i in range(30)]


# --- what is given -----------------------------------------------------------------------------------------------------


def _written(path):
    path.write_text("no network")
    return path


def npz(**arrays):
    def give(folder):
        np.savez(folder / "d.npz", **arrays)
        return load(folder / "d.npz")

    return give


def npz_bytes(content):
    def give(folder):
        (folder / "d.npz").write_bytes(content)
        return load_npz(folder / "d.npz")

    return give


def npy_as_npz(folder):
    np.save(folder / "d.npy", PIXELS)
    (folder / "d.npy").rename(folder / "d.npz")
    return load(folder / "d.npz")


def lying_header(shape):
    """A member that says that it holds more than it does."""

    def give(folder):
        member = io.BytesIO()
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": shape})
        member.write(bytes(100))
        with zipfile.ZipFile(folder / "d.npz", "w") as file:
            file.writestr("x.npy", member.getvalue())
            file.writestr("y.npy", member.getvalue())
        return load(folder / "d.npz")

    return give


def csv(lines, target="y", **options):
    def give(folder):
        (folder / "t.csv").write_bytes(lines if isinstance(lines, bytes) else "\n".join(lines).encode())
        return load_csv(folder / "t.csv", target, **options)

    return give


def picture(path, level=0, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 8), level).save(path)


def yolo(text):
    def give(folder):
        picture(folder / "a.png")
        (folder / "a.txt").write_bytes(text)
        return load_yolo(folder, (8, 8), ("cat", "dog"))

    return give


def coco(**changed):
    content = {"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "cat"}], "annotations": []}

    def give(folder):
        picture(folder / "a.png")
        (folder / "c.json").write_text(json.dumps(content | changed))
        return load_coco(folder / "c.json", folder, (8, 8))

    return give


def box(**changed):
    return coco(annotations=[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]} | changed])


def voc(text):
    def give(folder):
        picture(folder / "a.png")
        (folder / "a.xml").write_bytes(text)
        return load_voc(folder, (8, 8))

    return give


def folders(*names, **options):
    def give(folder):
        for name in names:
            for i in range(6):
                picture(folder / "d" / name / f"{i}.png")
        return load(folder / "d", **options)

    return give


def weights(state):
    def give(folder):
        torch.save(state, folder / "w.pt")
        return load_weights(nn.Linear(4, 3), folder / "w.pt")

    return give


def safetensors(state):
    def give(folder):
        save_file(state, folder / "w.safetensors")
        return load_weights(nn.Linear(4, 3), folder / "w.safetensors")

    return give


def state(**changed):
    return {"weight": torch.zeros(3, 4), "bias": torch.zeros(3), **changed}


def bytes_as(name, content, read):
    def give(folder):
        (folder / name).write_bytes(content)
        return read(folder / name)

    return give


class Locked(nn.Linear):
    """A network that can't be sent to another process."""

    def __init__(self):
        super().__init__(4, 3)
        self.lock = threading.Lock()


def audited(test, model=NET, **options):
    return lambda _: dw.audit(model, test, checks=["accuracy"], **options)


def typed(*words):
    """A command line that is refused before anything is written."""

    def give(folder):
        out = [] if words[0] == "list" else ["--out", folder / "o"]
        return command(*words, *out)

    return give


def in_folder(*words, **files):
    """A command line whose words `{name}` are files of the folder."""

    def give(folder):
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / "folder").mkdir()
        return command(*[word.format(d=folder) for word in words], "--out", folder / "o")

    return give


ROWS = [
    # npz
    Bad("an npz without arrays", npz(), ("keys []", "x and y")),
    Bad("an npz without samples", npz(x=PIXELS[:0], y=LABELS[:0]), ("no sample",)),
    Bad("an npz of one row", npz(x=PIXELS[:1], y=LABELS[:1]), ("1 samples", "at least 10")),
    Bad("an npz with a label of 10^12", npz(x=PIXELS, y=np.full(60, 10**12)), ("1000000000000", "below 100,000")),
    Bad("an npz with a negative label", npz(x=PIXELS, y=LABELS - 1), ("-1..1", "labels count from 0")),
    Bad("an npz of 60 images and 50 labels", npz(x=PIXELS, y=LABELS[:50]), ("60 in 'x'", "50 in 'y'")),
    Bad("an npz with fractions as labels", npz(x=PIXELS, y=LABELS + 0.7), ("fractions", "regression")),
    Bad("an npz with NaN as a label", npz(x=PIXELS, y=np.full(60, np.nan)), ("d.npz:y", "nan")),
    Bad("an npz with text as labels", npz(x=PIXELS, y=np.full(60, "a")), ("whole numbers",)),
    Bad("an npz with one-hot labels", npz(x=PIXELS, y=np.eye(3)[LABELS]), ("one label a sample", "argmax")),
    Bad("an npz with one label for all", npz(x=PIXELS, y=np.int64(3)), ("one label a sample",)),
    Bad("an npz with complex images", npz(x=PIXELS.astype(complex), y=LABELS), ("complex128", "uint8 or floats")),
    Bad("an npz with images of no pixel", npz(x=PIXELS[:, :0], y=LABELS), ("(60, 0, 8)",)),
    Bad("an npz with numbers beyond float32", npz(x=np.full((60, 3), 1e39), y=LABELS), ("infinity",)),
    Bad("an npz of pickled objects", npz(x=np.array([{}] * 60), y=LABELS), ("plain arrays",)),
    Bad(
        "an npz whose parts differ in shape",
        npz(x_train=PIXELS, y_train=LABELS, x_test=PIXELS[:, :4], y_test=LABELS),
        ("one shape in all parts",),
    ),
    Bad("an .npy named .npz", npy_as_npz, ("one array", "numpy.savez")),
    Bad("an npz whose header lies", lying_header((1000, 8, 8)), ("cannot read",)),
    Bad("an npz whose header lies by terabytes", lying_header((10**13, 8)), ("cannot read",)),
    Bad("text named .npz", npz_bytes(b"hello"), ("cannot read", "npz")),
    Bad("nothing named .npz", npz_bytes(b""), ("cannot read",)),
    # tables
    Bad("a CSV without rows", csv(["a,y"]), ("no row that is whole",)),
    Bad("an empty CSV", csv([]), ("a CSV file with a header",)),
    Bad("a ragged CSV", csv([*LINES_CSV, "1,2,3,4,5"]), ("line 32",)),
    Bad("a CSV with more fields than names", csv(["a,y", *(f"{i},{i % 2},7" for i in range(30))]), ("more fields",)),
    Bad("a CSV of its target only", csv(["y", *(str(i % 2) for i in range(30))]), ("no column beside",)),
    Bad("a CSV with one 1e39", csv([*LINES_CSV, "1e39,1,1"]), ("'a'", "float32")),
    Bad("a CSV with one 1e30", csv([*LINES_CSV, "1e30,1,1"]), ("'a'", "below 1e18")),
    Bad("a CSV with infinity", csv([*LINES_CSV, "inf,1,1"]), ("'a'", "skip-broken")),
    Bad("a CSV with fractions as target", csv(["a,y", *(f"{i},{i % 3}.5" for i in range(30))]), ("regression",)),
    Bad("a CSV with a target of one value", csv(["a,y", *(f"{i},1" for i in range(30))]), ("1 distinct",)),
    Bad("a CSV of bytes", csv(bytes(range(256)) * 4), ("cannot read",)),
    Bad("a CSV without its target", csv(LINES_CSV, "price"), ("'price'", "a, b, y")),
    Bad("a CSV whose classes aren't listed", csv(LINES_CSV, classes=["1", "2"]), ("'0'", "list of classes")),
    Bad("a folder named .csv", lambda d: ((d / "t.csv").mkdir(), load(d / "t.csv", target="y")), ("cannot read",)),
    Bad(
        "a table with fractions as labels",
        lambda _: table_data("t", X, Y + 0.5, tuple("abc"), tuple("abcd")),
        ("regression",),
    ),
    Bad("a table with a label without name", lambda _: table_data("t", X, Y, ("a", "b"), tuple("abcd")), ("up to 2",)),
    Bad(
        "a table with NaN", lambda _: table_data("t", X / 0 * 0, Y, tuple("abc"), tuple("abcd")), ("no finite number",)
    ),
    Bad("a table of unlike lengths", lambda _: table_data("t", X, Y[:9], tuple("abc"), tuple("abcd")), ("9 labels",)),
    # folders, boxes, classes
    Bad("a folder of one class", folders("a"), ("at least two folders",)),
    Bad("a folder without pictures", lambda d: load(d), ("no class folders",)),
    Bad("a folder that isn't there", lambda d: load(d / "none"), ("does not exist",)),
    Bad("a folder read at a size of 0", folders("a", "b", size=0), ("size", "1 or more")),
    Bad("a limit that is negative", folders("a", "b", limit=-1), ("limit", "-1")),
    Bad("a limit that is no whole number", folders("a", "b", limit=2.5), ("limit", "2.5")),
    Bad("a split that isn't one", folders("a", "b", split="train"), ("unknown split", "test")),
    Bad("a target for a folder", folders("a", "b", target="y"), ("target", "no .csv")),
    Bad("a name of data that is empty", lambda _: load(""), ("data", "''")),
    Bad("a name of data with a zero byte", lambda _: load("a\0b"), ("data",)),
    Bad("classes of which one comes twice", folders("a", "b", classes=["a", "b", "a"]), ("'a' twice",)),
    Bad("a list of classes that is a folder", lambda d: read_classes(d), ("classes", "directory")),
    Bad("YOLO text that is binary", yolo(b"\xff\xfe\x00\x01"), ("a.txt", "class cx cy w h")),
    Bad("a YOLO box without a number", yolo(b"0 0.5 0.5 x 0.1"), ("line 1", "class 0..1")),
    Bad("a YOLO box of NaN", yolo(b"0 nan 0.5 0.1 0.1"), ("a.png",)),
    Bad("a YOLO class without a name", yolo(b"7 0.5 0.5 0.1 0.1"), ("line 1", "class 0..1")),
    Bad("a COCO file with a numeric file name", coco(images=[{"id": 1, "file_name": 7}]), ("file_name is 7",)),
    Bad("a COCO file with a class without text", coco(categories=[{"id": 1, "name": None}]), ("name of a category",)),
    Bad("a COCO file without pictures", coco(images=[]), ("no picture",)),
    Bad("a COCO box of another picture", box(image_id=5), ("annotations",)),
    Bad("a COCO box outside of its picture", box(bbox=[0, 0, 40, 4]), ("a.png",)),
    Bad("a COCO box of three numbers", box(bbox=[0, 0, 4]), ("annotations",)),
    Bad("VOC marks that are no XML", voc(b"\xff\x00"), ("a.xml", "PASCAL-VOC")),
    Bad("scenes of a negative number", lambda _: make_scenes(-1), ("-1",)),
    # weights and networks
    Bad("weights that are a folder", lambda d: read_weights(d), ("a folder",)),
    Bad("weights with whole numbers as keys", weights({0: torch.zeros(3)}), ("the key 0",)),
    Bad("weights that are sparse", weights(state(weight=torch.eye(3, 4).to_sparse())), ("'weight'", "sparse")),
    Bad(
        "weights that are quantised",
        weights(state(bias=torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8))),
        ("weights", "refused"),
    ),
    Bad("weights of int8", safetensors(state(weight=torch.zeros(3, 4, dtype=torch.int8))), ("int8", "float32")),
    Bad("weights of bool", weights(state(bias=torch.zeros(3, dtype=torch.bool))), ("bool", "float32")),
    Bad("weights that are complex", weights(state(bias=torch.zeros(3, dtype=torch.complex64))), ("complex64",)),
    Bad("weights with NaN", safetensors(state(bias=torch.full((3,), torch.nan))), ("nan in 'bias'",)),
    Bad("weights of nothing", weights({}), ("nothing", "state dict")),
    Bad("weights that are a list", weights([torch.zeros(3)]), ("list", "state dict")),
    Bad("weights that are text", bytes_as("w.safetensors", b"hello", read_weights), ("safetensors",)),
    Bad("weights that are empty", bytes_as("w.pt", b"", read_weights), ("w.pt",)),
    Bad("a network of another colon", lambda _: load_model(":net"), ("package.module:name",)),
    Bad("a network of a relative module", lambda _: load_model(".x:net"), ("package.module:name",)),
    Bad("a network that is a system call", lambda _: load_model("os:system"), ("builtin",)),
    Bad("a network that is text", bytes_as("m.pt2", b"hello", lambda p: load_model(str(p))), ("m.pt2",)),
    Bad("a network that is a folder", lambda d: ((d / "m.pt2").mkdir(), load_model(str(d / "m.pt2"))), ("m.pt2",)),
    # audits from Python
    Bad("an audit of a data set without a loader", audited(TensorDataset(X, Y)), ("DataLoader", "TensorDataset")),
    Bad("an audit of single samples", audited([(X[0], Y[0])]), ("single sample", "DataLoader")),
    Bad("an audit of ragged batches", audited([(X, Y), (X[:, :3], Y)]), ("one shape in all batches",)),
    Bad("an audit of a batch with fewer labels", audited([(X, Y[:20])]), ("30 inputs and 20 targets",)),
    Bad("an audit of no batch", audited([]), ("no batch",)),
    Bad("an audit of batches of nothing", audited([(X[:0], Y[:0])]), ("no sample",)),
    Bad("an audit of a number", audited(3), ("int", "batches")),
    Bad("an audit of a tensor", audited(X), ("tensor", "batches")),
    Bad("an audit of a name", audited("digits"), ("str", "batches")),
    Bad("an audit of text as inputs", audited([(["a"] * 3, Y[:3])]), ("tokenizer", "none, for texts")),
    Bad("an audit of labels of -1", audited([(X, Y - 1)]), ("-1..1",)),
    Bad("an audit of labels shifted by one", audited([(X, Y + 1)]), ("y - 1",)),
    Bad("an audit of labels with fractions", audited([(X, Y + 0.7)]), ("regression",)),
    Bad("an audit of text as labels", audited([(X, ["a"] * 30)]), ("numbers",)),
    Bad("an audit of NaN", audited([(X / 0 * 0, Y)]), ("nan",)),
    Bad("an audit with a split beside training data", audited([(X, Y)], train=[(X, Y)], split="test"), ("split",)),
    Bad("an audit with an unknown split", audited([(X, Y)], split="all"), ("unknown split",)),
    Bad("a split of unlike lengths", lambda _: Split(X, Y[:3]), ("30 inputs and 3 labels",)),
    Bad(
        "an audit of a Data with fractions as labels",
        audited(Data("d", "tabular", tuple("abc"), *[Split(X, Y + 0.5)] * 3)),
        ("regression",),
    ),
    # pieces of data and networks
    Bad("batches of 0", lambda _: list(DIGITS.test.batches(0)), ("size", "0")),
    Bad("fewer than no samples", lambda _: DIGITS.test.take(-1), ("-1", "0 or more")),
    Bad("data limited to less than nothing", lambda _: DIGITS.limited(-5), ("-5", "0 or more")),
    Bad("shares above all", lambda _: split_three(X, Y, (0.9, 0.9)), ("shares", "1.8")),
    Bad("a negative share", lambda _: split_three(X, Y, (-0.5, 0.5)), ("train", "-0.5")),
    Bad("a split of unlike inputs and labels", lambda _: split_three(X, Y[:3]), ("30 inputs and 3 labels",)),
    Bad("another mode of pictures", lambda _: Decoding(mode="CMYK"), ("unknown mode", "'CMYK'")),
    Bad("pictures of negative height", lambda _: Decoding((-1, 3)), ("height", "-1")),
    Bad("a size for digits", lambda _: load("digits", size=16), ("size", "keep their own")),
    Bad("data that are a list", lambda _: load([(X, Y)]), ("list", "deepwright.audit")),
    Bad("companions of no number", lambda _: ood_companions(DIGITS, 0), ("n", "1 or more")),
    Bad("letters of no size", lambda _: letters(3, 0), ("size", "0")),
    Bad("patches of a shape of two", lambda _: photo_patches(3, (8, 8)), ("(8, 8)", "channels")),
    Bad("pixels of vectors", lambda _: shuffle_pixels(X, 0), ("(30, 4)",)),
    Bad("boxes of no feature", lambda _: boxes_ood(d=0), ("d", "0")),
    Bad("a pool of outliers only and more", lambda _: make_redundant_pool(50, outliers=2.0), ("outliers", "2.0")),
    Bad("errors of a negative number", lambda _: make_confident_error_data(-3), ("n", "-3")),
    Bad("jitter of NaN", lambda _: jitter_digits(float("nan")), ("degrees", "nan")),
    Bad("shifts beyond the picture", lambda _: shift_and_flip(9)(torch.rand(2, 1, 8, 8), None), ("pad", "8 x 8")),
    Bad("an ONNX file that isn't there", lambda d: load_model(str(d / "n.onnx")), ("onnx file", "a file")),
    Bad("an ONNX file of words", lambda d: load_model(str(_written(d / "n.onnx"))), ("cannot read", "an onnx file")),
    Bad("a pickled estimator", lambda d: load_model(str(d / "e.joblib")), ("a pickle", "skl2onnx")),
    Bad(
        "an estimator that wasn't fitted", lambda _: from_estimator(LogisticRegression()), ("not fitted", ".fit(x, y)")
    ),
    Bad("a function of two inputs", lambda _: from_callable(lambda a, b: a), ("a, b", "one batch")),
    Bad("a function of lists", lambda _: from_callable(np.sum, takes="lists"), ("takes", "'numpy' or 'tensor'")),
    Bad(
        "an estimator of other columns",
        lambda _: dw.audit(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), [(X, Y)]),
        ("columns", "as it was fitted"),
    ),
    Bad("scores that are words", lambda _: ScoresOnly(lambda x: np.array(["a"] * len(x)))(X), ("numbers", "array")),
    Bad(
        "a function that draws",
        lambda _: dw.audit(lambda x: np.random.default_rng().random((len(x), 3)), [(X, Y)]),
        ("two answers", "seed"),
    ),
    Bad("a perceptron of no input", lambda _: mlp(0, 2), ("inputs", "0")),
    Bad("a perceptron with an empty layer", lambda _: mlp(3, 2, (4, 0)), ("hidden[1]", "0")),
    Bad("a ResNet of no class", lambda _: cifar_resnet(8, classes=0), ("classes", "0")),
    Bad("a normalisation by 0", lambda _: Normalised(NET, [0.0], [0.0]), ("std", "above 0")),
    Bad("a normalisation of NaN", lambda _: Normalised(NET, [float("nan")], [1.0]), ("mean", "finite")),
    Bad("a normalisation of other channels", lambda _: Normalised(NET, [0.0] * 3, [1.0] * 3)(X), ("mean", "(30, 4)")),
    Bad("detection in NaN", lambda _: small_ssd().detect(torch.full((1, 1, 48, 64), torch.nan)), ("images", "nan")),
    Bad("detection below every score", lambda _: small_ssd().detect(torch.zeros(1, 1, 48, 64), score=-3.0), ("score",)),
    Bad(
        "an audit that goes on from a file with a foreign byte",
        lambda d: ((d / "j").write_bytes(b"\xff\xfe\x00\n"), audited([(X, Y)], journal=d / "j")(d)),
        ("j",),
    ),
    Bad(
        "an audit that goes on from a folder",
        lambda d: audited([(X, Y)], journal=d)(d),
        ("cannot",),
    ),
    # gates
    Bad("a gate on NaN", lambda _: require_gates(["accuracy<nan"], ["accuracy"]), ("a finite number",)),
    Bad("a gate on a grade Z", lambda _: require_gates(["accuracy.grade>Z"], ["accuracy"]), ("A (best) to E",)),
    Bad("a gate on nothing", lambda _: evaluate([""], []), ("gate",)),
    Bad("a gate file that is a folder", lambda d: read_config(d), ("cannot read",)),
    Bad("an audit on no device", audited([(X, Y)], devices=0), ("devices", "0")),
    Bad("an audit over an unknown backend", audited([(X, Y)], backend="dask"), ("backend", "dask", "ray")),
    Bad("an audit on two devices of a cluster", audited([(X, Y)], devices=2, backend="ray"), ("devices", "cluster")),
    Bad(
        "an audit beside another process of what has a lock",
        audited([(X, Y)], model=Locked(), devices=2),
        ("devices=2", "can't be sent", "in one process"),
    ),
    # options from Python
    Bad("an audit with a negative attack limit", lambda _: AuditOptions(attack_limit=-5), ("attack_limit", "-5")),
    Bad("an audit with a budget of NaN", lambda _: AuditOptions(eps=[float("nan")]), ("eps", "nan")),
    Bad("an audit into nothing", lambda _: audit(AuditOptions(NET, data="digits", out="")), ("out", "''")),
    Bad("an audit into a zero byte", lambda _: audit(AuditOptions(NET, data="digits", out="a\0b")), ("out",)),
    Bad("a solution in less than no time", lambda _: SolveOptions("poisson", max_time=-1), ("max_time", "-1")),
    Bad("a solution into nothing", lambda _: solve(SolveOptions("poisson", out="")), ("out", "''")),
    Bad("exits for no share", lambda _: ExitOptions(shares=()), ("shares", "at least one")),
    Bad("a guard that can't leave", lambda _: GuardOptions(detector="odin"), ("detector", "odin", "bbas")),
    Bad("a guard nobody knows", lambda _: GuardOptions(detector="mps"), ("detector", "mps", "MSP")),
    Bad("a guard that accepts all", lambda _: GuardOptions(tpr=1), ("tpr", "1")),
    Bad("a guard under autocast", lambda _: GuardOptions(precision="bf16-mixed"), ("precision", "bf16-mixed")),
    Bad("a guard into a zero byte", lambda _: guard(GuardOptions(out="a\0b")), ("out",)),
    Bad("shrinking by NaN", lambda _: ShrinkOptions(goal=("macs", float("nan"))), ("goal", "nan")),
    Bad("labelling of nothing", lambda _: LabelOptions("digits", budget=0), ("budget", "0")),
    Bad("exits at one share", lambda _: ExitOptions(shares=0.3), ("shares", "several")),
    Bad("exits at a text", lambda _: ExitOptions(shares="a"), ("shares", "several")),
    Bad("a freeze that is a text", lambda _: ShrinkOptions(freeze="conv"), ("freeze", "several")),
    Bad("a goal without a number", lambda _: ShrinkOptions(goal="macs"), ("goal", "a pair")),
    Bad("checks that are a text", lambda _: AuditOptions(checks="accuracy"), ("checks", "several")),
    Bad("classes that are a number", lambda _: build_subject(AuditOptions("resnet8-mnist", classes=3)), ("classes",)),
    Bad(
        "foreign images for a table",
        lambda d: build_subject(AuditOptions(nn.Linear(30, 2), data="breast-cancer", ood=d)),
        ("ood", "tabular"),
    ),
    # the command
    Bad("--json that is a folder", in_folder("audit", "--json", "{d}/folder"), ("--json", "a folder")),
    Bad("--json under a file", in_folder("audit", "--json", "{d}/f/x.json", f=b""), ("--json", "can't be written")),
    Bad("--json with a zero byte", typed("audit", "--json", "a\0b"), ("--json",)),
    Bad("--json of nothing", typed("list", "data", "--json", ""), ("--json",)),
    Bad("--out that is a file", lambda d: ((d / "f").touch(), command("audit", "--out", d / "f")), ("--out",)),
    Bad("--out with a zero byte", lambda _: command("audit", "--out", "a\0b"), ("--out",)),
    Bad("--size 0", typed("audit", "--size", 0), ("--size", "1 or more")),
    Bad("--eps 4/2/1", typed("audit", "--eps", "4/2/1"), ("--eps", "'4/2/1'")),
    Bad("--eps 1/0", typed("audit", "--eps", "1/0"), ("--eps", "'1/0'")),
    Bad("--eps -1", typed("audit", "--eps", "-1"), ("--eps", "-1")),
    Bad("--eps nan", typed("audit", "--eps", "nan"), ("--eps", "nan")),
    Bad("--eps of nothing", typed("audit", "--eps", ""), ("--eps", "''")),
    Bad("--attack-limit -5", typed("audit", "--attack-limit", -5), ("--attack-limit", "-5")),
    Bad("--max-time -1", typed("solve", "poisson", "--max-time", -1), ("--max-time", "-1")),
    Bad("--target for a named set", typed("audit", "--target", "price"), ("--target", "no .csv")),
    Bad("--split for a training", typed("audit", "--data", "digits", "--split", "train"), ("--split",)),
    Bad("--classes that isn't there", typed("audit", "--classes", "none.txt"), ("none.txt", "no such file")),
    Bad("--compare that isn't there", typed("audit", "--compare", "none.json"), ("none.json", "no such file")),
    Bad("--compare with another form", in_folder("audit", "--compare", "{d}/r", r=b"[]"), ("compare", "report.json")),
    Bad("--compare with bytes", in_folder("audit", "--compare", "{d}/r", r=b"\xff\xfe"), ("compare", "report.json")),
    Bad("--check of a file that isn't there", typed("audit", "--check", "none.py"), ("--check", "none.py")),
    Bad(
        "--check of bytes", in_folder("audit", "--check", "{d}/c.py", **{"c.py": b"\xff\xfe\x00"}), ("--check", "c.py")
    ),
    Bad("a problem of bytes", in_folder("solve", "{d}/p.py", **{"p.py": b"\xff\xfe\x00"}), ("cannot run", "p.py")),
    Bad(
        "a problem that is a folder",
        lambda d: ((d / "p.py").mkdir(), command("solve", d / "p.py", "--out", d / "o")),
        ("p.py",),
    ),
    Bad("seeds that run backwards", typed("study", "sciml-core", "--seeds", "5-3"), ("seeds",)),
]

test_it_is_refused = over(ROWS)
