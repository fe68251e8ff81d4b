"""A small network that reads the texts of a data set, trained here where nobody brought one."""

from __future__ import annotations

from torch.nn import functional as F

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError
from deepwright.core.fit import Selection, adamw, fit
from deepwright.core.randomness import local_rng
from deepwright.core.texts import to_texts
from deepwright.data import Data
from deepwright.nets.texts import Tokenized, WordTokenizer, text_cnn
from deepwright.workflows.options import Say, quiet
from deepwright.workflows.validation import ValidationLoss


def train_text_network(data: Data, *, seed: int = 0, device: str = "cpu", say: Say = quiet) -> Tokenized:
    """A convolutional network on a vocabulary of the training texts, with early stop on the validation loss.

    Args:
        data: texts with classes.
        seed: of weights and batches.
        device: where it is trained.
        say: told what came out.

    Returns:
        the network in eval mode, with its tokenizer; its `state_dict` holds the vocabulary.

    Raises:
        InputError: no training or validation text.
    """
    if data.test.y.ndim != 1:
        hint = "one class a text is learned here; other targets need a network of yours"
        raise InputError("model", given="none, for texts with several targets or numbers", expected="one", hint=hint)
    for part in ("train", "validation"):
        if not len(getattr(data, part)):
            raise InputError(f"{part} texts", given="none", expected="some, for a network is trained on them")
    tokenizer = WordTokenizer.of(to_texts(data.train.x))
    with local_rng(seed):
        network = text_cnn(len(tokenizer), len(data.classes))
    network = network.to(resolve(device, "device"))
    known, held = (tokenizer(to_texts(part.x)) for part in (data.train, data.validation))
    selection = Selection(
        ValidationLoss(held, data.validation.y, F.cross_entropy), "validation_loss", mode="min", patience=5
    )
    result = fit(
        network,
        (known, data.train.y),
        epochs=30,
        batch_size=32,
        optimizer=adamw(2e-3, 1e-2),
        selection=selection,
        seed=seed,
        description="train text network",
    )
    say(f"trained a text network on {len(tokenizer) - 2} words of the training texts, best epoch {result.best_epoch}")
    return Tokenized(network.eval(), tokenizer.to(resolve(device, "device"))).eval()
