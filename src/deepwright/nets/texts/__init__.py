"""Networks that read texts: a tokenizer in front of a network, a word tokenizer of the house, a small classifier.

Example:
    >>> from deepwright.nets.texts import Tokenized, WordTokenizer, text_cnn
    >>> tokenizer = WordTokenizer.of(["a good film", "a bad film"])
    >>> Tokenized(text_cnn(len(tokenizer), 2), tokenizer)(["a film"]).shape
    torch.Size([1, 2])
"""

from deepwright.nets.texts.classifiers import TextCNN, text_cnn
from deepwright.nets.texts.pipelines import opened_pipeline
from deepwright.nets.texts.strings import OfStrings, of_strings
from deepwright.nets.texts.token_network import TokenNetwork
from deepwright.nets.texts.tokenized import Tokenized
from deepwright.nets.texts.tokenizers import as_tokenizer, folder_tokenizer, named_tokenizer
from deepwright.nets.texts.vocabulary import WordTokenizer

__all__ = [
    "OfStrings",
    "TextCNN",
    "TokenNetwork",
    "Tokenized",
    "WordTokenizer",
    "as_tokenizer",
    "folder_tokenizer",
    "named_tokenizer",
    "of_strings",
    "opened_pipeline",
    "text_cnn",
]
