"""A small network that classifies texts: embeddings, convolutions over a few words, their maxima."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.requirements import require_whole


class TextCNN(nn.Module):
    """Token ids (N, L) -> logits (N, classes).

    Args:
        vocabulary: number of tokens; 0 is the padding, whose embedding is zero.
        classes: logits.
        width: of the embeddings.
        channels: of each convolution.
        kernels: words that each convolution sees.

    Source: "Convolutional Neural Networks for Sentence Classification", arXiv 1408.5882.
    """

    def __init__(
        self, vocabulary: int, classes: int, width: int = 32, channels: int = 32, kernels: Sequence[int] = (1, 2, 3)
    ) -> None:
        super().__init__()
        sizes = {f"kernels[{i}]": size for i, size in enumerate(kernels)}
        require_whole(1, vocabulary=vocabulary, classes=classes, width=width, channels=channels, **sizes)
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, size) for size in kernels)
        self.head = nn.Linear(channels * len(kernels), classes)

    def forward(self, ids: Int64[Tensor, "n length"]) -> Float[Tensor, "n classes"]:
        """Logits."""
        x = self.embedding(ids).transpose(1, 2)
        most = max(c.kernel_size[0] for c in self.convolutions)  # type: ignore[union-attr, index]
        x = F.pad(x, (0, max(0, most - x.shape[2])))
        return self.head(torch.cat([torch.relu(c(x)).amax(2) for c in self.convolutions], 1))


def text_cnn(vocabulary: int, classes: int) -> TextCNN:
    """A `TextCNN` of the house's usual size.

    Args:
        vocabulary: number of tokens.
        classes: logits.
    """
    return TextCNN(vocabulary, classes)
