"""What computes differently has another digest: state in odd places, the user's modules, data sets, wrapped callables."""

from __future__ import annotations

import collections
import dataclasses
import functools
import importlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from deepwright.core.errors import InputError
from deepwright.core.identity import parts
from deepwright.core.identity.origins import text_of_package
from deepwright.core.resume import digest
from deepwright.core.trials import run


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of the user's and import it afresh."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(name, text, fresh=True):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        if not fresh:
            return sys.modules[name]
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    return write


# --- the user's modules ---------------------------------------------------------------------------------------------


def test_a_value_set_in_a_module_at_run_time_counts(module):
    module("dw_config", "ALPHA = 1.0")
    user = module("dw_user", "import dw_config\ndef loss(p, y): return dw_config.ALPHA * p")
    before = digest(user.loss)
    sys.modules["dw_config"].ALPHA = 100.0
    assert digest(user.loss) != before


def test_an_object_in_a_module_counts_where_it_is_read(module):
    module("dw_config", "import types\nargs = types.SimpleNamespace(k=1)\ntable = {'k': 1}")
    user = module("dw_user", "import dw_config\ndef f(): return dw_config.args.k\ndef g(): return dw_config.table['k']")
    before = digest(user.f), digest(user.g)
    sys.modules["dw_config"].args.k = 2
    sys.modules["dw_config"].table["k"] = 2
    assert digest(user.f) != before[0]
    assert digest(user.g) != before[1]


def test_what_a_helper_imports_from_another_module_counts(module):
    def written(k):
        module("dw_settings", f"K = {k}")
        module("dw_helpers", "from dw_settings import K\ndef f(): return K")
        return digest(module("dw_user", "import dw_helpers\ndef loss(p): return dw_helpers.f() * p").loss)

    assert written(1) != written(2)


@pytest.mark.parametrize("loaded", [True, False])
def test_an_import_inside_a_function_counts(module, loaded, monkeypatch):
    def written(k):
        module("dw_settings", f"K = {k}")
        user = module("dw_user", "def loss(p):\n    from dw_settings import K\n    return K * p")
        if not loaded:
            monkeypatch.delitem(sys.modules, "dw_settings")
        return digest(user.loss)

    assert written(1) != written(2)


def test_a_module_that_cannot_be_found_is_left_to_fail_later(module):
    assert digest(module("dw_user", "def loss(p):\n    import dw_nowhere\n    return p").loss)


def test_a_file_of_the_user_s_with_the_name_of_a_library_counts(tmp_path):
    """`profile` is in the standard library too."""
    program = "import profile\nfrom deepwright.core.resume import digest\nprint(digest(profile.f))"
    found = []
    for k in (1, 2):
        (tmp_path / "profile.py").write_text(f"def f(p): return {k} * p\nclass Profile: pass\n")
        command = [sys.executable, "-B", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}"]
        found.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found[0] != found[1]


def test_code_that_was_imported_before_an_edit_is_not_taken_for_the_new_one(module):
    helpers = "def f(): return {}"
    module("dw_helpers", helpers.format(1))
    user = module("dw_user", "import dw_helpers\ndef work(): return dw_helpers.f()")
    module("dw_helpers", helpers.format(2), fresh=False)  # saved, not imported
    stale = digest(user.work)
    module("dw_helpers", helpers.format(2))
    assert digest(module("dw_user", "import dw_helpers\ndef work(): return dw_helpers.f()").work) != stale


# --- callables ------------------------------------------------------------------------------------------------------


class Scaled:
    """A callable that wraps another and adds a factor."""

    def __init__(self, function, factor):
        functools.update_wrapper(self, function)
        self.function, self.factor = function, factor

    def __call__(self, *given):
        return self.factor * self.function(*given)


def loss(p, y):
    return p - y


def test_a_callable_that_wraps_another_is_more_than_it():
    assert digest(Scaled(loss, 1.0)) != digest(Scaled(loss, 100.0))


def test_a_cached_function_is_what_it_caches():
    assert digest(functools.lru_cache(loss)) == digest(functools.lru_cache(maxsize=3)(loss))


def test_attributes_of_a_function_count():
    def made(k):
        def f():
            return f.k

        f.k = k
        return f

    assert digest(made(1)) != digest(made(2))


def test_which_errors_are_caught_counts():
    def narrow():
        try:
            return 1
        except ValueError:
            return 2

    def wide():
        try:
            return 1
        except Exception:
            return 2

    assert digest(narrow) != digest(wide)


def test_a_method_of_a_dataclass_from_the_command_line_counts():
    program = (
        "import dataclasses\nfrom deepwright.core.resume import digest\n"
        "@dataclasses.dataclass\nclass A:\n    x: int = 1\n    def f(self): return {} * self.x\nprint(digest(A()))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program.format(k)], capture_output=True, text=True, check=True).stdout
        for k in (1, 2)
    ]
    assert runs[0] != runs[1]


# --- state in odd places --------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Options:
    x: int = 1
    start: dataclasses.InitVar[int] = 0

    def __post_init__(self, start):
        self.kept = start


class Named(dict):
    pass


class Listed(list):
    pass


class Meta(type):
    @property
    def k(cls):
        return 1


class OtherMeta(type):
    @property
    def k(cls):
        return 2


def slotted(default):
    @dataclasses.dataclass(slots=True)
    class Slotted:
        x: int = default

    return Slotted


def with_attribute(value, k):
    value.k = k
    return value


def hooked(factor):
    weight = nn.Linear(2, 2)
    with torch.no_grad():
        weight.weight.fill_(1.0)
        weight.bias.zero_()
    weight.weight.register_hook(lambda g: factor * g)
    return weight


class Attributed(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k: float = k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.k * x


@pytest.mark.parametrize(
    "pair",
    [
        (Options(start=1), Options(start=2)),
        (with_attribute(Options(), 1), with_attribute(Options(), 2)),
        (slotted(1), slotted(2)),
        (with_attribute(Named(a=1), 1), with_attribute(Named(a=1), 2)),
        (with_attribute(Listed([1]), 1), with_attribute(Listed([1]), 2)),
        (collections.defaultdict(int), collections.defaultdict(list)),
        (np.ma.array([1, 2], mask=[0, 0]), np.ma.array([1, 2], mask=[0, 1])),
        (Meta("A", (), {}), OtherMeta("A", (), {})),
        (hooked(1.0), hooked(2.0)),
        (torch.jit.script(Attributed(1.0)), torch.jit.script(Attributed(2.0))),
    ],
    ids=[
        "init-variable",
        "attribute",
        "slots",
        "dict",
        "list",
        "default-factory",
        "mask",
        "metaclass",
        "hook",
        "script",
    ],
)
def test_state_counts_wherever_it_lies(pair):
    assert digest(pair[0]) != digest(pair[1])


def test_the_weights_of_a_scripted_network_are_no_part_of_its_architecture():
    from deepwright.core.resume import architecture

    one, two = (torch.jit.script(nn.Linear(2, 2)) for _ in range(2))
    assert architecture(one) == architecture(two)


# --- data sets ------------------------------------------------------------------------------------------------------


class ScaledTensors(TensorDataset):
    def __init__(self, k):
        super().__init__(torch.arange(6.0))
        self.k = k

    def __getitem__(self, i):
        return self.k * super().__getitem__(i)[0]


class Fetched(Dataset):
    """A loader takes whole batches of it."""

    def __init__(self, k):
        self.k = k

    def __len__(self):
        return 70

    def __getitem__(self, i):
        return torch.zeros(1)

    def __getitems__(self, rows):
        return [torch.tensor([self.k * i]) for i in rows]


class Declared(Dataset):
    fingerprint = "the inner one"

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return torch.tensor(float(i))


class Passing(Dataset):
    """A wrapper that passes on what it doesn't know."""

    def __init__(self, inner, k):
        self.inner, self.k = inner, k

    def __getattr__(self, name):
        return getattr(self.__dict__["inner"], name)

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, i):
        return self.k * self.inner[i]


@pytest.mark.parametrize(
    "make", [ScaledTensors, Fetched, lambda k: Passing(Declared(), k)], ids=["tensors", "batches", "wrapper"]
)
def test_data_sets_count_as_a_loader_reads_them(make):
    assert digest(make(1)) != digest(make(2))


class Streamed(IterableDataset):
    def __iter__(self):
        yield from range(3)


def test_a_stream_without_a_fingerprint_is_refused():
    with pytest.raises(InputError, match="read only once"):
        digest(Streamed())


def test_a_stream_that_says_what_it_is_is_taken():
    one, two = Streamed(), Streamed()
    one.fingerprint, two.fingerprint = "a", "b"
    assert digest(one) != digest(two)


class Drawing(Dataset):
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return torch.tensor(self.rng.random())


def test_identifying_a_data_set_moves_none_of_its_generators():
    data, twin = Drawing(), Drawing()
    digest(data)
    assert float(data[0]) == float(twin[0])


# --- networks that are no code of the user's ------------------------------------------------------------------------


def exported(model):
    x = torch.rand(4, 3)
    return torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("n", max=64)},)).module()


@pytest.mark.parametrize("make", [exported, torch.fx.symbolic_trace], ids=["exported", "traced"])
def test_programs_count_by_what_they_do(make):
    torch.manual_seed(0)
    inner = nn.Linear(3, 2)
    same = [digest(make(nn.Sequential(inner, nn.ReLU()))) for _ in range(2)]
    assert same[0] == same[1]
    assert digest(make(nn.Sequential(inner, nn.Tanh()))) != same[0]
    assert digest(make(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))) != same[0]


def test_the_order_of_a_dictionary_counts():
    """A network may go through one."""
    steps = {"neg": torch.neg, "abs": torch.abs}
    assert digest(steps) != digest(dict(reversed(steps.items())))


def test_the_order_of_attributes_does_not_count():
    one, two = Listed(), Listed()
    one.a, one.b = 1, 2
    two.b, two.a = 2, 1
    assert digest(one) == digest(two)


def test_an_edited_module_of_the_package_is_other_work(tmp_path, monkeypatch):
    """Also one that the function doesn't name: a trial must not be replayed after a helper's helper changed."""
    (tmp_path / "inner").mkdir()
    for name in ("a.py", "inner/b.py"):
        (tmp_path / name).write_text("x = 1\n")
    before = text_of_package(tmp_path)
    (tmp_path / "inner" / "b.py").write_text("x = 2\n")
    text_of_package.cache_clear()  # a process asks once
    assert text_of_package(tmp_path) != before
    runs = []

    def counted(x):
        return x

    def call():
        found = run(counted, [{"x": 1}], store=tmp_path / "store")
        runs.append(len(list((tmp_path / "store").glob("*.pt"))))
        return found

    call()
    call()
    monkeypatch.setattr(parts, "text_of_package", lambda: "edited")
    call()
    assert runs == [1, 1, 2]
