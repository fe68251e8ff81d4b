"""A smaller network with the same outputs: hidden units that say nothing are taken out."""

from __future__ import annotations

import copy
import itertools
from typing import TypeVar

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.interpret.deepin.representation import RepresentationLayer, RepresentationNet

_ELEMENTWISE = (
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity),
    *(nn.Dropout, nn.Mish, nn.Hardswish, nn.ReLU6, nn.SELU, nn.CELU, nn.Softsign),
)
Linear = nn.Linear | RepresentationLayer
Network = TypeVar("Network", bound=nn.Module)


def prune_mlp(module: Network) -> Network:
    """The same outputs from fewer hidden units.

    A unit whose outgoing weights are zero is dropped; one whose incoming weights are zero is a constant, which goes
    into the next bias. Zeros must be exact: what is only small is kept. The inputs stay as they are, so that the new
    network can stand in the old one's place.

    Args:
        module: an `nn.Sequential` of linear layers and activations that work number by number, or a
            `RepresentationNet`.

    Returns:
        A new network; the old one is left as found.

    Raises:
        InputError: a network of another form.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> with torch.no_grad():
        ...     _ = net[2].weight[0, 1:].zero_()
        >>> prune_mlp(net)[0].out_features
        1
    """
    made = copy.deepcopy(module)
    layers = _layers(made)
    linears = [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]
    if len(linears) < 1:
        raise InputError("module", given="no linear layer", expected="a network of linear layers and activations")
    with torch.no_grad():
        changed = True
        while changed:  # a unit that goes may have been all that another one had
            pairs = itertools.pairwise(linears)
            changed = any([_prune(layers[a], layers[a + 1 : b], layers[b]) for a, b in pairs])
    return made


def _layers(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, RepresentationNet):
        return [module.representation, *module.head]
    if not isinstance(module, nn.Sequential):
        raise InputError("module", given=type(module).__name__, expected="an nn.Sequential, or a RepresentationNet")
    layers: list[nn.Module] = []
    for layer in module:
        layers += _layers(layer) if isinstance(layer, (nn.Sequential, RepresentationNet)) else [layer]
    for layer in layers:
        if not isinstance(layer, (nn.Linear, RepresentationLayer, *_ELEMENTWISE)):
            given = type(layer).__name__
            raise InputError("module", given=given, expected="linear layers and activations that work number by number")
    return layers


def _matrix(layer: nn.Module) -> Tensor:
    """(in, out)."""
    assert isinstance(layer, Linear)
    return layer.weight.detach() if isinstance(layer, RepresentationLayer) else layer.weight.detach().T


def _set(layer: nn.Module, matrix: Tensor, bias: Tensor | None) -> None:
    if isinstance(layer, RepresentationLayer):
        layer.weight = nn.Parameter(matrix.clone(), layer.weight.requires_grad)
        return
    assert isinstance(layer, nn.Linear)
    layer.weight = nn.Parameter(matrix.T.contiguous(), layer.weight.requires_grad)
    layer.in_features, layer.out_features = matrix.shape
    if bias is not None:
        layer.bias = nn.Parameter(bias.clone())


def _bias(layer: nn.Module) -> Tensor | None:
    bias = getattr(layer, "bias", None)
    return None if bias is None else bias.detach()


def _prune(before: nn.Module, between: list[nn.Module], after: nn.Module) -> bool:
    """Whether a unit between two linear layers went."""
    w, v, bias, next_bias = _matrix(before), _matrix(after), _bias(before), _bias(after)
    read, fed = (v != 0).any(1), (w != 0).any(0)
    constant = w.new_zeros(w.shape[1]) if bias is None else bias.clone()
    for layer in between:
        constant = constant if isinstance(layer, nn.Dropout) else copy.deepcopy(layer).eval()(constant)
    steady = read & ~fed
    if next_bias is None and bool((constant[steady] != 0).any()):
        steady = torch.zeros_like(steady)  # nowhere to put the constant
    kept = read & ~steady
    if bool(kept.all()):
        return False
    if next_bias is not None:
        next_bias = next_bias + (constant * steady) @ v
    _set(before, w[:, kept], None if bias is None else bias[kept])
    _set(after, v[kept], next_bias)
    return True
