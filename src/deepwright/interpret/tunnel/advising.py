"""What would change a verdict, from the facts alone."""

from __future__ import annotations

import math

from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.layers import Chain, Residual, flat, no_skip
from deepwright.interpret.tunnel.norms import chain_upper, skip_smallest


def advice(chain: Chain | None, verdict: str, domain: Domain) -> list[str]:
    """Sentences, the nearest change first.

    Args:
        chain: of the network; None where it isn't taken apart.
        verdict: of it.
        domain: on which.
    """
    if verdict == "PRESENT":
        return []
    n = domain.dimension
    said = [
        f"A width of {n + 1} (one zero-padded input dimension) lifts the restriction: the network may then have a "
        "critical point, and needn't."
    ]
    if any(max(e.widths) > n for e in flat(chain or ())):
        return [f"It is already wider than its {n} inputs: its shape allows a critical point, and training decides."]
    blocks = [e for e in chain or () if isinstance(e, Residual)]
    if not blocks:
        return said
    if all(no_skip(b) for b in blocks):
        return [*said, "No block has a skip: with skips of 1 a block can fold, without them none of this width does."]
    ratios = [
        (skip_smallest(b) / chain_upper(b.branch), b.name) for b in blocks if not no_skip(b) and chain_upper(b.branch)
    ]
    if ratios and math.isfinite(min(ratios)[0]) and min(ratios)[0] > 1:
        factor, name = min(ratios)
        said.insert(
            0, f"No block can fold below {factor:.3g} times the present delta / epsilon; {name} would be the first."
        )
    return said


def blocking(chain: Chain) -> list[str]:
    """Names of the blocks that can't fold for their skip's strength: delta K < epsilon.

    Args:
        chain: of a network.
    """
    return [b.name for b in chain if isinstance(b, Residual) and chain_upper(b.branch) < skip_smallest(b)]
