"""Outside the Box: is the input outside every box of the class that the network names?"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from deepwright.core.features import Activations
from deepwright.ood.bbas.clustering import k_means
from deepwright.ood.bbas.detector import BBAS
from deepwright.ood.detector import require


class OutsideTheBox(BBAS):
    """1 when the activations are outside every box of the predicted class, else 0. Source: arXiv 1911.09032.

    One variable outside is enough: the more variables, the more inputs that the network knows are flagged. So it
    monitors one layer, the last hidden one, unless others are named.

    As published it is `OutsideTheBox(tau=0.07, use="correct")` on the outputs of a layer after its non-linearity.

    Args:
        layers: boxes are over these layers; the last one that was extracted by default.
        n_clusters: most boxes a class.
        use: which samples make a class's boxes; see `BBAS`.
        seed: of the subset that is clustered, or of k-means.
        tau: where given, the boxes are those of k-means clusters, one more as long as that lowers the sum of squares by
            this share; `n_clusters` isn't read.
        margin: enlarge each side by this share of the width.
    """

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        n_clusters: int = 5,
        use: str = "label",
        seed: int = 0,
        tau: float | None = None,
        margin: float = 0.0,
    ) -> None:
        super().__init__(
            layers,
            n_clusters=n_clusters,
            kind="count",
            aggregate=False,
            layer_reduce="concat",
            use=use,
            margin=margin,
            seed=seed,
        )
        if tau is not None:
            require("tau", tau, 0 < tau < 1, "in (0, 1)")
        self.tau = tau

    def _names(self, acts: Activations, wanted: Sequence[str] | None) -> list[str]:
        return super()._names(acts, list(acts.layers)[-1:] if wanted is None else wanted)

    def _clusters(self, phi: Tensor, psi: Tensor, k: int) -> Tensor:
        return super()._clusters(phi, psi, k) if self.tau is None else k_means(phi, self.tau, self.seed + k)

    def _score(self, acts: Activations) -> Tensor:
        return (super()._score(acts) > 0).float()

    def graph_score(self, acts: Activations) -> Tensor:
        """See `Detector.graph_score`."""
        return (super().graph_score(acts) > 0).float()
