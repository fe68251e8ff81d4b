"""Where the outputs of linear maps go while a network runs: into a non-linearity, into another linear map, or nowhere.

Each function that is called is one of these: linear, with a weight of the network; carrying, which leaves what it
gets a linear map's output (shapes, sums, scales, normalisations, pools: a maximum and a non-decreasing activation may
change places); looking, which is no layer (conditions, statistics of hand-written norms); mixing, attention's own;
fused, which hides layers; and anything else is a non-linearity. It is a pre-activation that enters one.

Some carrying functions bend what they carry: maxima, sums with a power, quotients. They may belong to a non-linearity
that is still to come; a linear map whose output reaches the next one bent, and recorded nowhere, is named as lost. A
power of an output is followed too: times or under the output itself it makes a non-linearity (`z / (1 + z**2)`),
unless it was reduced to a statistic on the way (hand-written norms).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMED = _words(
    "relu relu6 gelu silu elu leaky_relu prelu selu celu hardswish hardtanh mish softplus tanh rrelu threshold"
)
"""Non-linearities that are one wherever they stand."""

# Names without underscores.
_LINEAR = _words(
    "linear addmm mm matmul rmatmul bmm baddbmm einsum convolution conv1d conv2d conv3d convtranspose1d "
    "convtranspose2d convtranspose3d"
)
_CARRYING = _words(
    "add radd iadd sub rsub isub subtract neg mul rmul imul multiply div rdiv idiv divide truediv rtruediv itruediv "
    "truedivide addcmul addcdiv lerp sum mean cumsum max amax min amin cat concat concatenate stack hstack vstack "
    "chunk split splitwithsizes tensorsplit unbind flatten unflatten ravel reshape reshapeas view viewas unsafeview "
    "permute transpose swapaxes swapdims t movedim moveaxis squeeze unsqueeze expand expandas broadcastto repeat "
    "repeatinterleave tile roll flip rot90 get getitem setitem slice select narrow index indexselect gather take "
    "takealongdim maskedselect tril triu diagonal pad constantpadnd interpolate upsample upsamplenearest2d "
    "upsamplebilinear2d upsamplebicubic2d gridsample pixelshuffle pixelunshuffle channelshuffle nativechannelshuffle "
    "unfold fold asstrided contiguous clone alias liftfresh copy detach to tocopy type typeas float double half "
    "bfloat16 cpu cuda requiresgrad nantonum real dropout dropout1d dropout2d dropout3d nativedropout featuredropout "
    "alphadropout featurealphadropout batchnorm nativebatchnorm nativebatchnormlegitnotraining layernorm "
    "nativelayernorm groupnorm nativegroupnorm instancenorm rmsnorm normalize localresponsenorm avgpool1d avgpool2d "
    "avgpool3d adaptiveavgpool1d adaptiveavgpool2d adaptiveavgpool3d maxpool1d maxpool2d maxpool3d "
    "maxpool1dwithindices maxpool2dwithindices maxpool3dwithindices adaptivemaxpool1d adaptivemaxpool2d "
    "adaptivemaxpool3d lppool2d sort topk"
)
_LOOKING = _words(
    "isnan isfinite isinf any all equal allclose isclose size dim numel len item tolist numpy stride isfloatingpoint "
    "iscomplex iscontiguous dataptr zeroslike oneslike emptylike fulllike randlike randnlike newzeros newones newempty "
    "newfull newtensor repr format hash argmax argmin var std varmean stdmean norm linalgnorm linalgvectornorm pow "
    "square"
)
_MIXING = _words(
    "softmax logsoftmax logsumexp scaleddotproductattention multiheadattentionforward nativemultiheadattention"
)
_FUSED = _words("lstm gru rnntanh rnnrelu lstmcell grucell rnntanhcell rnnrelucell bilinear transformerencoderlayerfwd")
_PRODUCTS = _words("mul rmul imul multiply")
_QUOTIENTS = _words("div rdiv idiv divide truediv rtruediv itruediv truedivide")
_POWERS = _words("pow square")
_REDUCING = _words("sum mean max amax min amin")  # a power becomes a statistic
_BENDING = _words(
    "max amax min amin maxpool1d maxpool2d maxpool3d maxpool1dwithindices maxpool2dwithindices maxpool3dwithindices "
    "adaptivemaxpool1d adaptivemaxpool2d adaptivemaxpool3d lppool2d sort topk"
)
_STRAIGHT, _BENT, _POWER = "straight", "bent", "power"
_POOLS = frozenset({"max", "min"})  # of one tensor; of two they are non-linearities


class Origin(NamedTuple):
    """Where a tensor comes from."""

    call: int  # of a linear map
    way: str  # what happened since: "straight", "bent" or "power"


Origins = frozenset[Origin]


def tensors(values: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and mappings, and the logits of objects that have them.

    Args:
        values: what a function takes or gives.
    """
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping | list | tuple):
        parts: Iterable[Any] = values.values() if isinstance(values, Mapping) else values
        for part in parts:
            yield from tensors(part)
    elif isinstance(getattr(values, "logits", None), Tensor):
        yield values.logits


class Flow:
    """Follows the outputs of a network's linear maps through one forward pass.

    Args:
        model: whose weights name the linear maps.

    Attributes:
        last: the name of the last linear map; "input" before the first.
    """

    def __init__(self, model: nn.Module) -> None:
        self._owners = {
            id(p): module_name or parameter_name
            for module_name, module in model.named_modules()
            if not isinstance(module, nn.Embedding | nn.EmbeddingBag)
            for parameter_name, p in module.named_parameters(recurse=False)
            if p.ndim > 1
        }
        self.start()

    def start(self) -> None:
        """Before a forward pass."""
        self.last = "input"
        self._from: Any = WeakIdKeyDictionary()  # tensor -> its origins
        self._went: list[tuple[str, bool]] = []  # each call's linear map, and whether its output went somewhere
        self._hidden: set[str] = set()  # modules whose weights went into what isn't understood

    def enter(self, called: str, args: tuple[Any, ...], given: list[Tensor]) -> tuple[Origins, list[Tensor]]:
        """A function is called: which linear maps its output comes from, and which pre-activations enter it.

        Args:
            called: the function's name.
            args: its positional arguments.
            given: the floating tensors among its arguments.
        """
        name = called.strip("_").replace("_", "")
        if name in _LINEAR:
            return self._linear(given), []
        known = [t for t in given if any(origin.way != _POWER for origin in self._from.get(t, ()))]
        powers = [t for t in given if self._from.get(t) and all(t is not k for k in known)]
        pair = name in _POOLS and sum(isinstance(a, Tensor) for a in args[:2]) == 2
        if powers and not known and name not in _MIXING | _FUSED:
            return self._origins([] if name in _REDUCING | _LOOKING - _POWERS else powers, _POWER), []
        if name in _POWERS:
            return self._origins(known, _POWER), []
        powers = [p for p in powers if known and p.numel() >= max(t.numel() for t in known)]  # fewer: of a statistic
        product = (name in _PRODUCTS and len(known) > 1) or (name in _PRODUCTS | _QUOTIENTS and known and powers)
        if name in _CARRYING and not pair and not product:
            bent = powers or name in _BENDING or _mixes(name, args, known)
            origins = self._origins(known, _BENT if bent else None)
            if name == "setitem":
                self.leave(args[0], origins)
            return origins, []
        if name in _MIXING or name in _FUSED:
            self.settle(known)
            self._hidden.update(self._named(given) if name in _FUSED else ())
        elif name not in _LOOKING and called.strip("_") not in NAMED:
            return frozenset(), self._entering(known, given)
        return frozenset(), []

    def _origins(self, known: list[Tensor], way: str | None) -> Origins:
        """Those of all these tensors together, with what happens to them now, if anything."""
        found = frozenset().union(*(self._from[t] for t in known))
        return frozenset(Origin(origin.call, way) for origin in found) if way else found

    def leave(self, out: Any, origins: Origins) -> None:
        """A function has returned.

        Args:
            out: what it gave.
            origins: of it.
        """
        for t in tensors(out):
            if origins:
                self._from[t] = origins
            else:
                self._from.pop(t, None)

    def settle(self, given: Iterable[Tensor]) -> None:
        """What these tensors come from has gone somewhere: it was recorded, or went into another linear map.

        Args:
            given: any tensors.
        """
        self._went_to({origin.call for t in given for origin in self._from.get(t, ()) if origin.way != _POWER})

    def _went_to(self, calls: Iterable[int]) -> None:
        for call in calls:
            self._went[call] = (self._went[call][0], True)

    def lost(self) -> list[str]:
        """The linear maps, by their modules' names, whose outputs or insides can't be seen.

        The very last one is left out: what follows it is the network's answer.
        """
        everything = dict.fromkeys(self._owners.values())
        if not self._went and not self._hidden:  # a scripted network: nothing at all was seen
            return list(everything)
        gone = {name for name, went in self._went[:-1] if not went}
        return [name for name in dict.fromkeys([*everything, *gone]) if name in gone | self._hidden]

    def _linear(self, given: list[Tensor]) -> Origins:
        owner = next(iter(self._named(given)), None)
        reached = [origin for t in given for origin in self._from.get(t, ())]
        straight, other = (
            {origin.call for origin in reached if (origin.way == _STRAIGHT) == is_straight}
            for is_straight in (True, False)
        )
        self._went_to(straight - other)
        if owner is None and self.last == "input":
            return frozenset()  # arithmetic on the input: no layer
        self.last = owner or self.last
        self._went.append((self.last, False))
        return frozenset([Origin(len(self._went) - 1, _STRAIGHT)])

    def _entering(self, known: list[Tensor], given: list[Tensor]) -> list[Tensor]:
        opened = {id(t): t for t in known if not all(self._went[o.call][1] for o in self._from[t])}
        weights = self._named(given)
        if not opened and weights and any(id(t) not in self._owners and t.ndim > 1 for t in given):
            self._hidden.update(weights)
        return list(opened.values())

    def _named(self, given: list[Tensor]) -> list[str]:
        return [self._owners[id(t)] for t in given if id(t) in self._owners]


def _mixes(name: str, args: tuple[Any, ...], known: list[Tensor]) -> bool:
    """Whether outputs are divided by, or multiplied with, outputs of as many numbers (fewer are a norm's)."""
    if name in _QUOTIENTS:
        return len(known) > 1 and known[0].numel() == known[1].numel()
    if name in ("addcmul", "addcdiv"):
        return sum(any(a is t for t in known) for a in args[-2:]) > 1
    return False
