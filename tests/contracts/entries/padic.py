"""Calls of networks on trees."""

import torch

from deepwright.nets import (
    BoundedTanh,
    DenseOperator,
    HierarchicalOperator,
    PAdicCellularNetwork,
    PAdicNetwork,
    PAdicRBM,
    RadialOperator,
    Tree,
    TreeConvolution,
    TreeEncoder,
    TreeGaussianProcess,
    TreeIndex,
    heat,
    move_parameters,
    network_from_function,
    resolvent,
    vladimirov,
)
from entries import Entry, normal, seeded

DOUBLE = (torch.float64,)
HALF = (torch.float64, torch.bfloat16)
TREE = Tree(3, 3)


def applied(build, channels=1):
    def call(device, dtype=torch.float32):
        torch.manual_seed(0)
        module = build().to(device, dtype)
        x = normal(2, channels, 27, dtype=dtype).to(device).requires_grad_()
        out = module(x)
        out.sum().backward()
        return module, out, x.grad

    return call


def trees(device, dtype=torch.float32):
    t = torch.arange(27, device=device)
    x = normal(2, 27, dtype=dtype).to(device)
    kept = TREE.restrict(x, 1), TREE.lift(x, 4), TREE.wavelets(x), TREE.inverse_wavelets(x)
    places = TREE.to_ring(t), TREE.to_tree(t), TREE.digits(t), TREE.ancestors(t), TREE.common_prefix(t, t.flip(0))
    return kept, places


def spectra(device):
    operator = RadialOperator(TREE, kernel=torch.tensor([0.1, 0.2, 0.5, 2.0])).to(device)
    return operator.spectrum(), operator.inverse(), operator.logdet(), operator.power(2), operator.dense()


def built(device):
    x = normal(1, 27).double().to(device)
    return [make.to(device)(x) for make in (vladimirov(TREE, 1.0), heat(TREE, 1.0, 0.1), resolvent(TREE, 1.0, 1.0))]


def process(device):
    index = TreeIndex.from_paths([("a", "b"), ("a", "c"), ("d",)])
    leaves = torch.tensor([0, 0, 1], device=device)
    given = TreeGaussianProcess(index, [0.0, 1.0, 1.0], noise_variance=0.5)
    return given.fit(leaves, torch.tensor([1.0, 2.0, 0.5], device=device)).predict(torch.arange(3, device=device))


def encoded(device, dtype=torch.float32):
    torch.manual_seed(0)
    encoder = TreeEncoder(TREE, 4).to(device, dtype)
    return encoder, encoder(torch.arange(6, device=device).reshape(2, 3)), encoder.penalty()


def machine(device, dtype=torch.float32):
    torch.manual_seed(0)
    net = PAdicRBM(Tree(3, 2), 0.3).to(device, dtype)
    v = (normal(4, 9) > 0).to(device, dtype)
    drawn = net.gibbs(v, 2, seeded()) if device == "cpu" else v
    loss = net.contrastive_loss(v, v.flip(0))
    return net, net.hidden_field(v), net.visible_field(v), net.free_energy(v), loss, net.matrix(), drawn.shape


def cells(device, dtype=torch.float32):
    kernel = torch.tensor([0.1, 0.1, 0.2, 0.4], dtype=dtype)
    net = PAdicCellularNetwork(TREE, kernel, kernel).to(device)
    u = normal(2, 27, dtype=dtype).to(device)
    return net, net.run(torch.zeros_like(u), u, 1.0, 10)


def approximated(device):
    network, radius = network_from_function(lambda t: t, Tree(2, 5), epsilon=0.05)
    move_parameters(network, radius, seeded())
    return network.to(device)(normal(1, 16).double().to(device)), radius


def masked():
    return PAdicNetwork(TREE, 3, 1, 2, direction="u-net", mask=torch.arange(27) % 2 == 0)


ENTRIES = [
    Entry("Tree", trees, dtypes=DOUBLE),
    Entry("RadialOperator", applied(lambda: RadialOperator(TREE)), dtypes=HALF),
    Entry("RadialOperator, channels", applied(lambda: RadialOperator(TREE, 2, 3), 2), dtypes=HALF),
    Entry("HierarchicalOperator", applied(lambda: HierarchicalOperator(TREE, 2, 3), 2), dtypes=HALF),
    Entry("TreeConvolution", applied(lambda: TreeConvolution(TREE, 2, 3), 2), dtypes=DOUBLE),
    Entry("TreeConvolution, digits", applied(lambda: TreeConvolution(TREE, group="digits")), dtypes=DOUBLE),
    Entry("DenseOperator", applied(lambda: DenseOperator(TREE)), dtypes=HALF),
    Entry("PAdicNetwork", applied(lambda: PAdicNetwork(TREE, 3, 0, 2, direction="coarsen")), dtypes=HALF),
    Entry("PAdicNetwork, masked", applied(masked), dtypes=DOUBLE),
    Entry("BoundedTanh", applied(lambda: BoundedTanh(2.0)), dtypes=HALF),
    Entry("spectrum, inverse, logdet, power, dense", spectra),
    Entry("vladimirov, heat, resolvent", built),
    Entry("TreeGaussianProcess, TreeIndex", process),
    Entry("TreeEncoder", encoded, dtypes=DOUBLE),
    Entry("PAdicRBM", machine, dtypes=DOUBLE),
    Entry("PAdicCellularNetwork", cells, dtypes=DOUBLE),
    Entry("network_from_function, move_parameters", approximated),
]
