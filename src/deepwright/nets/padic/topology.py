"""A feed-forward network's topology as leaves of a tree: layer by layer, neuron by neuron.

Source: after W. A. Zuniga-Galindo on the critical organisation of deep networks, arXiv 2601.19070; the digits are ours.
"""

from __future__ import annotations

from torch import nn

from deepwright.core.errors import InputError
from deepwright.nets.padic.codes import TreeIndex


def padic_tree(network: nn.Module) -> TreeIndex:
    """Neurons of the weighted layers as paths (layer, neuron), in the order in which modules were registered.

    Two neurons of a layer share a longer prefix than two of different layers, so that a kernel of the distance couples
    layers as wholes and neurons one by one.

    Args:
        network: of `nn.Linear` and convolutions, and what has no neurons.

    Raises:
        InputError: no such layer.
    """
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    sizes = [m.weight.shape[0] for m in network.modules() if isinstance(m, kinds)]
    if not sizes:
        raise InputError("network", given=type(network).__name__, expected="linear layers or convolutions")
    return TreeIndex.from_paths((layer, neuron) for layer, size in enumerate(sizes) for neuron in range(size))
