"""The table of element-wise operations: as large as torch's own tags, and true."""

import pytest
import torch
from networks import build

from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.coupling.nodes import op_name
from deepwright.compress.coupling.rules.elementwise import ELEMENTWISE
from deepwright.compress.coupling.rules.table import RULES

NOT_IN_FORWARD_PASSES = ("_backward",)
OTHER_RESULTS = {"frexp", "equal"}  # two tensors; a truth value


def overloads(name):
    packet = getattr(torch.ops.aten, name, None)
    return [getattr(packet, o) for o in packet.overloads()] if hasattr(packet, "overloads") else []


def test_all_that_this_torch_tags_is_known():
    known = (n.partition("::") for n in torch._C._dispatch_get_all_op_names())
    names = {name.partition(".")[0] for library, _, name in known if library == "aten"}
    tagged = {op_name(f) for n in names for f in overloads(n) if torch.Tag.pointwise in f.tags}
    assert len(tagged) > 100
    unknown = {n for n in tagged - set(RULES) - OTHER_RESULTS if not n.endswith(NOT_IN_FORWARD_PASSES)}
    assert not unknown


def answer(name, x):
    """The operation on tensors made from x, however many it takes; None where none of its overloads takes these."""
    for operation in overloads(name):
        schema = operation._schema
        if any(a.is_out for a in schema.arguments):
            continue
        required = [a for a in schema.arguments if not a.has_default_value()]
        tensors = [x, x.flip(1).contiguous(), 0.5 * x]
        given = [tensors[i] if "Tensor" in str(a.type) else 1 for i, a in enumerate(required[:3])]
        try:
            out = operation(*given)
        except (RuntimeError, ValueError, TypeError, NotImplementedError):
            continue
        if isinstance(out, torch.Tensor) and out.shape == x.shape:
            return out
    return None


def test_each_works_element_by_element():
    """What rows of the inputs give doesn't depend on the rows beside them, nor on their order."""
    rng = torch.Generator().manual_seed(0)
    order = torch.tensor([3, 0, 4, 1, 2])
    checked = 0
    for name in sorted(ELEMENTWISE):
        for x in (torch.rand(5, 4, generator=rng) + 0.1, torch.randint(1, 6, (5, 4), generator=rng)):
            out = answer(name, x.clone())
            if out is None or name == "rrelu":  # random
                continue
            again = answer(name, x[order].clone())
            assert torch.equal(torch.nan_to_num(out[order]), torch.nan_to_num(again)), name
            checked += 1
            break
    assert checked > 0.9 * len(ELEMENTWISE)


@pytest.mark.parametrize("name", ["mobile-block", "activations", "two-arms"])
def test_nothing_is_unknown(name):
    graph = ShrinkGraph.from_module(*build(name))
    assert graph.unsupported == []


def test_hard_swish_leaves_widths_free():
    graph = ShrinkGraph.from_module(*build("mobile-block"))
    assert {g.name: g.size for g in graph.groups} == {"stem": 12, "expand": 24, "down": 6}
