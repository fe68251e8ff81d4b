"""What happens to texts: slips of the keyboard, bad recognition, lost and moved words.

Example:
    >>> from deepwright.core.texts import to_codes, to_texts
    >>> from deepwright.corruptions.text import TEXTS
    >>> to_texts(TEXTS[0](to_codes(["the weather was surprisingly good"]), severity=0))
    ['the weather was surprisingly good']
"""

from deepwright.corruptions.text.characters import CHARACTERS
from deepwright.corruptions.text.perturbation import TextPerturbation
from deepwright.corruptions.text.units import UNITS

TEXTS: tuple[TextPerturbation, ...] = CHARACTERS + UNITS

__all__ = ["TEXTS", "TextPerturbation"]
