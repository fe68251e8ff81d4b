"""Programs that would run code when torch reads or calls them: refused, and nothing ran."""

import copy
import io
import json
import os
import zipfile

import pytest
import torch
from archives import Sizes, edited, everywhere, members, packed, save, write
from torch import nn

from deepwright import InputError
from deepwright.nets import load_exported

CODE = "__import__('pathlib').Path('ran').touch()"
AS_NAME = f"x,_={CODE}"


class Evil:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    class Full(Sizes):
        """With a weight, a buffer and a constant beside the sizes."""

        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(6, 6)
            self.register_buffer("scale", torch.ones(6))
            self.fixed = torch.arange(6.0)

        def forward(self, x):
            return super().forward(self.inner(x) * self.scale + self.fixed)

    return members(save(tmp_path_factory.mktemp("programs") / "p.pt2", Full()))


def first(name, value):
    """An edit: the first field of that name is another."""

    def edit(data):
        next(everywhere(data, name))[name] = value

    return edit


def at(path, value):
    """An edit: what lies at a path is another."""

    def edit(data):
        *way, last = path
        for step in way:
            data = data[step]
        data[last] = value

    return edit


def renamed(path):
    """An edit: the first key of a dict is code."""

    def edit(data):
        for step in path:
            data = data[step]
        key = next(iter(data))
        data[CODE] = data.pop(key)

    return edit


def nested(context, kind="builtins.dict"):
    """An edit: the output's nesting is another."""
    leaf = {"type": None, "context": None, "children_spec": []}
    text = json.dumps([1, {"type": kind, "context": json.dumps(context), "children_spec": [leaf, leaf]}])
    return at(("graph_module", "module_call_graph", 0, "signature", "out_spec"), text)


GRAPH = ("graph_module", "graph")
SIGNATURE = ("graph_module", "signature", "input_specs")
CALLED = ("graph_module", "module_call_graph", 0, "signature")
ENUM = [{"__enum__": True, "fqn": "evil:Kind", "name": "A"}]
FACTORY = {"default_factory_module": "evil", "default_factory_name": "make", "dict_context": ["a", "b"]}
TEXT = {"as_string": f"' == 0 or {CODE} or '"}
SUM = "Add(" + ", ".join(f"Symbol('s{i}', integer=True)" for i in range(8)) + ")"
POWERS = f"Pow({SUM}, Integer(12)), Add(Pow({SUM}, Integer(6)), Integer(1))"
EDITS = {
    "size, a call": first("expr_str", CODE),
    "size, a call inside": first("expr_str", f"Add(Integer(1), {CODE})"),
    "size, an attribute": first("expr_str", "Integer.__class__.__mro__"),
    "size, a lambda": first("expr_str", f"Max(*[{CODE} for _ in (1,)])"),
    "size, a walrus": first("expr_str", f"Max(1, (a := {CODE}))"),
    "size, an f-string": first("expr_str", "f'{" + CODE.replace("'", '"') + "}'"),
    "size, a symbol's name": first("expr_str", f'Symbol("{CODE}", integer=True)'),
    "size, a symbol's assumption": first("expr_str", f"Symbol('s0', integer={CODE})"),
    "size, a string": first("expr_str", f'Max(Integer("{CODE}"))'),
    "size, an index": first("expr_str", "Max[0]"),
    "size, a power that never ends": first("expr_str", "9**9**9**9"),
    "size, a power in words": first("expr_str", "Pow(Integer(9), Pow(Integer(9), Integer(99)))"),
    "size, powers of powers": first("expr_str", "(((9**16)**16)**16)**16"),
    "size, a remainder of powers": first("expr_str", f"Mod({POWERS})"),
    "size, a remainder of a product": first("expr_str", f"Mod(Mul({', '.join([SUM] * 12)}), {SUM})"),
    "size, a quotient of powers": first("expr_str", f"FloorDiv({POWERS})"),
    "size, a maximum of powers": first("expr_str", f"Max({POWERS})"),
    "size, a shift": first("expr_str", "LShift(Integer(1), Integer(99999999999))"),
    "size, a function that sympy has": first("expr_str", "sympify('1')"),
    "size, without end": first("expr_str", "(" * 500 + "1" + ")" * 500),
    "size, too long": first("expr_str", "+".join(["s0"] * 20_000)),
    "size, no text": first("expr_str", 3),
    "hint, a text": first("hint", {"as_int": CODE}),
    "range, its symbol": renamed(("range_constraints",)),
    "range, its end": lambda data: next(iter(data["range_constraints"].values())).update(max_val=CODE),
    "guard": at(("guards_code",), [CODE]),
    "guard, behind a comparison": at(("guards_code",), [f"L['x'].size()[0] == {CODE}"]),
    "guard, a method": at(("guards_code",), ["L['x'].save('ran').size()"]),
    "guard, an attribute": at(("guards_code",), ["L['x'].__class__.__init__.__globals__"]),
    "guard, a key": at(("guards_code",), [f'L["]{CODE}"].size()[0] > 1']),
    "guard, a function of torch": at(("guards_code",), ["torch.load('ran')"]),
    "guard, a power": at(("guards_code",), ["9**9**9**9 > L['x'].size()[0]"]),
    "operation of the system": first("target", "torch.os.system"),
    "operation that loads a library": first("target", "torch.ops.load_library"),
    "operation that reads a file": first("target", "torch.ops.aten.from_file.default"),
    "operation that writes a file": first("target", "torch.ops.aten.save.default"),
    "operation, by dunder": first("target", "torch.ops.aten.__class__.default"),
    "operation that trusts indices, sparse": first("target", "torch.ops.aten._sparse_coo_tensor_unsafe.default"),
    "operation that trusts indices, rows": first("target", "torch.ops.aten._sparse_csr_tensor_unsafe.default"),
    "operation that trusts indices, public": first("target", "torch.ops.aten.segment_reduce.default"),
    "operation that trusts labels": first("target", "torch.ops.aten.ctc_loss.IntList"),
    "operation that trusts indices, a gradient": first(
        "target", "torch.ops.aten.max_pool2d_with_indices_backward.default"
    ),
    "operation that trusts strides": first("target", "torch.ops.aten._reshape_alias.default"),
    "operation of foreign memory": first("target", "torch.ops.aten.set_.source_Storage"),
    "operation of memory as it was": first("target", "torch.ops.aten.resize.default"),
    "operation of operator": first("target", "_operator.methodcaller"),
    "operation of a module behind operator": first("target", "_operator.add.__self__"),
    "operation over a delegate": first("target", "torch.ops.higher_order.executorch_call_delegate"),
    "operation of an extension": first("target", "#evil:op"),
    "operation of another library": first("target", "torch.ops.inductor.resize_storage_bytes_.default"),
    "operation given to an operation": first("arg", {"as_operator": "torch.os.system"}),
    "control flow given to an operation": first("arg", {"as_operator": "torch.ops.higher_order.cond"}),
    "object given to an operation": first("arg", {"as_custom_obj": {"name": "a", "class_fqn": "b"}}),
    "text given to an operation": first("arg", TEXT),
    "argument's name": lambda data: next(everywhere(data, "kind")).update(name=AS_NAME),
    "node's name": lambda data: data["graph_module"]["graph"]["nodes"][0].update(name=AS_NAME),
    "tensor's name": first("as_tensor", {"name": AS_NAME}),
    "tensor's key": renamed((*GRAPH, "tensor_values")),
    "size's key": renamed((*GRAPH, "sym_int_values")),
    "branch's name": lambda data: next(everywhere(data, "as_graph"))["as_graph"].update(name=AS_NAME),
    "object among values": at((*GRAPH, "custom_obj_values"), {"a": {"name": "a", "class_fqn": "b"}}),
    "input that is a text": at((*GRAPH, "inputs"), [TEXT]),
    "weight's name": lambda data: next(everywhere(data, "parameter_name")).update(parameter_name=f'a"){CODE}("'),
    "buffer's name": lambda data: next(everywhere(data, "buffer_name")).update(buffer_name=AS_NAME),
    "constant's name": lambda data: next(everywhere(data, "tensor_constant_name")).update(tensor_constant_name=AS_NAME),
    "constant's name, of a class": lambda data: next(everywhere(data, "tensor_constant_name")).update(
        tensor_constant_name="__class__.forward"
    ),
    "object among inputs": at(
        (*SIGNATURE, 0), {"custom_obj": {"arg": {"name": "a", "class_fqn": "b"}, "custom_obj_name": "c"}}
    ),
    "constant among inputs": at((*SIGNATURE, 0), {"constant_input": {"name": "a", "value": TEXT}}),
    "forward's arguments": at((*CALLED, "forward_arg_names"), [f"x={CODE}"]),
    "nesting, a class to import": nested(ENUM),
    "nesting, a factory to import": nested(FACTORY, "collections.defaultdict"),
    "nesting, a class by name": nested("evil.Class", "collections.namedtuple"),
    "nesting, keys": nested([f"'{CODE}", "b"]),
    "nesting of inputs, keys": at(
        (*CALLED, "in_spec"),
        json.dumps([1, {"type": "builtins.dict", "context": json.dumps([f"x={CODE}"]), "children_spec": []}]),
    ),
    "nesting, no JSON": at((*CALLED, "out_spec"), CODE),
    "verifier": at(("verifiers",), ["evil"]),
    "device": first("device", {"type": CODE}),
    "field of a kind that doesn't exist": first("arg", {"as_code": CODE}),
    "number that is a text": first("as_int", CODE),
    "kind that doesn't exist": first("dtype", 99),
    "text that is a number": first("target", 3),
    "list that is a text": at((*GRAPH, "nodes"), CODE),
    "module's name": at(("graph_module", "module_call_graph", 0, "fqn"), CODE),
}


def refused(path, monkeypatch):
    """The refusal of a file; anything that ran would have left a trace."""
    monkeypatch.chdir(path.parent)
    (path.parent / "evil.py").write_text("import os; os.mkdir('ran')")
    monkeypatch.syspath_prepend(path.parent)
    with pytest.raises(InputError, match="cannot load") as found:
        load_exported(path)
    assert not (path.parent / "ran").exists()
    return str(found.value)


@pytest.mark.parametrize("name", EDITS)
def test_a_field_with_code_is_refused(name, files, tmp_path, monkeypatch):
    path = write(tmp_path / "p.pt2", edited(files, EDITS[name]))
    assert "model.json" in refused(path, monkeypatch)


def compressed(archive):
    """A zip's files in one that squeezes them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return stream.getvalue()


FILES = {
    "samples, pickled": ("data/sample_inputs/model.pt", packed(((Evil(),), {}))),
    "samples, keys": ("data/sample_inputs/model.pt", packed((({f"'{CODE}": torch.ones(1)},), {}))),
    "weights of an older kind": ("data/weights/model.pt", packed({"a": Evil()})),
    "no JSON": ("models/model.json", b"{"),
    "JSON without end": ("models/model.json", b"[" * 100_000),
    "short weights": ("data/weights/weight_0", b"0"),
    "no weights": ("data/weights/weight_0", b""),
    "samples in a bomb": ("data/sample_inputs/model.pt", compressed(packed(((torch.zeros(10**6),), {})))),
}


@pytest.mark.parametrize("name", FILES)
def test_a_member_with_code_is_refused_or_left_out(name, files, tmp_path, monkeypatch):
    member, content = FILES[name]
    path = write(tmp_path / "p.pt2", {**files, member: content})
    if name == "weights of an older kind":  # torch would prefer them
        monkeypatch.chdir(tmp_path)
        assert isinstance(load_exported(path), nn.Module)
        assert not (tmp_path / "ran").exists()
    else:
        assert refused(path, monkeypatch)


PAYLOADS = {
    "pickled": {"use_pickle": True},
    "elsewhere": {"path_name": "../../../etc/passwd"},
    "an object": {"path_name": "custom_obj_0"},
    "a pickled object": {"path_name": "opaque_obj_0"},
    "without a shape": {"tensor_meta": None},
}


@pytest.mark.parametrize("folder", ["weights", "constants"])
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_with_code_is_refused(folder, name, files, tmp_path, monkeypatch):
    def edit(data):
        next(iter(data["config"].values())).update(PAYLOADS[name])

    changed = edited(files, edit, f"data/{folder}/model_{folder}_config.json")
    evil = {f"data/{folder}/{kind}_0": packed(Evil()) for kind in ("custom_obj", "opaque_obj")}
    refused(write(tmp_path / "p.pt2", {**changed, **evil}), monkeypatch)


def test_the_archives_form_is_checked(files, tmp_path, monkeypatch):
    bombs = write(tmp_path / "a.pt2", {**files, "data/x": bytes(10**6)}, compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(bombs, monkeypatch)
    with zipfile.ZipFile(write(tmp_path / "d.pt2", files), "a") as target:  # one place, twenty names
        first = max(target.infolist(), key=lambda member: member.file_size)
        for i in range(20):
            again = copy.copy(first)
            again.filename = again.orig_filename = f"program/data/weights/weight_{100 + i}"
            target.filelist.append(again)
        target._didModify = True
    assert "over each other" in refused(tmp_path / "d.pt2", monkeypatch)
    (tmp_path / "b.pt2").write_bytes(b"PK")
    assert "not a zip" in refused(tmp_path / "b.pt2", monkeypatch)
    with zipfile.ZipFile(tmp_path / "c.pt2", "w") as target:
        target.writestr("version", b"8.0")
        target.writestr("serialized_state_dict.pt", packed(Evil()))
    refused(tmp_path / "c.pt2", monkeypatch)


def test_a_flipped_bit_is_noticed(files, tmp_path, monkeypatch):
    """The archive's checksums say so for each member that is read."""
    path = write(tmp_path / "p.pt2", files)
    whole = path.read_bytes()
    place = whole.index(files["data/weights/weight_0"])
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert "CRC" in refused(path, monkeypatch)


def test_what_a_failed_check_says_keeps_no_quotes(tmp_path):
    class Checked(nn.Module):
        def forward(self, x):
            torch._assert_async((x >= 0).all(), 'it\'s "negative"\\')
            return x * 2

    path = save(tmp_path / "p.pt2", Checked())
    files = members(path)

    def edit(data):
        for each in everywhere(data, "as_string"):
            each["as_string"] = f"'\"{CODE}"

    network = load_exported(write(tmp_path / "q.pt2", edited(files, edit)))
    assert "Path('" not in network.graph.code
    assert torch.equal(network.graph(torch.ones(4, 6)), torch.full((4, 6), 2.0))
