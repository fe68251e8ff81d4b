"""Somebody's network as a graph of what happens to its input: by `torch.fx`, or by `torch.export` where that fails."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from deepwright.core.errors import InputError

_HINT = (
    "write it without branches on values; for channel_ratios give blocks=[names of the modules whose forward is "
    "x + f(x)], or pairs of names (skip, residual)"
)
_NORMS = (nn.modules.batchnorm._BatchNorm,)


def prepared(model: nn.Module) -> nn.Module:
    """A copy in float64 and eval mode, whose parameters need no gradients.

    Args:
        model: in eval mode.

    Raises:
        InputError: a BatchNorm that looks at its batch or has no variance, weights that aren't finite.
    """
    for name, module in model.named_modules():
        if isinstance(module, _NORMS):
            _check_norm(name, module)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"weights {name}", given="NaN or infinite ones", expected="finite ones")
    try:
        copied = copy.deepcopy(model)
    except RuntimeError as error:  # weights that a hook computes, as torch.nn.utils.weight_norm's
        hint = "use torch.nn.utils.parametrizations in place of hooks that compute weights"
        given = str(error).splitlines()[0][:120]
        raise InputError("network can't be copied", given=given, expected="one that can", hint=hint) from error
    return copied.double().eval().requires_grad_(False)


def _check_norm(name: str, module: Any) -> None:
    if module.training or module.running_var is None:
        raise InputError(
            f"BatchNorm {name}",
            given="statistics of the batch",
            expected="those that it has stored: the map must be a function of one input",
            hint="call model.eval() first",
        )
    if bool((module.running_var <= 0).any()):
        raise InputError(
            f"BatchNorm {name}", given="a running variance of 0", expected="above 0", hint="train it on data that vary"
        )


class Graph:
    """The nodes that a network's input reaches, with shapes and dominators.

    Args:
        module: a traced network with one input.
        example: a batch, in its dtype.
    """

    def __init__(self, module: fx.GraphModule, example: Tensor) -> None:
        self.module = module
        nodes = list(module.graph.nodes)
        places = [n for n in nodes if n.op == "placeholder"]
        if not places:
            raise InputError("network", given="no input", expected="one tensor")
        self.input = places[0]
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}
        self._data: set[fx.Node] = set()
        _Shapes(module, self.shapes, self._data).run(example)
        self.output = _returned(nodes)
        self.parents: dict[fx.Node, list[fx.Node]] = {self.input: []}
        self.dominator: dict[fx.Node, fx.Node] = {}
        self.depth = {self.input: 0}
        for node in nodes:
            self._place(node)
        if self.output not in self.depth:
            raise InputError("network", given="an output that doesn't depend on the input", expected="one that does")

    def _place(self, node: fx.Node) -> None:
        parents = [p for p in node.all_input_nodes if p in self.depth]
        if not parents or node not in self._data:  # sizes and numbers are no data
            return
        self.parents[node] = parents
        common = parents[0]
        for other in parents[1:]:
            common = self._meet(common, other)
        self.dominator[node], self.depth[node] = common, self.depth[common] + 1

    def _meet(self, a: fx.Node, b: fx.Node) -> fx.Node:
        while a is not b:
            if self.depth[a] >= self.depth[b]:
                a = self.dominator[a]
            else:
                b = self.dominator[b]
        return a

    def between(self, source: fx.Node, target: fx.Node) -> list[fx.Node]:
        """The nodes after `source` that `target` depends on, itself the last, in order.

        Args:
            source: which dominates it.
            target: that is reached.
        """
        wanted, stack = set(), [target]
        while stack:
            node = stack.pop()
            if node is source or node in wanted or node not in self.depth:
                continue
            wanted.add(node)
            stack += self.parents[node]
        return [n for n in self.module.graph.nodes if n in wanted]

    def part(self, source: fx.Node, target: fx.Node) -> Callable[[Tensor], Tensor]:
        """What lies between two nodes, as a module of its own that shares the weights.

        Args:
            source: which dominates it.
            target: what comes out.
        """
        graph = fx.Graph()
        made: dict[fx.Node, fx.Node] = {source: graph.placeholder("x")}

        def copied(node: fx.Node) -> fx.Node:
            if node not in made:
                for parent in node.all_input_nodes:
                    copied(parent)
                made[node] = graph.node_copy(node, lambda n: made[n])
            return made[node]

        for node in self.between(source, target):
            copied(node)
        graph.output(made[target])
        return fx.GraphModule(self.module, graph)

    def constant(self, value: Any) -> Any:
        """What an argument is that doesn't depend on the input.

        Args:
            value: of a node's arguments.
        """
        if isinstance(value, fx.Node):
            if value.op == "get_attr":
                found: Any = self.module
                for part in str(value.target).split("."):
                    found = getattr(found, part)
                return found
            return self._call(value, self.constant)
        if isinstance(value, list | tuple):
            return type(value)(self.constant(v) for v in value)
        return value

    def apply(self, node: fx.Node, x: Tensor) -> Tensor:
        """One node with another input.

        Args:
            node: of one input.
            x: in place of what comes in.
        """

        def read(value: Any) -> Any:
            if isinstance(value, fx.Node) and value in self.depth:
                return x
            return self.constant(value)

        found: Tensor = self._call(node, read)
        return found

    def _call(self, node: fx.Node, read: Callable[[Any], Any]) -> Any:
        args = fx.node.map_arg(node.args, read)
        kwargs = fx.node.map_arg(node.kwargs, read)
        if node.op == "call_module":
            return self.module.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    def leaf(self, node: fx.Node) -> nn.Module | None:
        """The module that a node calls.

        Args:
            node: any.
        """
        return self.module.get_submodule(str(node.target)) if node.op == "call_module" else None


def is_hooked(module: nn.Module | None) -> bool:
    """Whether a module has hooks that may change what it takes or gives.

    Args:
        module: or None.
    """
    return module is not None and bool(module._forward_hooks or module._forward_pre_hooks)


class _Shapes(fx.Interpreter):
    """Runs a graph and keeps every tensor's shape without its batch."""

    def __init__(self, module: fx.GraphModule, shapes: dict[fx.Node, tuple[int, ...]], data: set[fx.Node]) -> None:
        super().__init__(module)
        self.found, self.data = shapes, data

    def run_node(self, n: fx.Node) -> Any:
        """As it is, with its shape remembered."""
        out = super().run_node(n)
        if isinstance(out, Tensor):
            self.found[n] = tuple(out.shape[1:])
        if isinstance(out, Tensor) or (isinstance(out, list | tuple) and any(isinstance(o, Tensor) for o in out)):
            self.data.add(n)
        return out


def _returned(nodes: list[fx.Node]) -> fx.Node:
    out = nodes[-1].args[0]
    while isinstance(out, list | tuple) and out:
        out = out[0]
    if isinstance(out, dict):
        out = out.get("logits", next(iter(out.values())))
    if not isinstance(out, fx.Node):
        raise InputError("network", given=f"an output of type {type(out).__name__}", expected="a tensor")
    return out


def traced(model: nn.Module, example: Float[Tensor, "batch ..."]) -> Graph:
    """The graph of a network.

    Args:
        model: as `prepared` gives it.
        example: a batch of inputs; two rows are used.

    Raises:
        InputError: neither `torch.fx` nor `torch.export` can follow its Python.
    """
    x = example[:2].detach().clone()
    failures = []
    for way in (_symbolic, _exported):
        try:
            module = way(model, x.clone())
            _check_values(model, module, x)
            return Graph(module, x.clone())
        except InputError:
            raise
        except Exception as error:
            failures.append(
                f"{way.__name__[1:]}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            )
    raise InputError("network can't be traced", given="; ".join(failures)[:400], expected="a traceable one", hint=_HINT)


def _symbolic(model: nn.Module, x: Tensor) -> fx.GraphModule:
    module = fx.symbolic_trace(model)
    _check_in_place(module)
    return module


def _check_values(model: nn.Module, module: fx.GraphModule, x: Tensor) -> None:
    """A graph doesn't hold the network's own hooks, and keeps a noise as it was drawn."""
    with torch.no_grad():
        mine, theirs = _tensor(module(x.clone())), _tensor(model(x.clone()))
    if mine is None or theirs is None:
        return
    if mine.shape != theirs.shape or not torch.allclose(mine, theirs, rtol=1e-6, atol=1e-8, equal_nan=True):
        raise ValueError("its graph gives other values: it has a hook that changes them, or it draws numbers")


def _tensor(out: Any) -> Tensor | None:
    while isinstance(out, list | tuple) and out:
        out = out[0]
    return out if isinstance(out, Tensor) else None


_VIEWS = ("view", "reshape", "flatten", "squeeze", "unsqueeze", "transpose", "permute", "t", "getitem", "detach")
_IN_PLACE = ("iadd", "isub", "imul", "itruediv")


def _check_in_place(module: fx.GraphModule) -> None:
    """What is changed in place mustn't be read afterwards: a graph knows values, not memory."""
    place = {node: i for i, node in enumerate(module.graph.nodes)}
    for node in module.graph.nodes:
        changed = node.args[0] if node.args and _in_place(module, node) else None
        while isinstance(changed, fx.Node):
            if any(place[user] > place[node] for user in changed.users):
                raise ValueError(f"{node.name} changes in place what is read again")
            changed = changed.args[0] if _called(changed) in _VIEWS and changed.args else None


def _called(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else str(getattr(node.target, "__name__", ""))


def _in_place(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return bool(getattr(module.get_submodule(str(node.target)), "inplace", False))
    name = _called(node)
    if node.op not in ("call_function", "call_method"):
        return False
    return name in _IN_PLACE or (name.endswith("_") and not name.endswith("__")) or bool(node.kwargs.get("inplace"))


def _exported(model: nn.Module, x: Tensor) -> fx.GraphModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = x if len(x) > 1 else torch.cat((x, x))
        batch = ({0: torch.export.Dim.DYNAMIC},)
        program = torch.export.export(model, (x,), dynamic_shapes=batch).run_decompositions({})
        module = program.module()
    if not isinstance(module, fx.GraphModule):
        raise TypeError(type(module).__name__)
    for node in list(module.graph.nodes):  # checks of shapes that return nothing
        if "_guards" in str(node.target) and not node.users:
            module.graph.erase_node(node)
    module.recompile()
    return module
