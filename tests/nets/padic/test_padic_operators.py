"""Operators: equal to their dense matrices, spectra in closed form, groups, gradients."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.nets.padic import (
    HierarchicalOperator,
    RadialOperator,
    Tree,
    TreeConvolution,
    heat,
    resolvent,
    vladimirov,
)

DOUBLE = torch.float64
MADE = {
    "radial": lambda: RadialOperator(Tree(3, 3), 2, 3),
    "radial, deep": lambda: RadialOperator(Tree(2, 7)),
    "ring": lambda: TreeConvolution(Tree(3, 3), 2, 3),
    "digits": lambda: TreeConvolution(Tree(4, 2), 2, 3, group="digits"),
    "digits of two": lambda: TreeConvolution(Tree(2, 4), 2, 3, group="digits"),
    "hierarchical": lambda: HierarchicalOperator(Tree(3, 3), 2, 3),
    "shared": lambda: HierarchicalOperator(Tree(3, 3), 2, 3, shared=True),
}


@pytest.fixture(params=MADE)
def operator(request):
    torch.manual_seed(0)
    return MADE[request.param]().double()


def test_it_is_the_integral_of_its_kernel(operator):
    """Each applies its dense matrix, and has the gradients of what it applies."""
    x = torch.randn(2, 3, operator.in_channels, operator.tree.leaves, dtype=DOUBLE)
    by_hand = torch.einsum("oimn,...in->...om", operator.dense(), x)
    assert torch.allclose(operator(x), by_hand, atol=1e-12)
    one = x[0, :1].requires_grad_()
    weights = [p.detach().clone().requires_grad_() for p in operator.parameters()]
    names = [n for n, _ in operator.named_parameters()]

    def applied(v, *values):
        return torch.func.functional_call(operator, dict(zip(names, values, strict=True)), (v,))

    assert torch.autograd.gradcheck(applied, (one, *weights), fast_mode=True)


def test_white_values_keep_their_variance(operator):
    torch.manual_seed(1)
    drawn = []
    for _ in range(60):  # over first weights
        for p in operator.parameters():
            fan = operator.in_channels
            p.data.normal_().mul_(_scale(operator, fan))
        drawn.append(operator(torch.randn(20, operator.in_channels, operator.tree.leaves, dtype=DOUBLE)).var())
    assert float(torch.stack(drawn).mean()) == pytest.approx(1.0, rel=0.35)


def _scale(operator, fan):
    if isinstance(operator, RadialOperator):
        return ((operator.tree.depth + 1) * fan) ** -0.5
    if isinstance(operator, HierarchicalOperator):
        return (operator.tree.depth * fan * operator.tree.q) ** -0.5
    return fan**-0.5


def test_a_kernel_is_what_the_distance_says():
    tree = Tree(3, 3)
    k = torch.randn(4, dtype=DOUBLE)
    operator = RadialOperator(tree, kernel=k)
    t = torch.arange(27)
    assert torch.allclose(operator.dense()[0, 0], k[tree.common_prefix(t[:, None], t[None])] / 27, atol=1e-13)
    assert torch.allclose(operator.kernel()[0, 0], k, atol=1e-13)


@pytest.mark.parametrize(("q", "depth"), [(2, 6), (3, 4), (5, 2)])
def test_spectrum_inverse_determinant_and_powers(q, depth):
    tree = Tree(q, depth)
    spectrum = torch.rand(depth + 1, dtype=DOUBLE) + 0.5
    operator = RadialOperator.from_spectrum(tree, spectrum)
    dense = operator.dense()[0, 0]
    wanted = torch.cat([v.expand(m) for v, m in zip(spectrum, tree.multiplicities, strict=True)]).sort().values
    assert torch.allclose(torch.linalg.eigvalsh(dense), wanted, atol=1e-10)
    assert torch.allclose(operator.inverse().dense()[0, 0], torch.linalg.inv(dense), atol=1e-10)
    assert float(operator.logdet()) == pytest.approx(float(torch.linalg.slogdet(dense)[1]), abs=1e-10)
    root = operator.power(0.5).dense()[0, 0]
    assert torch.allclose(root @ root, dense, atol=1e-10)
    assert torch.allclose(tree.wavelets(dense).shape and operator.spectrum()[0, 0], spectrum, atol=1e-12)


def test_matrices_of_channels_are_inverted_level_by_level():
    torch.manual_seed(0)
    operator = RadialOperator(Tree(3, 2), 3, 3).double()
    x = torch.randn(2, 3, 9, dtype=DOUBLE)
    assert torch.allclose(operator.inverse()(operator(x)), x, atol=1e-8)
    flat = operator.dense().permute(0, 2, 1, 3).reshape(27, 27)
    assert float(operator.logdet()) == pytest.approx(float(torch.linalg.slogdet(flat)[1]), abs=1e-9)


def test_vladimirov_heat_and_the_free_field():
    tree = Tree(3, 3)
    d = vladimirov(tree, 0.7).dense()[0, 0]
    assert torch.allclose(d @ vladimirov(tree, 0.5).dense()[0, 0], vladimirov(tree, 1.2).dense()[0, 0], atol=1e-10)
    a, b = heat(tree, 1.0, 0.02).dense()[0, 0], heat(tree, 1.0, 0.03).dense()[0, 0]
    assert torch.allclose(a @ b, heat(tree, 1.0, 0.05).dense()[0, 0], atol=1e-12)
    assert bool((a > 0).all())
    assert torch.allclose(a.sum(1), torch.ones(27, dtype=DOUBLE), atol=1e-12)
    field = resolvent(tree, 1.0, 2.0).dense()[0, 0]
    eye = torch.eye(27, dtype=DOUBLE)
    assert torch.allclose(field @ (4 * eye + vladimirov(tree, 1.0).dense()[0, 0]), eye, atol=1e-10)


def test_a_lost_level_is_named():
    for what in ("inverse", "logdet"):
        with pytest.raises(InputError, match="level 0"):
            getattr(vladimirov(Tree(3, 2), 1.0), what)()
    for exponent in (-1.0, 0.5):
        with pytest.raises(InputError, match="level 1"):
            RadialOperator.from_spectrum(Tree(2, 2), torch.tensor([1.0, 0.0, 2.0])).power(exponent)


@pytest.mark.parametrize("q", [2, 3, 5])
def test_the_ring_is_commutative_with_translations_and_carries(q):
    torch.manual_seed(0)
    tree = Tree(q, 3)
    operator = TreeConvolution(tree).double()
    n = torch.arange(tree.leaves)
    x = torch.randn(1, tree.leaves, dtype=DOUBLE)
    for a in (1, q, tree.leaves - 1):
        moved = tree.to_tree((tree.to_ring(n) - a) % tree.leaves)
        assert torch.allclose(operator(x[:, moved]), operator(x)[:, moved], atol=1e-12)
    k, ring = operator.kernel()[0, 0], tree.to_ring(n)
    differences = tree.to_tree((ring[:, None] - ring[None]) % tree.leaves)
    assert torch.allclose(operator.dense()[0, 0], k[differences] / tree.leaves, atol=1e-12)


def test_digits_have_no_carries():
    torch.manual_seed(0)
    tree = Tree(4, 2)
    operator = TreeConvolution(tree, group="digits").double()
    digits = tree.digits(torch.arange(16))
    difference = (digits[:, None] - digits[None]) % 4
    leaves = difference[..., 0] * 4 + difference[..., 1]
    assert torch.allclose(operator.dense()[0, 0], operator.kernel()[0, 0][leaves] / 16, atol=1e-12)
    with pytest.raises(InputError, match="prime"):
        TreeConvolution(tree)


def test_a_radial_kernel_has_a_real_spectrum_that_is_constant_on_levels():
    tree = Tree(3, 3)
    k = torch.randn(4, dtype=DOUBLE)
    n = torch.arange(27)
    by_ring = k[tree.common_prefix(tree.to_tree(n), torch.zeros_like(n))]
    spectrum = torch.fft.fft(by_ring) / 27
    assert float(spectrum.imag.abs().max()) < 1e-13
    wanted = RadialOperator(tree, kernel=k).spectrum()[0, 0]
    for frequency in range(27):  # level s: characters of order 3^s
        order = next(s for s in range(4) if frequency * 3**s % 27 == 0)
        assert float(spectrum.real[frequency]) == pytest.approx(float(wanted[order]), abs=1e-12)


def test_counts_of_weights():
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(HierarchicalOperator(Tree(3, 5))) == 1089
    assert count(HierarchicalOperator(Tree(4, 3))) == 336
    assert count(HierarchicalOperator(Tree(3, 5), shared=True)) == 45
    assert count(RadialOperator(Tree(3, 5))) == 6


def test_a_radial_kernel_is_a_hierarchical_one():
    tree = Tree(3, 3)
    radial = RadialOperator(tree, kernel=torch.randn(4, dtype=DOUBLE))
    c = radial.increments()[0, 0]
    same = HierarchicalOperator(tree).double()
    for s, weight in enumerate(same.weights, 1):
        block = c[s] * torch.eye(3, dtype=DOUBLE) + (c[0] if s == 1 else 0.0)
        weight.data.copy_((block / 3.0 ** ((s + 3) / 2)).expand_as(weight))
    assert torch.allclose(same.dense(), radial.dense(), atol=1e-12)


def test_forms_that_dont_fit_are_refused(unchecked):
    operator = RadialOperator(Tree(3, 2), 2, 1)
    for x in (torch.zeros(9), torch.zeros(1, 9), torch.zeros(2, 8), torch.zeros(2, 9, dtype=torch.int64)):
        with pytest.raises(InputError):
            operator(x)
    with pytest.raises(InputError, match="float32"):
        TreeConvolution(Tree(3, 2))(torch.zeros(1, 9, dtype=torch.bfloat16))
    with pytest.raises(InputError, match="shape"):
        RadialOperator(Tree(3, 2), kernel=torch.zeros(4))
    with pytest.raises(InputError, match="numbers"):
        RadialOperator(Tree(2, 14)).dense()


def test_what_is_kept_serves_every_mode():
    """The 0-1 matrices of a subtree are kept: made without gradients or for shapes alone, they must not stay so."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    from deepwright.nets.padic import passes

    tree = Tree(3, 4)
    for first in (torch.inference_mode, FakeTensorMode):
        passes._shared_on.cache_clear()
        with first():
            RadialOperator(tree)(torch.zeros(1, 1, 81))
        operator, x = RadialOperator(tree), torch.randn(2, 1, 81, requires_grad=True)
        (slope,) = torch.autograd.grad(operator(x).square().sum(), operator.weight, create_graph=True)
        slope.sum().backward()
        assert bool(x.grad.isfinite().all())
        with FakeTensorMode():  # beside what is kept by now
            assert RadialOperator(tree)(torch.zeros(1, 1, 81)).shape == (1, 1, 81)


@pytest.mark.parametrize("word", MADE)
def test_no_sample_at_all(word):
    operator = MADE[word]().double()
    x = torch.zeros(0, operator.in_channels, operator.tree.leaves, dtype=DOUBLE)
    assert operator(x).shape == (0, operator.out_channels, operator.tree.leaves)


def test_masks_and_exponents_that_are_none_are_refused(unchecked):
    for mask in (torch.ones(8), torch.ones(2, dtype=torch.bool)):
        with pytest.raises(InputError, match="mask"):
            Tree(2, 3).restrict(torch.ones(8), 1, mask)
    for exponent in (float("inf"), float("nan")):
        with pytest.raises(InputError, match="exponent"):
            heat(Tree(2, 2), 1.0, 0.1).power(exponent)


@pytest.mark.slow
def test_time_is_linear_in_leaves():
    """Radial and hierarchical: 4 times the leaves take less than 6 times as long (median of 7)."""
    import time

    for made in (RadialOperator, HierarchicalOperator):
        spent = []
        for depth in (16, 18):
            operator, x = made(Tree(2, depth)), torch.randn(4, 1, 2**depth)
            runs = []
            for _ in range(8):
                begin = time.perf_counter()
                with torch.no_grad():
                    operator(x)
                runs.append(time.perf_counter() - begin)
            spent.append(sorted(runs[1:])[3])
        assert spent[1] / spent[0] < 6
