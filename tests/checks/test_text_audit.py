"""Whole audits of networks that read texts: what each check says of them, and what it takes."""

import functools
import json
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from deepwright.adversarial.text import Substitutions, WordSubstitution
from deepwright.checks import Subject, audit, reads_texts
from deepwright.checks.subjects.simple_models import feature_rows
from deepwright.compress import cost
from deepwright.core.errors import InputError
from deepwright.core.tasks import Classification
from deepwright.core.texts import HashedWords, to_codes, to_texts
from deepwright.data import Data, Split, load, make_sentences
from deepwright.data.named.sentences import BLAME, PRAISE
from deepwright.nets.texts import Tokenized, WordTokenizer
from deepwright.workflows import AuditOptions
from deepwright.workflows.subjects import build_subject
from deepwright.workflows.text_networks import train_text_network

LIMITS = {"attack_limit": 16, "corruption_limit": 16, "ood_limit": 40, "batch_size": 64}
SWAPS = Substitutions({"good": ["bad"], "great": ["awful"], "warm": ["cold"]})


class Counts(nn.Module):
    """Praise minus blame: the known answer of the house's sentences, as a linear network on ids."""

    def __init__(self, tokenizer):
        super().__init__()
        self.embedding = nn.Embedding(len(tokenizer), 1)
        weights = torch.zeros(len(tokenizer), 1)
        index = {w: i + 2 for i, w in enumerate(to_texts(tokenizer.vocabulary))}
        for words, sign in ((PRAISE, 1.0), (BLAME, -1.0)):
            for word in words:
                weights[index[word]] = sign
        self.embedding.weight.data = weights

    def forward(self, ids):
        s = 3 * self.embedding(ids).sum(1)
        return torch.cat([-s, s], 1)


@pytest.fixture(scope="module")
def known():
    data = load("sentences")
    tokenizer = WordTokenizer.of(to_texts(data.train.x))
    return Tokenized(Counts(tokenizer).eval(), tokenizer), data


@pytest.fixture(scope="module")
def report(known):
    network, data = known
    with pytest.MonkeyPatch.context() as patch:  # latency is measured for a moment only
        patch.setattr("deepwright.compress.counting.costs.onnx_latency", lambda *_, **__: None)
        patch.setattr("deepwright.checks.cost.cost", functools.partial(cost, min_run_time=0.01))
        return audit(Subject(network, data, substitutions=SWAPS, **LIMITS))


def test_no_check_fails_and_all_apply(report):
    silent = {f.check: f.summary for f in report.findings if f.grade in ("failed", "n/a")}
    assert set(silent) == {"slices", "groups"}
    assert silent["slices"].endswith("no test sample is wrong.")
    assert "no column was named" in silent["groups"]
    json.dumps(report.to_dict())


def test_the_known_answer_is_right_everywhere(report):
    assert report["accuracy"].number("accuracy") == 1.0
    assert report["robustness"].number("clean_accuracy") == 1.0


def test_robust_accuracy_is_that_of_the_exchanges_that_the_list_allows(known, report):
    """A text falls within k words iff its lead is less than 2 k and so many of its words are in the list: counted here."""
    _, data = known
    some = data.test.take(LIMITS["attack_limit"], 0)
    texts = to_texts(some.x)
    found = report["robustness"]
    for share in (0.1, 0.2, 0.3):
        stands = 0
        for text, label in zip(texts, some.y.tolist()):
            words = [w.strip(".,;").lower() for w in text.split()]
            praise, blame = (sum(w in kind for w in words) for kind in (PRAISE, BLAME))
            lead = praise - blame if label else blame - praise
            swaps = sum(w in SWAPS.words for w in words) if label else 0
            allowed = -(-share * len(words) // 1)
            stands += lead - 2 * min(allowed, swaps) > 0
        assert found.number(f"robust_accuracy_at_{share:g}") == pytest.approx(stands / len(texts))
    assert found.number("random_accuracy_at_0.2") >= found.number("robust_accuracy_at_0.2")


def test_words_out_of_order_change_nothing_of_a_count(report):
    rows = {row[0]: row for row in report["corruptions"].tables[0].rows}
    assert rows["words out of order"][-1] == 0
    assert rows["changed capitals"][-1] == 0
    assert rows["keyboard typos"][-1] > 0


def test_cases_are_shown_as_texts(known, report):
    _, data = known
    cases = report["fragility"].tables[1]
    assert cases.columns[-1] == "text"
    assert to_texts(data.test.x)[cases.rows[0][0]].startswith(cases.rows[0][-1].removesuffix("..."))


def test_batches_of_strings_give_the_same_numbers(known):
    network, data = known
    texts, y = to_texts(data.test.x), data.test.y
    batches = DataLoader(list(zip(texts, y.tolist())), batch_size=37)
    one = audit(network.network, batches, tokenizer=network.tokenizer, split="test", checks=["accuracy"])
    two = audit(network, data, checks=["accuracy"])
    assert one["accuracy"].number("accuracy") == two["accuracy"].number("accuracy")
    assert one.subject["kind"] == "text"


def test_simple_methods_see_words(known):
    """Counts of hashed words are those of the words, whatever their order and case."""
    count = HashedWords(64)
    a, b = count(["Good plot, good cast", "cast good PLOT good"])
    assert torch.equal(a, b)
    assert float(a.max()) == pytest.approx(torch.tensor(3.0).log().item())
    assert torch.equal(count(to_codes(["x y z"])), count(["x y z"]))
    network, data = known
    assert Subject(network, data).simple_models.best()[0] != ""


def test_leaks_are_the_test_texts_that_were_trained_on(known, report):
    network, data = known
    seen = {t for part in (data.train, data.validation) for t in to_texts(part.x)}
    share = sum(t in seen for t in to_texts(data.test.x)) / len(data.test)
    assert report["duplicates"].number("leaked_equal") == pytest.approx(share)
    copied = data.test.where(torch.arange(40))
    copied = replace(copied, x=torch.cat([data.train.x[:10], copied.x[10:]]))
    found = audit(Subject(network, replace(data, test=copied), **LIMITS), checks=["duplicates"])["duplicates"]
    share = (10 + sum(t in seen for t in to_texts(copied.x[10:]))) / 40
    assert found.number("leaked_equal") == pytest.approx(share)
    first = found.tables[0].rows[0]
    assert to_texts(data.train.x[:1])[0][:30] in str(found.tables[0].rows)
    assert first[0] == "test"


def test_a_reference_of_other_lengths_differs_in_words(known):
    network, data = known
    other, y = make_sentences(120, parts=5, seed=9)
    longer = Split(to_codes(other), y)
    found = audit(Subject(network, data, reference=longer, **LIMITS), checks=["drift"])["drift"]
    row = next(row for row in found.tables[0].rows if row[0] == "words")
    assert row[2] == pytest.approx(sum(len(t.split()) for t in other) / len(other))
    assert found.number("p_value") < 0.01


def test_simple_methods_judge_labels_by_counts_of_words(known):
    _, data = known
    assert torch.equal(feature_rows(data.validation, 0), HashedWords()(data.validation.x))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_rows_of_whole_numbers_are_no_texts(dtype):
    rows = torch.randint(0, 9, (90, 3), generator=torch.Generator().manual_seed(0))
    network = nn.Linear(3, 2)
    y = network(rows.float()).argmax(1)
    found = audit(network, [(rows.to(dtype), y)], checks=["accuracy"])
    assert found.subject["kind"] == "tabular"
    assert found["accuracy"].number("accuracy") == 1.0


def test_texts_are_never_read_again_from_a_loader(known, monkeypatch):
    """However large: texts of several lengths make no rows."""
    network, data = known
    monkeypatch.setattr("deepwright.checks.subjects.rereading.STREAMED", 1)
    texts = list(zip(to_texts(data.test.x[:60]), data.test.y[:60].tolist()))
    found = audit(network, DataLoader(texts, 20), checks=["accuracy"])
    assert found["accuracy"].number("accuracy") == 1.0


def test_a_network_without_gradients_is_attacked_by_words_only(known):
    network, data = known

    class NoGradient(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network.network

        def forward(self, ids):
            return self.inner(ids).detach()

    found = audit(Subject(Tokenized(NoGradient().eval(), network.tokenizer), data, **LIMITS), checks=["robustness"])
    found = found["robustness"]
    assert found.grade not in ("failed", "n/a")
    assert "Embeddings aren't attacked" in found.summary
    assert not any(name.startswith("embedding") for name in found.values)


def test_a_list_without_words_of_the_texts_does_not_apply(known):
    network, data = known
    subject = Subject(network, data, substitutions=Substitutions({"zebra": ["horse"]}), **LIMITS)
    assert "no word" in audit(subject, checks=["robustness"])["robustness"].summary


def test_texts_need_a_tokenizer_and_only_one(known):
    network, data = known
    with pytest.raises(InputError, match="tokenizer"):
        Subject(network.network, data)
    with pytest.raises(InputError, match="tokenizer"):
        reads_texts(network, network.tokenizer)
    with pytest.raises(InputError, match="no embedding for"):
        audit(network.network, data, tokenizer=lambda texts: [[9999]] * len(texts))


@pytest.mark.parametrize("made", [[["a"]], torch.rand(2, 3), torch.ones(5, 3).long(), None])
def test_what_a_tokenizer_must_give(known, made):
    network, _ = known
    with pytest.raises(InputError, match="tokenizer"):
        Tokenized(network.network, lambda texts: made)(["one", "two"])


def test_ragged_ids_are_filled_up():
    ids = Tokenized(nn.Identity(), lambda texts: [[1] * len(t) for t in texts]).encode(["ab", "a"])
    assert ids.tolist() == [[1, 1], [1, 0]]


def test_the_vocabulary_travels_with_the_weights(known, tmp_path):
    from deepwright.nets import read_weights, write_weights

    network, data = known
    write_weights(tmp_path / "w.safetensors", network)
    other = WordTokenizer(["another"], length=3)
    other.load_state_dict(
        {
            k.removeprefix("tokenizer."): v
            for k, v in read_weights(tmp_path / "w.safetensors").items()
            if "tokenizer" in k
        }
    )
    texts = to_texts(data.test.x[:5])
    assert torch.equal(other(texts), network.tokenizer(texts))


def test_the_answer_of_the_sentences_is_known():
    texts, y = make_sentences(300, seed=4)
    for text, label in zip(texts, y.tolist()):
        words = [w.strip(".,;").lower() for w in text.split()]
        assert (sum(w in PRAISE for w in words) > sum(w in BLAME for w in words)) == bool(label)


@pytest.mark.slow
def test_a_network_that_is_trained_here_learns_them():
    data = load("sentences")
    network = train_text_network(data)
    assert float((network(data.test.x).argmax(1) == data.test.y).double().mean()) > 0.9
    attack = WordSubstitution(Classification(2), share=0.1)
    assert bool(attack(network, to_texts(data.test.x[:20]), data.test.y[:20]).success.any())


def tiny_bert():
    """transformers, the sentences, a tokenizer of their words and a small configuration."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    data = load("sentences")
    words = sorted({w for t in to_texts(data.train.x) for w in t.replace(",", " ").replace(".", " ").split()})
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", *words])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="[PAD]", unk_token="[UNK]")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )

    return transformers, data, tokenizer, config


@pytest.mark.slow
def test_a_tiny_bert_is_audited():
    """From a config, with a tokenizer of words that is built here: attention masks follow the padding."""
    transformers, data, tokenizer, config = tiny_bert()
    network = Tokenized(transformers.BertForSequenceClassification(config).eval(), tokenizer)
    assert network.tokenizer.longest == 40
    assert network.encode(["word " * 100]).shape == (1, 40)
    short, long = network(["the plot was good"]), network(["the plot was good", "the plot was good " * 9])
    assert torch.allclose(short[0], long[0], atol=1e-5)
    print_before = network.tokenizer.fingerprint
    small = data.limited(60, 80)
    found = audit(Subject(network, small, attack_limit=8, corruption_limit=8, ood_limit=16))
    assert {f.check: f.summary for f in found.findings if f.grade == "failed"} == {}
    assert found["robustness"].number("embedding_l2_accuracy_at_1") <= found["robustness"].number("clean_accuracy")
    assert network.tokenizer.fingerprint == print_before  # whatever was padded in between


@pytest.mark.slow
def test_a_folder_of_save_pretrained_brings_its_tokenizer_and_the_order_of_its_classes(tmp_path):
    transformers, data, tokenizer, config = tiny_bert()
    config.id2label, config.label2id = {0: "Praise", 1: "Blame"}, {"Praise": 0, "Blame": 1}
    config.pad_token_id = 1  # not the tokenizer's, whose padding counts
    model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    rows = [
        json.dumps({"text": t, "label": data.classes[k]})
        for t, k in zip(to_texts(data.test.x[:60]), data.test.y[:60].tolist())
    ]
    (tmp_path / "s.jsonl").write_text("\n".join(rows))
    options = AuditOptions(model=str(tmp_path / "bert"), data=tmp_path / "s.jsonl", split="test", out=None)
    subject = build_subject(options, trains=False)
    assert subject.class_names == ("Praise", "Blame")
    texts = to_texts(subject.data.test.x)
    named = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        want = model(input_ids=named["input_ids"], attention_mask=named["attention_mask"]).logits
    assert torch.allclose(subject.logits(), want, atol=1e-5)
    truth = {t: data.classes[k] for t, k in zip(to_texts(data.test.x), data.test.y.tolist())}
    assert [subject.class_names[k].lower() for k in subject.data.test.y.tolist()] == [truth[t] for t in texts]


def test_an_interrupted_audit_knows_words_and_tokenizer(known, tmp_path):
    network, data = known
    journal = tmp_path / "findings.jsonl"
    audit(Subject(network, data, substitutions=SWAPS), checks=["calibration"], journal=journal)
    audit(Subject(network, data, substitutions=SWAPS), checks=["calibration"], journal=journal)
    with pytest.raises(InputError, match="options"):
        audit(
            Subject(network, data, substitutions=Substitutions({"a": ["b"]})), checks=["calibration"], journal=journal
        )
    shorter = Tokenized(network.network, WordTokenizer(to_texts(network.tokenizer.vocabulary), length=20))
    with pytest.raises(InputError, match="model"):
        audit(Subject(shorter, data, substitutions=SWAPS), checks=["calibration"], journal=journal)


@pytest.mark.slow
def test_the_command_reads_texts(tmp_path, monkeypatch):
    """A network and a tokenizer of the user's by their names, texts by their columns, words from a file."""
    from click.testing import CliRunner

    from deepwright.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_reader.py").write_text(
        "import torch\n"
        "def tokens(texts):\n"
        "    return [[1 + ('good' in w) + 2 * ('bad' in w) for w in t.split()] for t in texts]\n"
        "class Reader(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.e = torch.nn.Embedding(4, 2)\n"
        "        self.e.weight.data = torch.tensor([[0., 0.], [0., 0.], [0., 2.], [2., 0.]])\n"
        "    def forward(self, ids):\n"
        "        return self.e(ids).sum(1)\n"
    )
    rows = [f"it was a {['bad', 'good'][i % 2]} day number {i},{['sad', 'glad'][i % 2]}" for i in range(60)]
    (tmp_path / "days.csv").write_text("said,mood\n" + "\n".join(rows) + "\n")
    (tmp_path / "words.csv").write_text("good,bad\n")
    words = "audit own_reader:Reader --tokenizer own_reader:tokens --data days.csv --text said --target mood --classes"
    words = f"{words} sad,glad --substitutions words.csv --check accuracy --check robustness --json found.json"
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 0, result.output
    found = {f["check"]: f for f in json.loads((tmp_path / "found.json").read_text())["findings"]}
    assert found["accuracy"]["values"]["accuracy"]["value"] == 1.0
    share = found["robustness"]["values"]["robust_accuracy_at_0.1"]["value"]
    assert share == pytest.approx(0.5, abs=0.02)  # each good day becomes a bad one, no bad day a good one


@pytest.mark.slow
def test_multi_label_and_other_tasks_read_texts(known):
    """The trivial predictor is the baseline; the attack takes the task's own losses."""
    from deepwright.core.tasks import MultiLabel

    network, data = known

    def both(split):
        return Split(split.x, torch.stack([split.y, 1 - split.y], 1).float())

    parts = [both(getattr(data, part)) for part in ("train", "validation", "test")]
    two = Data("two", "text", ("praise", "blame"), *parts)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network.network

        def forward(self, ids):
            return self.inner(ids).flip(1)

    limits = {**LIMITS, "attack_limit": 8, "corruption_limit": 8}
    subject = Subject(
        Tokenized(Two().eval(), network.tokenizer), two, task=MultiLabel(2), substitutions=SWAPS, **limits
    )
    found = audit(subject, checks=["accuracy", "robustness", "ood"])
    assert {f.check: f.grade for f in found.findings if f.grade == "failed"} == {}
    assert found["robustness"].number("clean_accuracy") == 1.0
