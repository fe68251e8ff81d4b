"""Estimators and functions that take strings themselves, as networks of texts that give scores only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Int32
from torch import Tensor

from deepwright.core.texts import to_texts
from deepwright.core.user_code import users_code
from deepwright.nets.scores_only import ScoresOnly


class OfStrings(ScoresOnly):
    """A function of a list of strings as a network of texts, without parameters and without gradients.

    Args:
        function: list of strings -> scores (N, ...), as an array or a tensor.
        what: see `ScoresOnly`, as what follows.
        class_names: of the columns.
        labels_only: whether it gives labels alone.
        outputs: what the columns are.
    """

    def __init__(
        self,
        function: Any,
        *,
        what: str = "a function",
        class_names: tuple[str, ...] = (),
        labels_only: bool = False,
        outputs: str | None = None,
    ) -> None:
        super().__init__(function, what=what, class_names=class_names, labels_only=labels_only, outputs=outputs)

    def forward(self, texts: Int32[Tensor, "n characters"] | Sequence[str]) -> Tensor:
        """Scores, where the texts are.

        Args:
            texts: strings, or their code points.

        Raises:
            InputError: it takes no strings, or gives not one row a text.
        """
        strings = to_texts(texts) if isinstance(texts, Tensor) else list(texts)
        expected = f"{self.what} to take a list of strings, as a pipeline that begins with a TfidfVectorizer does"
        with users_code(self.what, expected):
            out = self.function(strings)
        return self.as_scores(out, len(strings)).to(texts.device if isinstance(texts, Tensor) else "cpu")


def of_strings(network: ScoresOnly) -> OfStrings:
    """What asks an estimator, or a function, about strings.

    Args:
        network: as `nets.from_estimator` or `nets.from_callable` gives it.
    """
    made = OfStrings(
        network.function if network.undecided is None else network.undecided,
        what=network.what,
        class_names=network.class_names,
        labels_only=network.labels_only,
        outputs=network.outputs,
    )
    made.notes, made.of_function = network.notes, network.of_function
    return made
