"""Attacks on networks that read texts.

Two kinds, which aren't the same thing: `WordSubstitution` changes words of the text, so that what it finds can be
typed; `FromEmbeddings` lets any attack of the engine move what comes out of the embedding, where no text need lie.

Example:
    >>> from deepwright.adversarial.text import Substitutions
    >>> Substitutions({"good": ["fine", "decent"]})("Good")
    ('Fine', 'Decent')
"""

from deepwright.adversarial.text.candidates import Substitutions, read_substitutions, typos
from deepwright.adversarial.text.embeddings import EmbeddedTexts, FromEmbeddings
from deepwright.adversarial.text.substitution import SubstitutionResult, WordSubstitution

__all__ = [
    "EmbeddedTexts",
    "FromEmbeddings",
    "SubstitutionResult",
    "Substitutions",
    "WordSubstitution",
    "read_substitutions",
    "typos",
]
