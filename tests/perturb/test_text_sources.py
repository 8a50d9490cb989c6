"""Where synonyms come from: files, WordNet on disk, neighbours learned and checked; back-translation."""

import importlib
import json
import pickle
import sys
import types

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, ParameterError
from augsynth.core.persistence import load, save
from augsynth.core.random import ItemKeys, item_rng
from augsynth.perturb import Compose
from augsynth.perturb.inflection import inflected, stems
from augsynth.perturb.text import RandomInsert, SynonymSwap
from augsynth.perturb.text_policies import text_medium
from augsynth.perturb.thesaurus import Thesaurus, as_word_source
from augsynth.perturb.translation import BackTranslation
from augsynth.perturb.word_neighbours import LearnedNeighbours
from augsynth.perturb.wordnet import WordNet

WANTED = {"happy": ("glad", "full of joy"), "cat": ("feline",)}


# ------------------------------------------------------------------ files
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "# mine\nHappy: glad, full of joy\n\ncat: feline # of course\n"),
        ("a.csv", 'word,synonyms\nhappy,glad,full of joy\ncat,"feline"\n'),
        ("b.csv", "happy,glad|full of joy\ncat,feline; cat\n"),
        ("a.tsv", "happy\tglad\tfull of joy\ncat\tfeline\n"),
        ("a.json", '{"happy": ["glad", "full of joy"], "cat": "feline"}'),
        ("bom.txt", "\ufeffhappy: glad; full of joy\ncat: feline\n"),
    ],
)
def test_every_form_of_file(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert Thesaurus(tmp_path / name).fit().table_ == WANTED
    assert as_word_source(str(tmp_path / name), "x").alternatives("happy") == WANTED["happy"]


def test_groups_and_symmetry(tmp_path):
    path = tmp_path / "groups.json"
    path.write_text(json.dumps([["happy", "glad", "merry"], ["cat", "feline"]]))
    table = Thesaurus(path).fit().table_
    assert table["merry"] == ("happy", "glad") and table["feline"] == ("cat",)
    table = Thesaurus({"Happy": ["glad"]}, symmetric=True).fit().table_
    assert table == {"happy": ("glad",), "glad": ("Happy",)}


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        (
            "a.txt",
            b"happy: glad\njust words\n",
            r"a\.txt: every line must read 'word: synonym.*'just words' in line 2",
        ),
        ("a.csv", b"happy,glad\ncat\n", "'cat' in line 2"),
        ("a.json", b"{", "must be JSON"),
        ("a.json", b"[" * 100_000, "must be JSON"),
        ("a.json", b"3", "given a int"),
        ("a.json", b'{"a": [1]}', "synonyms of 'a' must be words; given 1"),
        ("a.txt", b"caf\xe9: bar", "must be text in UTF-8; given byte 0xe9 at 3"),
        ("a.txt", b"", "at least one word with a synonym"),
        ("a.txt", b"cat: Cat", "at least one word with a synonym"),
    ],
)
def test_bad_files_get_the_sentence(tmp_path, name, content, named):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=named):
        SynonymSwap(tmp_path / name).fit(["a text"])


def test_no_file_and_no_thesaurus():
    with pytest.raises(DataError, match="No such file"):
        SynonymSwap("no/such/file.csv")("a text of words", random_state=0)
    with pytest.raises(ParameterError, match="source must be a dict of word to synonyms"):
        Thesaurus().fit()
    with pytest.raises(DataError, match="every entry must be a word and its synonyms; given 3: 'a'"):
        Thesaurus({3: "a"}).fit()


def test_an_edit_with_a_file_is_saved_with_what_it_read(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("happy: glad")
    for thesaurus in (str(path), Thesaurus(str(path)), {"happy": "glad"}):
        edit = SynonymSwap(thesaurus, p=1.0, protect=["sad"]).fit(None)
        save(edit, tmp_path / "edit")
        assert load(tmp_path / "edit")("Happy", random_state=0) == "Glad"
    unread = SynonymSwap(path, p=1.0).fit(None)
    path.unlink()
    assert unread("happy", random_state=0) == "glad"


def test_endings():
    right = {
        ("party", "s"): "parties", ("box", "s"): "boxes", ("day", "s"): "days", ("child", "s"): None,
        ("stop", "ed"): "stopped", ("like", "ed"): "liked", ("try", "ed"): "tried", ("go", "ed"): None,
        ("play", "ing"): "playing", ("make", "ing"): "making", ("run", "ing"): "running", ("die", "ing"): "dying",
        ("see", "ing"): "seeing", ("visit", "ed"): "visited", ("prefer", "ing"): "preferring", ("fix", "ed"): "fixed",
        ("quit", "ing"): "quitting", ("look", "ing"): "looking", ("give up", "ing"): None, ("Paris", "s"): None,
    }  # fmt: skip
    for (word, ending), form in right.items():
        assert inflected(word, ending) == form
        if form is not None:
            assert (word, ending) in stems(form)
    assert stems("bus") == stems("class") == stems("this") == stems("sing") == []


# ------------------------------------------------------------------ WordNet
class Sense:
    def __init__(self, *names):
        self.names = list(names)

    def lemmas(self):
        return self.names

    lemma_names = lemmas


SENSES = {
    "happy": [Sense("happy", "glad", "full_of_joy"), Sense("happy", "lucky")],
    "cat": [Sense("cat", "feline")],
}
SENSES["cats"] = SENSES["cat"]  # nltk looks up base forms


def nltk_there(monkeypatch, *, data=True):
    def ensure_loaded():
        if not data:
            raise LookupError("Resource wordnet not found. nltk.download('wordnet')")

    corpus = types.ModuleType("nltk.corpus")
    corpus.wordnet = types.SimpleNamespace(ensure_loaded=ensure_loaded, synsets=lambda w: SENSES.get(w, []))
    monkeypatch.setitem(sys.modules, "nltk", types.ModuleType("nltk"))
    monkeypatch.setitem(sys.modules, "nltk.corpus", corpus)
    known = importlib.util.find_spec
    here = ("nltk",) if data is not None else ()
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: (n in here or None) if n in ("wn", "nltk") else known(n)
    )


def test_wordnet_through_nltk(monkeypatch):
    nltk_there(monkeypatch)
    source = WordNet().fit()
    assert source.alternatives("happy") == ("glad", "full of joy") and source.alternatives("cats") == (
        "felines",
    )
    assert WordNet(senses=2).alternatives("happy") == ("glad", "full of joy", "lucky")
    assert source.alternatives("nothing") == ()
    edit = SynonymSwap("wordnet", p=1.0).fit(["a"])
    assert pickle.loads(pickle.dumps(edit))("Cats are happy", random_state=1).startswith("Felines are ")


def test_wordnet_through_wn(monkeypatch, tmp_path):
    wn = types.ModuleType("wn")
    wn.config = types.SimpleNamespace(database_path=tmp_path / "wn.db")
    wn.lexicons = lambda lang: [types.SimpleNamespace(id="oewn", version="2024")]
    wn.Wordnet = lambda lexicon: types.SimpleNamespace(
        synsets=lambda w: SENSES.get(w, []) if lexicon == "oewn:2024" else 0
    )
    monkeypatch.setitem(sys.modules, "wn", wn)
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: (n == "wn" or None) if n in ("wn", "nltk") else known(n)
    )
    with pytest.raises(ParameterError, match="WordNet must be on this machine"):
        WordNet().fit()
    assert not (tmp_path / "wn.db").exists()
    (tmp_path / "wn.db").touch()
    assert WordNet().fit().alternatives("happy") == ("glad", "full of joy")


@pytest.mark.parametrize("data", [False, None])
def test_without_wordnet_the_sentence_says_what_to_do(monkeypatch, data):
    nltk_there(monkeypatch, data=data)
    with pytest.raises(
        ParameterError, match=r"WordNet must be on this machine.*no data of wn or nltk.*nltk\.downloader"
    ):
        SynonymSwap("wordnet").fit(["a text"])


# ------------------------------------------------------------------ learned neighbours
def planted(n=400, seed=0):
    """Texts in which big and large are one word, and great and awful stand alike but carry the label."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        label = int(rng.integers(2))
        size, judged = rng.choice(["big", "large"]), "great" if label else "awful"
        thing, who = rng.choice(["house", "garden", "street", "river"]), rng.choice(["we", "they", "people"])
        filler = " ".join(rng.choice(["today", "again", "outside", "perhaps", "yesterday", "somewhere"], 3))
        texts.append(f"{who} saw a {size} {thing} and found it {judged} because {filler}")
        labels.append(label)
    return texts, labels


def test_words_in_one_place_are_neighbours_unless_the_label_hangs_on_them():
    texts, labels = planted()
    source = LearnedNeighbours(min_similarity=0.5).fit(texts, labels)
    assert source.checked_
    assert "large" in source.alternatives("big") and "big" in source.alternatives("large")
    assert "awful" not in source.alternatives("great") and "great" not in source.alternatives("awful")
    told = source.refused_.set_index(["word", "neighbour"]).loc[("great", "awful")]
    n_great = sum(labels)
    n = len(labels)
    # The definition by hand: log shares within and without class 1, two texts credited at its frequency.
    share = 2 * np.array([n - n_great, n_great]) / n
    great = np.log((n_great + share[1]) / n_great) - np.log(share[0] / (n - n_great))
    awful = np.log(share[1] / n_great) - np.log((n - n_great + share[0]) / (n - n_great))
    assert told["evidence"] == pytest.approx(great - awful)
    assert told["label"] in (0, 1)


def test_without_labels_nothing_is_refused_and_that_is_said():
    texts, labels = planted()
    with pytest.warns(AugsynthWarning, match="Give the labels, or set max_evidence=None"):
        source = LearnedNeighbours(min_similarity=0.5).fit(texts)
    assert not source.checked_ and "awful" in source.alternatives("great") and not len(source.refused_)
    source = LearnedNeighbours(min_similarity=0.5, max_evidence=None).fit(texts, labels)
    assert not source.checked_ and "awful" in source.alternatives("great")
    with pytest.warns(AugsynthWarning, match="no word has a neighbour"):
        strict = LearnedNeighbours(min_similarity=0.5, max_evidence=0.0).fit(texts, labels)
    assert strict.alternatives("great") == ()


def test_learning_is_repeatable_and_many_classes_are_asked_each():
    texts, labels = planted()
    three = [label if k % 3 else "other" for k, label in enumerate(labels)]
    first, again = (LearnedNeighbours(min_similarity=0.5).fit(texts, three) for _ in range(2))
    assert first.neighbours_ == again.neighbours_
    assert "awful" not in first.alternatives("great") and "large" in first.alternatives("big")
    some = [None if k % 2 else label for k, label in enumerate(labels)]  # half of the labels are missing
    assert "awful" not in LearnedNeighbours(min_similarity=0.5).fit(texts, some).alternatives("great")


def test_negations_and_words_beside_each_other_are_no_synonyms():
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(300):
        verb, mood = rng.choice(["do", "not", "really"], 2)
        texts.append(f"i {verb} {mood} like this {rng.choice(['film', 'book'])} customer service line")
    source = LearnedNeighbours(min_similarity=-1.0, n_neighbours=20).fit(texts, [0, 1] * 150)
    assert (
        all("not" not in found for found in source.neighbours_.values()) and "not" not in source.neighbours_
    )
    assert "service" not in source.alternatives("customer")
    free = LearnedNeighbours(min_similarity=-1.0, n_neighbours=20, language=None).fit(texts, [0, 1] * 150)
    assert "not" in free.neighbours_


@pytest.mark.filterwarnings("ignore:LearnedNeighbours. no word has a neighbour")
@pytest.mark.parametrize("texts", [[""], ["", "!!!"], ["one"], ["a b c"], []])
def test_too_little_to_learn_from_gives_no_neighbours(texts):
    source = LearnedNeighbours(min_count=1).fit(texts, [0] * len(texts))
    assert source.neighbours_ == {} or len(texts[0]) > 3
    assert (
        SynonymSwap(LearnedNeighbours()).fit(texts, [0] * len(texts))("some words", random_state=0)
        == "some words"
    )


def test_bad_learning_gets_the_sentence():
    with pytest.raises(InputTypeError, match="LearnedNeighbours: texts must be"):
        LearnedNeighbours().fit(None)
    with pytest.raises(DataError, match="SynonymSwap: every text must be a str; given None at 1"):
        SynonymSwap(LearnedNeighbours()).fit(["a", None], [0, 1])
    with pytest.raises(DataError, match=r"there must be one label a text; given shape \(1,\) for 2 texts"):
        LearnedNeighbours().fit(["a", "b"], [0])
    with pytest.raises(DataError, match="labels must be at most 1000 classes; given 1500 values"):
        LearnedNeighbours().fit(["a"] * 1500, np.linspace(0, 1, 1500))
    with pytest.raises(DataError, match="given None at 1"):
        LearnedNeighbours().fit(["a", None], [0, 1])
    with pytest.raises(ParameterError, match="window must be a whole number >= 1"):
        LearnedNeighbours(window=0).fit(["a"])
    with pytest.raises(NotFittedError, match="neighbours must be learned from training texts"):
        SynonymSwap(LearnedNeighbours())("some words", random_state=0)


def test_policies_learn_and_are_saved(tmp_path):
    texts, labels = planted()
    policy = text_medium(LearnedNeighbours(min_similarity=0.5))
    assert policy.learns and not text_medium(WANTED).learns
    policy = clone(policy).fit(pd.Series(texts), pd.Series(labels))
    keys = ItemKeys(0, 0, np.arange(len(texts)))
    made = policy.edit_many(texts, keys)
    assert sum(a != b for a, b in zip(made, texts, strict=True)) > 100
    assert pickle.loads(pickle.dumps(policy)).edit_many(texts, keys) == made
    save(policy, tmp_path / "policy")
    assert load(tmp_path / "policy").edit_many(texts, keys) == made


def test_edits_share_what_a_fitted_source_knows():
    texts, labels = planted()
    for kind in (SynonymSwap, RandomInsert):
        edit = kind(LearnedNeighbours(min_similarity=0.5), p=1.0).fit(texts, labels)
        new = edit("a big and great house", random_state=0)
        assert "large" in new and "awful" not in new


# ------------------------------------------------------------------ back-translation
def shout(texts):
    return [text.upper() for text in texts]


def whisper(text: str) -> str:
    return text.lower()


def roll(text: str, rng) -> str:
    return f"{text} {rng.integers(100)}"


def roll_many(texts: list[str], seeds: list[int]) -> list[str]:
    return [f"{text} {seed % 1000}" for text, seed in zip(texts, seeds, strict=True)]


def forgets(texts):
    return None


def loses(texts):
    return texts[1:]


def upper(text):
    return text.upper()


def numbers(texts):
    return [1 for _ in texts]


@pytest.mark.parametrize("function", [shout, whisper, roll, roll_many])
def test_translation_in_batches_is_translation_of_each(function):
    xs = ["Good day", "", "  \n", "12:30", "How are you?", "Fine"] * 3
    edit = BackTranslation(function, batch_size=4).fit(xs)
    keys = ItemKeys(5, 0, np.arange(len(xs)))
    many = edit.edit_many(xs, keys)
    assert many == [edit.apply(x, edit.draw(x, item_rng(5, 0, k))) for k, x in enumerate(xs)]
    assert many[1:4] == xs[1:4] and many[0] != xs[0]
    assert Compose([edit]).fit(xs).edit_many(pd.Series(xs), keys.child(0)) is not None
    if function in (roll, roll_many):
        assert len(set(many)) > len(set(xs)) and many != edit.edit_many(
            xs, ItemKeys(6, 0, np.arange(len(xs)))
        )


def test_lists_are_handed_over_in_batches():
    sizes = []
    global counting

    def counting(texts):
        sizes.append(len(texts))
        return texts

    counting.__qualname__ = "counting"
    BackTranslation(counting, batch_size=4).edit_many(["a"] * 10, ItemKeys(0, 0, np.arange(10)))
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (BackTranslation(forgets), r"a list of as many texts as it was given; given None\. Return a list"),
        (BackTranslation(loses), "given 1 for 2"),
        (BackTranslation(upper), r"must take a list of texts; given AttributeError.*Pass batched=False"),
        (BackTranslation(numbers), "translate must return texts; given 1, 1"),
        (BackTranslation(str.split, batched=False), "must return a text; given a list"),
        (BackTranslation(forgets, batched=False), "must return a text; given None. Return a str"),
        (BackTranslation(str, batched=True), "Pass batched=False if it takes one text"),
    ],
)
def test_functions_that_give_no_texts_get_the_sentence(edit, named):
    with pytest.raises(DataError, match=named):
        edit.edit_many(["Good day", "Good night"], ItemKeys(0, 0, np.arange(2)))


def test_functions_that_cannot_be_used_get_the_sentence():
    with pytest.raises(ParameterError, match="translate must be a function of yours.*given None"):
        BackTranslation().fit(["a"])
    with pytest.raises(ParameterError, match="a lambda"):
        BackTranslation(lambda texts: texts).fit(["a"])
    with pytest.raises(InputTypeError, match="a text must be a str; given None"):
        BackTranslation(shout).draw(None, np.random.default_rng(0))
    with pytest.raises(DataError, match="given None at 1"):
        BackTranslation(shout).fit(["a", None])
