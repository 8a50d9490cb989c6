"""Edits of texts: only what is edited changes, as often as it says, and the same every time."""

import pickle
import re
import unicodedata

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.core.random import ItemKeys, item_rng
from augsynth.perturb import Compose, Maybe, OneOf
from augsynth.perturb.base import perturb_rows
from augsynth.perturb.foreign import as_perturbation
from augsynth.perturb.letters import CaseChange, Typos
from augsynth.perturb.text import RandomDelete, RandomInsert, RandomSwap, SynonymSwap
from augsynth.perturb.text_policies import text_medium, text_strong, text_weak
from augsynth.perturb.tokens import cased_like, protected, splice, word_spans
from augsynth.testing import check_perturbation

WORDS = {"happy": ["glad", "joyful"], "cat": ["feline"], "run": ["dash"], "the": ["this"], "big": ["large"]}
HOSTILE = {
    "empty": "",
    "only spaces": "  \t\n \u00a0\u2003",
    "only punctuation": "...!?; -- '' (:",
    "NUL": "a\x00cat\x00\x00runs \x00",
    "right to left": "מה שלומך היום \u202eأهلا بالعالم\u202c cat",
    "emoji": "happy 👩‍👩‍👧‍👦 cat 👍🏽🇩🇪 run ❤️",
    "combining marks": "the cafe\u0301 re\u0301sume\u0301 हिन्दी भाषा",
    "no spaces": "今天天气很好我们去公园吧。ไปเที่ยวทะเลกัน",
    "lone surrogate": "cat \ud800 run",
    "one word": "cat",
    "digits": "12 345-678 4u 2nd",
    "markup": "<b class='x'>cat</b> &lt;#&gt; &amp; http://the.cat/run?a=b me@the-cat.org #cat @cat :D",
}
EDITS = [
    SynonymSwap(WORDS, p=0.5),
    RandomInsert(WORDS, p=0.5),
    RandomSwap(0.5),
    RandomDelete(0.5),
    Typos(0.3),
    CaseChange(p_letters=0.3),
    text_weak(),
    text_medium(),
    text_medium(WORDS),
    text_strong(WORDS),
]
NAMES = [f"{k}-{type(edit).__name__}" for k, edit in enumerate(EDITS)]


def words_of(text):
    return [text[a:b] for a, b in word_spans(text)]


def rest_of(text):
    spans = word_spans(text)
    return splice(text, [(a, b, "\x01") for a, b in spans])


def texts(n, seed=0):
    rng = np.random.default_rng(seed)
    parts = [
        "Happy",
        "cat",
        "RUN",
        "the",
        "big",
        "other",
        "naïve",
        "don't",
        "well-known",
        "7",
        "4u",
        ":-)",
        "😀",
    ]
    gaps = [" ", "  ", ", ", "\n", " (", ") ", "... ", "\t", " - "]
    return [
        "".join(str(w) + str(g) for w, g in zip(rng.choice(parts, k), rng.choice(gaps, k), strict=True))
        for k in rng.integers(0, 30, n)
    ]


@pytest.mark.parametrize("edit", EDITS, ids=NAMES)
def test_a_batch_gives_what_single_texts_give_and_again(edit):
    xs = texts(60) + list(HOSTILE.values())
    edit = clone(edit).fit(xs)
    keys = ItemKeys(3, 1, np.arange(len(xs)), 2)
    many = edit.edit_many(xs, keys)
    assert many == [edit.apply(x, edit.draw(x, item_rng(3, 1, k, 2))) for k, x in enumerate(xs)]
    assert many == pickle.loads(pickle.dumps(edit)).edit_many(xs, keys)
    assert many != edit.edit_many(xs, ItemKeys(3, 2, np.arange(len(xs)), 2))
    assert all(isinstance(x, str) for x in many)
    array = edit.edit_many(np.array(xs, dtype=object), keys)
    assert array.dtype == object and array.tolist() == many


@pytest.mark.parametrize("edit", EDITS, ids=NAMES)
def test_the_contract_of_perturbations(edit):
    for x in ("The happy cat runs over the big hill today", *HOSTILE.values()):
        check_perturbation(edit, x, same_shape=False)


@pytest.mark.parametrize("edit", EDITS, ids=NAMES)
@pytest.mark.parametrize("name", ["empty", "only spaces", "only punctuation"])
def test_texts_without_words_come_back_as_they_are(edit, name):
    assert all(edit(HOSTILE[name], random_state=seed) == HOSTILE[name] for seed in range(5))


@pytest.mark.parametrize(
    "edit", [SynonymSwap(WORDS, p=0.7), RandomSwap(0.5), CaseChange(["upper", "lower", "title"])]
)
def test_what_is_between_the_words_stays(edit):
    for seed, x in enumerate(texts(80, seed=1) + list(HOSTILE.values())):
        assert rest_of(edit(x, random_state=seed)) == rest_of(x)


@pytest.mark.parametrize("edit", EDITS, ids=NAMES)
def test_addresses_numbers_and_smileys_stay(edit):
    whole = "See http://the.cat/run?a=b, or mail me.cat@the-cat.org; 12,345.6 and 4u :D &amp; #cat now"
    kept = ["http://the.cat/run?a=b,", "me.cat@the-cat.org", "12,345.6", "4u", ":D", "&amp;", "#cat"]
    for seed in range(20):
        new = edit(whole, random_state=seed)
        places = [new.find(piece) for piece in kept]
        assert min(places) >= 0 and places == sorted(places)


def test_swapping_keeps_the_words():
    for seed, x in enumerate(texts(80, seed=2)):
        new = RandomSwap(0.4)(x, random_state=seed)
        assert sorted(words_of(new)) == sorted(words_of(x))


def test_deleting_keeps_the_order_and_one_word():
    for seed, x in enumerate(texts(80, seed=3)):
        old, new = words_of(x), words_of(RandomDelete(1.0)(x, random_state=seed))
        assert len(new) == min(1, len(old)) and set(new) <= set(old)
        some = RandomDelete(0.4)(x, random_state=seed)
        left = iter(old)
        assert all(word in left for word in words_of(some))  # a subsequence
        strip = re.compile(r"[ \t]")
        assert strip.sub("", rest_of(some).replace("\x01", "")) == strip.sub(
            "", rest_of(x).replace("\x01", "")
        )


def deleted(text, *gone):
    """Delete given words, whatever is drawn."""
    edit, n = RandomDelete(0.5), len(word_spans(text))

    class Drawn:
        def random(self, size):
            return np.where(np.isin(np.arange(n), gone), 0.0, 0.9)

    return edit.apply(text, edit.draw(text, Drawn()))


def test_a_deleted_word_takes_one_space_along():
    assert deleted("a b c", 1) == "a c"
    assert deleted("a b c", 0) == "b c"
    assert deleted("a b c", 2) == "a b"
    assert deleted("a b c.", 1, 2) == "a."
    assert deleted("a b, c", 1) == "a, c"
    assert deleted("a b\nc", 1) == "a\nc"
    assert deleted("a\nb c", 1) == "a\nc"
    assert deleted("(a b) c", 0) == "(b) c"
    assert deleted("4-b 5 c", 0) == "4- 5 c"


def test_the_rate_is_p_within_its_standard_error():
    n, p = 20_000, 0.1
    x = "cat " * n
    se = (p * (1 - p) / n) ** 0.5
    swapped = SynonymSwap(WORDS, p=p)(x, random_state=0).count("feline") / n
    inserted = RandomInsert(WORDS, p=p)(x, random_state=1).count("feline") / n
    left = len(words_of(RandomDelete(p)(x, random_state=2))) / n
    turned = sum(map(str.isupper, CaseChange(["letters"], p_letters=p)(x, random_state=3))) / (3 * n)
    assert abs(swapped - p) < 4 * se and abs(inserted - p) < 4 * se
    assert abs(left - (1 - p)) < 4 * se and abs(turned - p) < 4 * se


def test_typos_come_at_their_rate_and_are_of_every_kind():
    n, p = 5_000, 0.02
    x = "mountains " * n
    edits = Typos(p).draw(x, np.random.default_rng(0))["edits"]
    # A letter that the typo before has moved is not hit: about one in 1 / p * 4.
    assert abs(len(edits) / (9 * n) - p) < 4 * (p / (9 * n)) ** 0.5 + p * p
    kinds = {"drop": 0, "double": 0, "transpose": 0, "neighbour": 0}
    for a, b, new in edits:
        old = x[a:b]
        kinds[
            "transpose" if b - a == 2 else "drop" if not new else "double" if new == old * 2 else "neighbour"
        ] += 1
        assert b - a < 3 and (b - a == 1 or new == old[::-1])
    # The last letter of nine has none to change places with.
    shares = np.array(list(kinds.values())) / len(edits)
    assert np.all(np.abs(shares - 0.25) < 0.05) and kinds["transpose"] < kinds["drop"]


def test_keys_beside_each_other():
    near = {
        new
        for seed in range(200)
        for _, _, new in Typos(1.0, kinds=["neighbour"], min_letters=1).draw(
            "g", np.random.default_rng(seed)
        )["edits"]
    }
    assert near == set("fhtyvb")
    assert Typos(1.0, kinds=["neighbour"])("GGGG", random_state=0).isupper()


def test_typos_spare_short_words_and_scripts_of_syllables():
    assert Typos(0.9)("the cat ran to us, o'er a-b", random_state=0) == "the cat ran to us, o'er a-b"
    for seed in range(10):
        assert Typos(0.9)(HOSTILE["no spaces"], random_state=seed) == HOSTILE["no spaces"]


def test_typos_never_part_a_letter_from_its_marks():
    x = "re\u0301sume\u0301 café हिन्दीभाषा"
    for seed in range(100):
        new = Typos(0.3)(x, random_state=seed)
        marked = [
            new[k - 1 : k + 1]
            for k in range(1, len(new))
            if unicodedata.combining(new[k]) and new[k] == "\u0301"
        ]
        assert set(marked) <= {"e\u0301"}


def test_caps_are_kept_and_chosen_at_random():
    x = "cat " * 50
    picked = [
        SynonymSwap(WORDS, p=0.5, max_words=1).draw(x, np.random.default_rng(s))["edits"] for s in range(300)
    ]
    assert {len(edits) for edits in picked} == {1}
    places = np.array([edits[0][0] // 4 for edits in picked])
    assert abs(places.mean() - 24.5) < 4 * 50 / 12**0.5 / 300**0.5
    assert len(RandomInsert(WORDS, p=1.0, max_words=2)(x, random_state=0).split()) == 52
    assert len(Typos(0.5, max_typos=1).draw("mountains " * 9, np.random.default_rng(0))["edits"]) == 1


def test_case_and_form_are_those_of_the_word():
    swap = SynonymSwap({"walk": ["stroll"], "cat": ["feline"], "big": "large", "usa": ["US"]}, p=1.0)
    assert (
        swap("Walk, WALKED! cats' Walking CAT's big", random_state=0)
        == "Stroll, STROLLED! felines' Strolling FELINE's large"
    )
    assert swap("usa", random_state=0) == "US"
    assert cased_like("new york", "City") == "New york" and cased_like("big", "iPhone") == "big"


def test_articles_choose_among_synonyms():
    swap = SynonymSwap({"cat": ["animal", "feline"], "hour": ["moment"]}, p=1.0)
    assert {swap("A cat", random_state=s) for s in range(20)} == {"A feline"}
    assert {swap("the cat", random_state=s) for s in range(40)} == {"the animal", "the feline"}
    assert swap("an hour", random_state=0) == "an hour"


@pytest.mark.parametrize("protect", [["Cat", "run fast"], re.compile("(?i)cat|run fast"), "(?i)cat|run fast"])
@pytest.mark.parametrize("edit", [SynonymSwap, RandomInsert, RandomSwap, RandomDelete, Typos, CaseChange])
def test_protected_words_stay(edit, protect):
    kinds = {SynonymSwap: lambda: SynonymSwap({"cat": ["dog"], "fast": ["quick"], "they": ["we"]}, p=1.0, protect=protect),
             RandomInsert: lambda: RandomInsert({"cat": ["dog"], "they": ["we"]}, p=1.0, protect=protect)}  # fmt: skip
    made = kinds.get(
        edit, lambda: edit(**{"p_letters" if edit is CaseChange else "p": 0.9}, protect=protect)
    )()
    for seed in range(20):
        new = made("They let the CAT run fast", random_state=seed)
        assert "CAT run fast" in new and "dog" not in new


def test_words_are_runs_of_letters_with_their_marks():
    assert words_of("Don't re-do U.S.A. x2 _a_ l’été cafe\u0301s") == [
        "Don't",
        "re-do",
        "l’été",
        "cafe\u0301s",
    ]
    assert words_of("हिन्दी भाषा") == ["हिन्दी", "भाषा"]
    assert words_of("今天。很好") == ["今天", "很好"]
    assert words_of("ok.thanks xD :P www.a.org/b <br> &lt;") == ["ok", "thanks"]


@pytest.mark.parametrize(
    "x",
    [
        "a-" * 100_000 + "a1",
        "a" * 200_000,
        "<a" * 100_000,
        "a." * 100_000,
        "@" * 200_000,
        "é-" * 50_000 + "a1",
    ],
)
def test_no_text_takes_more_than_time_in_its_length(x):
    assert len(word_spans(x)) <= len(x)  # hours, were it not so


@pytest.mark.parametrize("edit", EDITS, ids=NAMES)
def test_a_megabyte(edit):
    x = "The happy cat, 4u. " * 55_000
    new = edit(x, random_state=0)
    assert new.count("4u") == 55_000 or isinstance(edit, (RandomDelete, Compose, OneOf))


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (["a", None, "b"], "None at 1"),
        (["a", float("nan")], "nan at 1"),
        ([b"a", "b"], r"b'a' at 0\. Decode bytes first"),
        ([1, 2, 3, 4, "a"], r"1 at 0, 2 at 1, 3 at 2 \(4 of 5 in all\)"),
        (pd.Series(["a", None], dtype="string"), "<NA> at 1"),
        (np.array([["a"]]), "shape"),
        ("a single text", "Put a single text into a list"),
        (7, "given a int"),
        ([["a"], ["b", "c"]], r"\['a'\] at 0, \['b', 'c'\] at 1"),
        (pd.DataFrame({"a": ["b"]}), r"given a DataFrame of shape \(1, 1\)"),
    ],
)
@pytest.mark.parametrize("edit", [Typos(), SynonymSwap(WORDS)])
def test_what_is_no_text_gets_the_sentence(edit, bad, named):
    with pytest.raises((DataError, InputTypeError), match=named):
        edit.fit(bad)
    with pytest.raises((DataError, InputTypeError), match=named):
        edit.edit_many(bad, ItemKeys(0, 0, np.arange(5)))


@pytest.mark.parametrize("bad", [None, float("nan"), b"text", 3, ["a"]])
def test_a_draw_from_what_is_no_text_gets_the_sentence(bad):
    for edit in EDITS[:6]:
        with pytest.raises(InputTypeError, match=f"{type(edit).__name__}: a text must be a str"):
            edit.draw(bad, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (Typos(p=1.5), "p must be a number >= 0 and <= 1; given 1.5"),
        (Typos(kinds=["slip"]), "kinds must be 'neighbour'"),
        (Typos(kinds="drop"), "kinds must be a list"),
        (CaseChange([]), "styles must be a list"),
        (RandomSwap(protect="("), "protect must be a regular expression"),
        (RandomSwap(protect=["a", 3]), "protect must list words; given 3"),
        (SynonymSwap(WORDS, max_words=0), "max_words must be a whole number >= 1"),
        (SynonymSwap(), "thesaurus must be a dict, the path of a file"),
    ],
)
def test_bad_parameters_get_the_sentence(edit, named):
    with pytest.raises(ParameterError, match=re.escape(named).replace("'neighbour'", "'neighbour'.*")):
        edit.fit(["a"])
    with pytest.raises(ParameterError):
        edit("some words", random_state=0)


def test_changed_parameters_count_at_once():
    edit = RandomDelete(0.5).fit(["a b"])
    assert edit("one two three four", random_state=1) != edit.set_params(p=0.0)(
        "one two three four", random_state=1
    )


def test_containers_come_back_as_they_went_in():
    edit, keys = Compose([Maybe(Typos(0.2), p=0.5), RandomSwap(0.2)]), ItemKeys(0, 0, np.arange(4))
    xs = ["tomorrow morning", "another evening", "", "several mountains"]
    made = edit.fit(xs).edit_many(xs, keys)
    plain = edit.edit_many(np.array(xs), keys)
    assert plain.dtype.kind == "U" and plain.tolist() == made
    for policy in (edit, OneOf([Typos(0.2), RandomSwap(0.2)]), Typos(0.2)):
        series = perturb_rows(policy, pd.Series(xs, index=[5, 4, 3, 2]), keys)
        assert series.tolist() == policy.edit_many(xs, keys) and series.index.tolist() == [5, 4, 3, 2]
    series = perturb_rows(Typos(0.2), pd.Series(xs, index=[5, 4, 3, 2], name="t", dtype="string"), keys)
    assert series.dtype == "string" and series.index.tolist() == [5, 4, 3, 2] and series.name == "t"


def test_names():
    for name in ("synonym_swap", "random_insert"):
        assert (
            as_perturbation({"kind": name, "thesaurus": {"kind": "file", "source": WORDS}, "p": 1.0}).learns
            is False
        )
    for name in (
        "random_swap",
        "random_delete",
        "typos",
        "case_change",
        "text_weak",
        "text_medium",
        "text_strong",
    ):
        assert as_perturbation(name).modality == "text"
    assert as_perturbation("medium", "text").stream_name == text_medium().stream_name


def test_patterns_of_protected_words():
    assert protected("x", None) is None and protected("x", []) is None
    assert protected("x", ["a.b"]).search("a.b A.B axb").group() == "a.b"


@pytest.mark.parametrize("edit", [RandomSwap(0.01, min_words=1), RandomDelete(0.01, min_words=1), SynonymSwap(WORDS, p=0.01, min_words=1), RandomInsert(WORDS, p=0.01, min_words=1)])  # fmt: skip
def test_at_least_one_word_is_edited(edit):
    text = "the happy dog barks at a quick cat"
    rng = np.random.default_rng(0)
    drawn = [edit.draw(text, rng)["edits"] for _ in range(300)]
    assert all(drawn)
    if not isinstance(edit, RandomSwap):
        places = {begin for edits in drawn for begin, _, _ in edits}
        assert len(places) > 1  # not always the same one


def test_medium_leaves_few_short_texts_as_they_are():
    text = "see you at home tonight after the game"
    same = sum(text_medium()(text, random_state=k) == text for k in range(300))
    assert same / 300 < 0.2  # a third of them draw typos, of which some draw none
