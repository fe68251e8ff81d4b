"""Many small networks of one shape, each on a prefix of its own, trained side by side.

What a feature costs is read from hundreds of trainings of one small network: sizes times runs. `train_stack` makes them
one: parameters are stacked, one `vmap` gives all outputs, the losses are summed (so that each network gets its own
gradient alone), and Adam, which works number by number, treats each as it would alone. A network that has stopped is
masked, its weights are kept, and when half have stopped the rest is trained on without them. The host is asked once a
check. What a network becomes depends on its own start, seed and prefix, and not on who is trained beside it;
but for layers that draw (dropout), whose draws are the stack's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating, require_labels
from deepwright.core.randomness import derive_seed, local_rng
from deepwright.core.requirements import require_finite, require_network, require_same_length
from deepwright.core.tasks.reading import looks_like_probabilities
from deepwright.interpret.prequential.stacking import FitConfig, Group, Pair, outputs

_AT_ONCE = 1 << 18  # rows times networks of one pass without gradients
_HOTTEST = 8.0  # largest factor of the logits that calibration gives


@dataclass(frozen=True)
class Stack:
    """Trained networks.

    Attributes:
        network: their shape.
        state: parameters and buffers, the networks along the first axis.
        heat: (networks,) factor of each one's logits; 1 where nothing was calibrated.
        steps: (networks,) that each was trained for.
    """

    network: nn.Module
    state: dict[str, Tensor]
    heat: Float[Tensor, " networks"]
    steps: Int64[Tensor, " networks"]

    def __len__(self) -> int:
        return len(self.heat)

    @torch.no_grad()
    def logits(self, x: Tensor) -> Float[Tensor, "networks n classes"]:
        """Raw logits of every network on the same inputs, where and as the networks are.

        Args:
            x: (n, ...) inputs.
        """
        first = next(iter(self.state.values()))
        x = x.to(first.device, first.dtype if x.is_floating_point() else x.dtype)
        every = max(1, _AT_ONCE // max(1, len(self)))
        return torch.cat([outputs(self.network, self.state, part, shared=True) for part in x.split(every)], 1)

    def log_probs(self, x: Tensor, y: Tensor, calibrated: bool = False) -> Float[Tensor, "networks n"]:
        """Natural logarithm of the probability that each network gives each label.

        Args:
            x: (n, ...) inputs.
            y: (n,) classes.
            calibrated: with each network's factor of its logits.
        """
        return label_log_probs(self.logits(x), y, self.heat if calibrated else None)


def label_log_probs(
    logits: Float[Tensor, "networks n classes"], y: Int64[Tensor, " n"], heat: Float[Tensor, " networks"] | None = None
) -> Float[Tensor, "networks n"]:
    """Logits read as log-probabilities of the labels, in float64.

    Args:
        logits: of several networks.
        y: classes.
        heat: factor of each network's logits.
    """
    require_labels(y, logits.shape[2], logits.shape[1])
    y = y.long()
    z = logits.double() if heat is None else logits.double() * heat.double()[:, None, None]
    return z.log_softmax(2).gather(2, y.to(z.device).expand(len(z), -1)[..., None])[..., 0]


def make_networks(make: Callable[[int], nn.Module], seeds: Sequence[int]) -> list[nn.Module]:
    """A network a seed; the global generator is seeded for it, and put back.

    Args:
        make: seed -> network.
        seeds: one a network.
    """
    made = []
    for seed in seeds:
        with local_rng(derive_seed("start", seed=seed)):
            made.append(make(seed))
    return made


def train_stack(
    networks: Sequence[nn.Module],
    train: Pair,
    prefixes: Sequence[Int64[Tensor, " _"]],
    validation: Pair | None,
    config: FitConfig = FitConfig(),  # noqa: B008 - frozen
    seeds: Sequence[int] | None = None,
) -> Stack:
    """Train copies of the networks by cross-entropy, each on its own rows of the same data; they are left as found.

    Args:
        networks: of one shape, on one device; what they hold beside parameters must not change in training.
        train: (inputs, classes).
        prefixes: the rows that each may see.
        validation: for stopping and calibration; without it all train for `max_steps`.
        config: of the training.
        seeds: of each network's batches; 0, 1, ... when None.

    Raises:
        InputError: no networks, other numbers of prefixes or seeds, an empty prefix or rows that aren't there, running
            statistics (batch norm), calibration without validation samples, training or validation samples that are
            none, aren't finite or whose labels the network has no output for, outputs that look like probabilities.
    """
    _check(networks, train, prefixes, validation, config)
    seeds = list(range(len(networks))) if seeds is None else list(seeds)
    require_same_length(networks, seeds, "networks and seeds")
    device = device_of(networks[0])
    x, y = _brought(train, networks[0], "training")
    held = None if validation is None else _brought(validation, networks[0], "validation")
    parts, places = [], []
    for members in _groups([len(p) for p in prefixes], config):
        own = Group(
            [networks[i] for i in members],
            (x, y),
            [prefixes[i] for i in members],
            held,
            config,
            [seeds[i] for i in members],
        )
        parts.append(_trained(own, held))
        places += members
    back = torch.tensor(places, device=device).argsort()
    state = {name: torch.cat([p.state[name] for p in parts])[back] for name in parts[0].state}
    heat, steps = (torch.cat([getattr(p, name) for p in parts])[back] for name in ("heat", "steps"))
    return Stack(parts[0].network, state, heat, steps)


def _check(
    networks: Sequence[nn.Module],
    train: Pair,
    prefixes: Sequence[Tensor],
    validation: Pair | None,
    config: FitConfig,
) -> None:
    if not networks:
        raise InputError("networks", given="none", expected="at least one")
    for network in networks:
        require_network(network, "a network of the stack")
    require_same_length(networks, prefixes, "networks and prefixes")
    if any(len(p) == 0 for p in prefixes):
        raise InputError("prefixes", given="an empty one", expected="one sample or more in each")
    if any(int(p.min()) < 0 or int(p.max()) >= len(train[1]) for p in prefixes):
        raise InputError("prefixes", given="rows that aren't there", expected=f"rows from 0 to {len(train[1]) - 1}")
    if any(getattr(m, "track_running_stats", False) for m in networks[0].modules()):
        hint = "GroupNorm and LayerNorm have none"
        raise InputError("network", given="running statistics (batch norm)", expected="a network without", hint=hint)
    if config.calibrate and validation is None:
        raise InputError("calibrate", given="no validation samples", expected="some, or calibrate=False")


def _brought(pair: Pair, network: nn.Module, name: str) -> Pair:
    """Samples where and as the network is, looked at."""
    require_same_length(*pair, f"{name} inputs and labels")
    if not len(pair[1]):
        raise InputError(f"{name} samples", given="none", expected="at least one")
    x, y = to_model(require_finite(pair[0], f"{name} inputs"), network), pair[1].to(device_of(network))
    _check_labels(network, x, y)
    return x, y.long()


@torch.no_grad()
def _check_labels(network: nn.Module, x: Tensor, y: Tensor) -> None:
    """Refuse outputs that aren't logits of classes, and labels that none of them is for."""
    with evaluating(network):
        out = network(x[:16])
    if not isinstance(out, Tensor) or out.ndim != 2 or out.shape[1] < 2:
        given = f"shape {tuple(out.shape)} of {len(x[:16])} samples" if isinstance(out, Tensor) else type(out).__name__
        raise InputError("outputs of the network", given=given, expected="(n, classes) logits, two classes or more")
    if looks_like_probabilities(out):
        given = "rows that are 0 or more and sum to 1: these look like probabilities"
        raise InputError("outputs of the network", given=given, expected="logits", hint="leave the softmax out")
    require_labels(y, out.shape[1], len(x))


def _groups(sizes: Sequence[int], config: FitConfig) -> list[list[int]]:
    """Networks whose batches have one width, at most `together`, those of like size beside each other."""
    order = sorted(range(len(sizes)), key=lambda i: sizes[i])
    groups: list[list[int]] = []
    for i in order:
        fits = groups and config.width(sizes[groups[-1][0]]) == config.width(sizes[i])
        if fits and len(groups[-1]) < config.together:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _trained(group: Group, validation: Pair | None) -> Stack:
    state = group.train()
    heat = torch.ones(len(group.steps), dtype=torch.float64, device=group.steps.device)
    found = Stack(group.network, state, heat, group.steps)
    if not group.config.calibrate or validation is None:
        return found
    return Stack(group.network, state, fitted_heat(found.logits(validation[0]), validation[1]), group.steps)


def fitted_heat(logits: Float[Tensor, "networks n classes"], y: Int64[Tensor, " n"]) -> Float[Tensor, " networks"]:
    """Factor of each network's logits, in [0, 8], under which the labels cost least; the inverse of a temperature.

    The loss is convex in the factor, so that its slope is bisected.

    Args:
        logits: of several networks on validation samples.
        y: classes.
    """
    z = logits.double()
    own = z.gather(2, y.to(z.device).expand(len(z), -1)[..., None])[..., 0].mean(1)
    low, high = torch.zeros(len(z), dtype=z.dtype, device=z.device), z.new_full((len(z),), _HOTTEST)
    for _ in range(40):
        middle = (low + high) / 2
        slope = ((z * middle[:, None, None]).softmax(2) * z).sum(2).mean(1) - own
        low, high = torch.where(slope < 0, middle, low), torch.where(slope < 0, high, middle)
    return (low + high) / 2
