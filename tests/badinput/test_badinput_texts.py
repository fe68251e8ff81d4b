"""Bad input to what reads, perturbs and attacks texts and series."""

import torch
from refusals import Bad, command, over
from torch import nn

import deepwright as dw
from deepwright.adversarial.text import FromEmbeddings, Substitutions, WordSubstitution, read_substitutions, typos
from deepwright.checks import Subject
from deepwright.core.tasks import Classification
from deepwright.core.texts import HashedTokens, HashedWords, joined_tokens, to_codes, to_texts, to_tokens
from deepwright.corruptions import SERIES, TEXTS, Suite, series_in_units
from deepwright.data import load, load_strings, load_texts, make_sentences
from deepwright.nets import from_callable
from deepwright.nets.texts import (
    TextCNN,
    Tokenized,
    TokenNetwork,
    WordTokenizer,
    as_tokenizer,
    folder_tokenizer,
    named_tokenizer,
    of_strings,
)
from deepwright.workflows import AuditOptions
from deepwright.workflows.subjects import build_subject

TASK = Classification(2)
TOKENIZER = WordTokenizer(["good", "bad"], length=4)
NET = Tokenized(TextCNN(4, 2).eval(), TOKENIZER)
IDS = torch.tensor([[1, 2, 3], [3, 2, 1]])
TWO = ["a good one", "a bad one"]
Y = torch.tensor([0, 1])
SENTENCES = load("sentences", limit=20)
ROWS = "text\tlabel\none\ta\ntwo\tb\n"


def attack(texts=TWO, y=Y, **options):
    return WordSubstitution(TASK, **options)(NET, texts, y)


def written(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


def audited(**options):
    return build_subject(AuditOptions(data=SENTENCES, out=None, **options), trains=False)


def of_rows(**options):
    return build_subject(AuditOptions(nn.Linear(30, 2), data="breast-cancer", out=None, **options), trains=False)


TEXT_ROWS = [
    Bad("a text for texts", lambda _: to_codes("one"), ("texts", "'one'", "list of strings")),
    Bad("no texts", lambda _: to_codes([]), ("texts", "at least one")),
    Bad("floats as code points", lambda _: to_texts(torch.rand(2, 3)), ("float32", "code points")),
    Bad("no columns for words", lambda _: HashedWords(0), ("columns", "1")),
    Bad("no columns for tokens", lambda _: HashedTokens(0), ("columns", "1")),
    Bad("a share of 0", lambda _: attack(share=0.0), ("share", "0")),
    Bad("a share of 20 %, in per cent", lambda _: attack(share=20), ("share", "20")),
    Bad("an unknown order", lambda _: attack(order="luck"), ("order", "luck", "importance")),
    Bad("no task", lambda _: WordSubstitution(None), ("task", "Classification")),
    Bad("candidates that are no function", lambda _: attack(candidates={"a": ["b"]}), ("candidates", "Substitutions")),
    Bad("one label for two texts", lambda _: attack(y=Y[:1]), ("labels", "1")),
    Bad("labels out of range", lambda _: attack(y=Y + 1), ("labels", "0..1")),
    Bad("code points for texts", lambda _: attack(texts=to_codes(TWO)), ("texts", "list of strings")),
    Bad("an empty list of words", lambda _: Substitutions({}), ("substitutions",)),
    Bad("a word without a list", lambda _: Substitutions({"good": "fine"}), ("substitutions", "list of words", "good")),
    Bad("no slips", lambda _: typos("weather", 0), ("most", "1")),
    Bad("no file of words", lambda d: read_substitutions(d / "none.json"), ("none.json",)),
    Bad("words that are no JSON", lambda d: read_substitutions(written(d, "a.json", "{")), ("a.json", "JSON")),
    Bad("embeddings in L1", lambda _: FromEmbeddings(NET.network, Y[None], norm="l1"), ("norm", "l2")),
    Bad("a network without an embedding", lambda _: FromEmbeddings(nn.Identity(), Y[None]), ("embedding", "token ids")),
    Bad("words for a tokenizer", lambda _: as_tokenizer("bert"), ("tokenizer", "bert", "callable")),
    Bad("a class for a tokenizer", lambda _: as_tokenizer(WordTokenizer), ("tokenizer", "callable")),
    Bad("no such module", lambda _: named_tokenizer("no_such_module_here:name"), ("no_such_module_here",)),
    Bad("no such name", lambda _: named_tokenizer("json:nothing"), ("tokenizer", "nothing")),
    Bad("a folder without a tokenizer", lambda d: folder_tokenizer(d), ("tokenizer", "save_pretrained")),
    Bad("training texts without words", lambda _: WordTokenizer.of(["", " "]), ("training texts", "no word")),
    Bad("a network of no words", lambda _: TextCNN(0, 2), ("vocabulary", "1")),
    Bad("an even number of clauses", lambda _: make_sentences(5, parts=2), ("parts", "1")),
    Bad("no file", lambda d: load_texts(d / "none.csv"), ("none.csv", "does not exist")),
    Bad("a table of another kind", lambda d: load_texts(written(d, "a.xlsx", "x")), ("a.xlsx", ".csv")),
    Bad("no such column", lambda d: load_texts(written(d, "a.csv", "a,b\n1,2\n")), ("text", "a, b", "--text")),
    Bad("lines that are no JSON", lambda d: load_texts(written(d, "a.jsonl", "{")), ("a.jsonl",)),
    Bad("an empty folder", lambda d: load_texts(d), ("class", ".txt")),
    Bad("texts that are streamed", lambda d: load(written(d, "a.tsv", ROWS), stream=True), ("stream", "texts")),
    Bad(
        "a column aside of texts",
        lambda d: load(written(d, "a.csv", ROWS), text="text", aside=["n"]),
        ("aside", "texts"),
    ),
    Bad(
        "texts with numbers", lambda d: load(written(d, "a.tsv", ROWS), task="regression"), ("target", "finite numbers")
    ),
    Bad(
        "two columns of texts",
        lambda d: load(written(d, "a.tsv", ROWS), text=("a", "b")),
        ("text", "pairs", "one column", "token_type_ids"),
    ),
    Bad(
        "a column that is text and target", lambda d: load(written(d, "a.tsv", ROWS), text="a", target="a"), ("target",)
    ),
    Bad("boxes of texts", lambda d: load(written(d, "a.tsv", ROWS), task="detection"), ("task", "regression")),
    Bad("tokens in floats", lambda _: to_tokens(torch.ones(2, 3)), ("input_ids", "whole numbers")),
    Bad("a mask of other numbers", lambda _: to_tokens(IDS, IDS), ("attention_mask", "0..1")),
    Bad("a mask of another shape", lambda _: to_tokens(IDS, IDS[:1]), ("attention_mask", "(1, 3)")),
    Bad(
        "masks of texts without a token",
        lambda _: to_tokens(IDS, torch.zeros_like(IDS).index_fill(0, torch.tensor([0]), 1)),
        ("attention_mask", f"{len(IDS) - 1} of {len(IDS)} rows", "from 0: 1"),
    ),
    Bad("ids below 0", lambda _: to_tokens(IDS - 2), ("input_ids", "-1")),
    Bad("tokens of unlike lengths", lambda _: joined_tokens([IDS, IDS[:, :2]]), ("attention_mask", "2 to 3")),
    Bad("no network of tokens", lambda _: TokenNetwork("bert"), ("model", "nn.Module")),
    Bad("ids beyond the embedding", lambda _: TokenNetwork(NET.network)(99999 * IDS), ("input_ids", "embedding")),
    Bad(
        "an estimator of rows for strings",
        lambda _: of_strings(from_callable(lambda x: x.sum(1)))(["a text"]),
        ("function", "strings"),
    ),
    Bad(
        "two classes of a text",
        lambda d: load(written(d, "a.tsv", ROWS), target=("a", "b")),
        ("column", "text, label", "--target"),
    ),
    Bad("foreign texts that aren't there", lambda d: load_strings(d / "none.txt"), ("none.txt",)),
    Bad("texts in floats to corrupt", lambda _: TEXTS[0](torch.rand(2, 3), 1), ("code points", "to_codes")),
    Bad("a severity of texts", lambda _: TEXTS[0](to_codes(TWO), 7), ("severity", "7")),
    Bad("a ready network and its tokenizer twice", lambda _: audited(model=NET, tokenizer=TOKENIZER), ("tokenizer",)),
    Bad("a network without a tokenizer", lambda _: audited(model=NET.network), ("tokenizer", "--tokenizer")),
    Bad("rows with a tokenizer", lambda _: of_rows(tokenizer=len), ("tokenizer", "tabular", "texts")),
    Bad("rows with words", lambda _: of_rows(substitutions="a.csv"), ("substitutions", "tabular", "texts")),
    Bad("pictures with a column of texts", lambda _: command("audit", "--text", "body"), ("text", "mnist")),
    Bad("texts to shrink", lambda _: command("shrink", "--data", "sentences"), ("texts", "sentences")),
    Bad(
        "a list of words beside a table",
        lambda _: Subject(nn.Linear(30, 2), load("breast-cancer"), substitutions=typos),
        ("substitutions", "tabular"),
    ),
    Bad(
        "numbers in a batch with a tokenizer",
        lambda _: dw.audit(nn.Linear(4, 2), [(torch.rand(30, 4), torch.arange(30) % 2)], tokenizer=len),
        ("tokenizer", "no texts"),
    ),
    Bad("a suite of words", lambda _: Suite([1, 2]), ("which", "1")),
    Bad("series without time", lambda _: SERIES[0](torch.rand(5), 1), ("series", "(N, time, channels)")),
    Bad("series of NaN", lambda _: SERIES[0](torch.rand(2, 5, 1) / 0, 1), ("series", "NaN or infinity", "finite")),
    Bad("series of whole numbers", lambda _: SERIES[0](torch.ones(2, 5).long(), 1), ("series", "int64", "floats")),
    Bad("too few channels", lambda _: SERIES[4](torch.rand(2, 5, 1), 1), ("channels", "2 or more")),
    Bad("no deviation", lambda _: series_in_units(torch.zeros(2), torch.zeros(2)), ("scale", "above 0")),
]

test_it_is_refused = over(TEXT_ROWS)
