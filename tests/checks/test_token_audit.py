"""Networks of texts in the forms that people hold: batches of token ids, pipelines, estimators of strings."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from deepwright.checks import audit
from deepwright.checks.subjects.batches import one_batch
from deepwright.checks.subjects.loaders import subject_from_loaders
from deepwright.core.errors import InputError
from deepwright.core.texts import HashedTokens, joined_tokens, to_codes, to_texts, to_tokens, token_parts
from deepwright.data import Data, Split, ood_companions
from deepwright.nets import as_network
from deepwright.nets.texts import OfStrings, Tokenized, TokenNetwork, of_strings

transformers = pytest.importorskip("transformers")
WORDS = ["good", "bad", "film", "plot", "the", "a", "was", "is", "very", "dull", "fine", "cast"]
TEXTS = [" ".join(WORDS[(i * j + i) % 12] for j in range(3 + i % 5)) for i in range(60)]
LABELS = torch.arange(60) % 2
LIMITS = {"attack_limit": 6, "corruption_limit": 6, "ood_limit": 20}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    file = tmp_path_factory.mktemp("words") / "vocab.txt"
    file.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    return transformers.BertTokenizerFast(str(file))


def bert(kind="ForSequenceClassification", **options):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(
        vocab_size=17, max_position_embeddings=32, initializer_range=0.5, **(sizes | options)
    )
    return getattr(transformers, f"Bert{kind}")(config).eval()


def batches(tokenizer, texts=TEXTS, labels=LABELS, second=None, size=16):
    """As a DataLoader with a DataCollatorWithPadding gives them: each batch as long as its longest text."""
    for i in range(0, len(texts), size):
        pair = () if second is None else (second[i : i + size],)
        found = tokenizer(texts[i : i + size], *pair, padding=True, return_tensors="pt")
        yield {**found, "labels": labels[i : i + size]}


def theirs(model, given):
    """What the network gives its owner, batch by batch."""
    with torch.no_grad():
        return torch.cat([model(**{k: v for k, v in b.items() if k != "labels"}).logits for b in given])


def test_tokens_hold_ids_mask_and_segments():
    ids, mask = torch.tensor([[5, 7, 9], [4, 0, 3]]), torch.tensor([[1, 1, 0], [1, 0, 0]])
    segments = torch.tensor([[0, 1, 0], [2, 0, 0]])
    again, real, kinds = token_parts(to_tokens(ids, mask, segments))
    assert torch.equal(again, ids)
    assert torch.equal(real.long(), mask)
    assert torch.equal(kinds, segments)


def test_batches_of_unlike_lengths_are_filled_up_with_what_fills_up():
    short = to_tokens(torch.tensor([[5, 1]]), torch.tensor([[1, 0]]))
    ids, real, _ = token_parts(joined_tokens([to_tokens(torch.tensor([[3, 4, 6]])), short]))
    assert ids.tolist() == [[3, 4, 6], [5, 1, 1]]
    assert real.tolist() == [[True] * 3, [True, False, False]]


def test_counts_are_of_tokens_and_not_of_what_fills_up():
    counts = HashedTokens(64)(to_tokens(torch.tensor([[3, 3, 9, 0]]), torch.tensor([[1, 1, 1, 0]])))
    assert sorted(counts.expm1().round().flatten().tolist())[-3:] == [0, 1, 2]


@pytest.mark.parametrize("pair", [False, True], ids=["texts", "pairs"])
def test_outputs_are_those_of_the_users_own_batches(tokenizer, pair):
    second = TEXTS[::-1] if pair else None
    model, given = bert(), list(batches(tokenizer, second=second))
    subject = subject_from_loaders(model, given, split="test")
    assert subject.data.kind == "tokens"
    assert torch.allclose(subject.outputs(), theirs(model, given), atol=1e-6)
    if pair:  # segments matter here
        mute = [{k: v for k, v in b.items() if k != "token_type_ids"} for b in given]
        assert not torch.allclose(subject.outputs(), theirs(model, mute), atol=1e-4)


def test_left_padding_stays_where_it_is(tokenizer):
    torch.manual_seed(0)
    sizes = {
        "vocab_size": 17,
        "n_embd": 8,
        "n_layer": 1,
        "n_head": 2,
        "n_positions": 32,
        "initializer_range": 0.5,
        "pad_token_id": 3,
    }
    model = transformers.GPT2ForSequenceClassification(
        transformers.GPT2Config(**sizes, eos_token_id=3, bos_token_id=2)
    ).eval()
    tokenizer = transformers.BertTokenizerFast(vocab=tokenizer.get_vocab(), padding_side="left")
    given = list(batches(tokenizer))
    assert torch.allclose(subject_from_loaders(model, given, split="test").outputs(), theirs(model, given), atol=1e-6)


def test_ids_become_texts_where_their_tokenizer_gives_the_same_ids(tokenizer):
    model, given = bert(), list(batches(tokenizer))
    subject = subject_from_loaders(model, given, tokenizer=tokenizer, split="test")
    assert subject.data.kind == "text"
    assert to_texts(subject.data.test.x) == TEXTS
    assert torch.allclose(subject.outputs(), theirs(model, given), atol=1e-6)


def test_ids_of_pairs_stay_ids_beside_a_tokenizer(tokenizer):
    given = list(batches(tokenizer, second=TEXTS[::-1]))
    subject = subject_from_loaders(bert(), given, tokenizer=tokenizer, split="test")
    assert subject.data.kind == "tokens"
    assert any("don't come back" in note for note in subject.data.notes)


class Mean(nn.Module):
    """Mean of embeddings; an id of 0 is a word as any other."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(17, 4), nn.Linear(4, 2)

    def forward(self, ids):
        return self.head(self.embedding(ids).mean(1))


def test_pairs_of_ids_and_labels_reach_a_network_that_takes_nothing_else(tokenizer):
    ids = tokenizer(TEXTS, padding=True, return_tensors="pt")["input_ids"]
    model = Mean().eval()
    subject = subject_from_loaders(model, [(ids, LABELS)], split="test")
    assert subject.data.kind == "tokens"
    assert torch.equal(subject.outputs(), model(ids).detach())
    assert subject_from_loaders(nn.Linear(ids.shape[1], 2), [(ids, LABELS)]).data.kind == "tabular"


@pytest.mark.slow
def test_a_moved_embedding_is_that_of_the_ids(tokenizer):
    given = list(batches(tokenizer, second=TEXTS[::-1]))
    found = audit(bert(), given, checks=["robustness"], **LIMITS)["robustness"]
    assert found.grade == "info"
    assert found.number("embedding_l2_accuracy_at_0.1") <= found.number("clean_accuracy")


def test_foreign_tokens_keep_their_ends_and_their_padding():
    x = to_tokens(
        torch.tensor([[2, 5, 6, 7, 3, 0], [2, 8, 9, 3, 0, 0]]), torch.tensor([[1] * 5 + [0], [1] * 4 + [0] * 2])
    )
    split = Split(x, torch.tensor([0, 1]))
    for name, moved in ood_companions(Data("d", "tokens", ("a", "b"), split, split, split)).items():
        assert sorted(map(tuple, (moved < 0).tolist())) == sorted(map(tuple, (x < 0).tolist())), name
        assert (moved[:, 0] == 2).all()
        if name.startswith("near"):
            assert sorted(moved.sort(1).values.tolist()) == sorted(x.sort(1).values.tolist())


def pipeline():
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, np.array(["no", "yes"])[LABELS])


def test_a_pipeline_of_strings_is_asked_for_its_own_probabilities():
    mine = pipeline()
    subject = subject_from_loaders(mine, [(TEXTS, LABELS)], class_names=["no", "yes"], split="test")
    want = torch.tensor(mine.predict_proba(TEXTS))
    assert torch.allclose(subject.outputs().double().softmax(1), want, atol=1e-6)
    turned = subject_from_loaders(mine, [(TEXTS, 1 - LABELS)], class_names=["yes", "no"], split="test")
    assert torch.allclose(turned.outputs().double().softmax(1), want.flip(1), atol=1e-6)


def test_strings_and_code_points_give_the_same():
    reader = of_strings(as_network(pipeline()).network)
    assert isinstance(reader, OfStrings)
    assert torch.equal(reader(TEXTS), reader(to_codes(TEXTS)))


def test_a_pipeline_of_transformers_is_its_network_and_its_tokenizer(tokenizer):
    model = bert()
    whole = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer)
    subject = subject_from_loaders(whole, [(TEXTS, LABELS)], split="test")
    assert isinstance(subject.model, Tokenized)
    assert torch.allclose(
        subject.outputs().softmax(1)[:, 1],
        torch.tensor([next(e["score"] for e in whole(text, top_k=None) if e["label"] == "LABEL_1") for text in TEXTS]),
        atol=1e-5,
    )


@pytest.mark.parametrize("head", ["ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM"])
def test_heads_without_one_answer_a_text_are_refused_by_what_they_do(tokenizer, head):
    for given, options in ((list(batches(tokenizer)), {}), ([(TEXTS, LABELS)], {"tokenizer": tokenizer})):
        with pytest.raises(InputError, match=f"Bert{head}, which") as refusal:
            audit(bert(head), given, checks=["accuracy"], **options)
        assert "for each text" in str(refusal.value)


def test_other_inputs_beside_the_ids_are_refused_and_not_left_out(tokenizer):
    given = [b | {"position_ids": torch.zeros_like(b["input_ids"])} for b in batches(tokenizer)]
    with pytest.raises(InputError, match="position_ids beside input_ids"):
        audit(bert(), given, checks=["accuracy"])


def test_segments_that_the_network_does_not_take_are_refused(tokenizer):
    with pytest.raises(InputError, match="token_type_ids"):
        TokenNetwork(Mean())(to_tokens(torch.ones(1, 2, dtype=torch.long), None, torch.tensor([[0, 1]])))


@pytest.mark.slow
@pytest.mark.parametrize("targets", ["classes", "labels", "numbers"])
def test_no_check_of_an_audit_of_token_ids_fails(tokenizer, targets):
    columns = {"classes": 2, "labels": 3, "numbers": 1}[targets]
    y = {"classes": LABELS, "labels": (torch.rand(60, 3) > 0.5).long(), "numbers": torch.rand(60, 1)}[targets]
    report = audit(bert(num_labels=columns), list(batches(tokenizer, labels=y)), **LIMITS)
    assert [f.summary for f in report.findings if f.grade == "failed"] == []
    assert "without the tokenizer" in report["corruptions"].summary


@pytest.mark.slow
def test_no_check_of_an_audit_of_strings_fails():
    report = audit(pipeline(), [(TEXTS, LABELS)], class_names=["no", "yes"], **LIMITS)
    assert [f.summary for f in report.findings if f.grade == "failed"] == []
    assert "takes strings" in report["robustness"].summary


@pytest.mark.parametrize("strange", [None, float("nan"), b"bad"])
@pytest.mark.parametrize("form", [list, tuple, lambda rows: np.array(rows, dtype=object)])
def test_texts_that_are_none_are_refused_by_their_rows(strange, form):
    with pytest.raises(InputError, match=r"texts of the test loader.*in row 1, no string in 1 of 3"):
        one_batch((form(["good", strange, "fine"]), torch.zeros(3)), "test")


def test_arrays_of_strings_are_texts():
    for given in (np.array(["good", "bad"]), np.array(["good", "bad"], dtype=object)):
        assert to_texts(one_batch((given, torch.zeros(2)), "test")[0]) == ["good", "bad"]


def test_texts_without_a_token_are_refused():
    batch = {"input_ids": torch.ones(3, 2).long(), "attention_mask": torch.tensor([[1, 0], [0, 0], [0, 0]])}
    with pytest.raises(InputError, match=r"attention_mask.*2 of 3 rows.*from 0: 1, 2"):
        one_batch({**batch, "labels": torch.zeros(3)}, "test")
