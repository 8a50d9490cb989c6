"""Speed of the edits of texts, and whether learned synonyms keep the label, on SMS spam (5,574 texts).

    python benchmarks/text_speed.py            # about a minute
    python benchmarks/text_speed.py --quick    # 500 texts, once: shows that it runs

batch   all texts through ``edit_many``, each from the stream of its own key
item    one text after the other, as a Dataset asks for them: ``draw``, then ``apply``
learned the cost of LearnedNeighbours.fit, and what it found and refused
labels  whether swaps by learned neighbours keep the label, with and without the check: neighbours
        from a third of the texts, a classifier (words' TF-IDF, logistic regression, balanced)
        from another, and every word of the last third that has neighbours swapped (p = 1).
        Flips are texts whose predicted class changes, over the splits of ten seeds

Tokens are what stands between spaces (``len(text.split())``). The thesaurus is made up:
every second word of the corpus has three entries, more than real ones have. CPU time, one
thread, median of the repeats, contestants in turns. nlpaug and TextAttack are not
installed here: there is no peer beside.
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from data import _loader, data_folder
from harness import Results, say, table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from augsynth.core.random import ItemKeys, Streams
from augsynth.perturb.letters import CaseChange, Typos
from augsynth.perturb.text import RandomDelete, RandomInsert, RandomSwap, SynonymSwap
from augsynth.perturb.text_policies import text_medium, text_strong, text_weak
from augsynth.perturb.tokens import word_spans
from augsynth.perturb.word_neighbours import LearnedNeighbours

PROTOCOL = {
    "data": "SMS spam, all texts",
    "token": "what stands between spaces",
    "field": "CPU-seconds, median of the repeats",
    "floor": "200,000 tokens/s for every edit and the medium policy",
}
EDITS = (
    "synonym swap", "synonym swap, learned", "random insert", "random swap", "random delete", "typos",
    "case change", "weak", "medium", "medium, thesaurus", "medium, learned", "strong", "strong, thesaurus",
)  # fmt: skip


def thesaurus_of(texts: list[str]) -> dict[str, list[str]]:
    """Return three entries for every second word of the texts."""
    words = [
        w for w, _ in Counter(text[a:b].lower() for text in texts for a, b in word_spans(text)).most_common()
    ]
    return {word: [words[k - 1], words[k // 2], "several words"] for k, word in enumerate(words) if k % 2}


def made(name: str, texts: list[str], labels: list[Any]) -> Any:
    """Return an edit, fitted."""
    words = LearnedNeighbours() if name.endswith("learned") else thesaurus_of(texts)
    kinds: dict[str, Callable[[], Any]] = {
        "synonym swap": lambda: SynonymSwap(words),
        "random insert": lambda: RandomInsert(words),
        "random swap": RandomSwap,
        "random delete": RandomDelete,
        "typos": Typos,
        "case change": CaseChange,
        "weak": text_weak,
        "medium": lambda: text_medium(words if "," in name else None),
        "strong": lambda: text_strong(words if "," in name else None),
    }
    return kinds[name.partition(",")[0]]().fit(texts, labels)


def one_by_one(edit: Any, texts: list[str]) -> list[str]:
    """Edit the texts as a Dataset does, item by item."""
    streams = Streams(0)
    return [edit.apply(x, edit.draw(x, streams.at(0, k))) for k, x in enumerate(texts)]


def speed_rows(names: list[str], texts: list[str], labels: list[Any], repeats: int) -> list[dict[str, Any]]:
    """Time the edits in turns."""
    tokens = sum(len(text.split()) for text in texts)
    edits = {name: made(name, texts, labels) for name in names}
    keys = ItemKeys(0, 0, np.arange(len(texts)))
    spent: dict[tuple[str, str], list[float]] = {}
    changed = {}
    for _ in range(repeats):
        for name, edit in edits.items():
            for way, function in (("batch", edit.edit_many), ("item", one_by_one)):
                start = time.process_time()
                new = function(texts, keys) if way == "batch" else function(edit, texts)
                spent.setdefault((name, way), []).append(time.process_time() - start)
                changed[name] = sum(a != b for a, b in zip(new, texts, strict=True)) / len(texts)
    return [
        {
            "edit": name,
            "way": way,
            "texts": len(texts),
            "tokens": tokens,
            "tokens_per_s": round(tokens / statistics.median(costs)),
            "slowest_tokens_per_s": round(tokens / max(costs)),
            "us_per_text": statistics.median(costs) / len(texts) * 1e6,
            "changed_texts": changed[name],
            "repeats": repeats,
        }
        for (name, way), costs in spent.items()
    ]


def learned_row(texts: list[str], labels: list[Any], repeats: int) -> dict[str, Any]:
    """Time the learning of neighbours, and count what it gives."""
    costs = []
    for _ in range(repeats):
        start = time.process_time()
        source = LearnedNeighbours().fit(texts, labels)
        costs.append(time.process_time() - start)
    worst = source.refused_.sort_values("evidence", ascending=False)
    return {
        "edit": "LearnedNeighbours.fit",
        "way": "learned",
        "cpu_s": statistics.median(costs),
        "words_with_neighbours": len(source.neighbours_),
        "pairs": sum(map(len, source.neighbours_.values())),
        "pairs_refused": len(source.refused_),
        "examples": [f"{a}: {', '.join(b)}" for a, b in list(source.neighbours_.items())[:12]],
        "refused_examples": [f"{a} / {b}" for a, b in zip(worst["word"], worst["neighbour"], strict=True)][
            :12:2
        ],
        "repeats": repeats,
    }


def labels_row(texts: list[str], labels: list[Any], seeds: int, bound: float | None) -> dict[str, Any]:
    """Count the texts whose predicted class changes when their words are swapped for learned neighbours."""
    X, y = np.array(texts, dtype=object), np.array(labels)
    swaps, flips, shares = 0, 0, {"ham": [], "spam": []}
    for seed in range(seeds):
        ours, theirs, edited = np.array_split(np.random.default_rng(seed).permutation(len(X)), 3)
        judge = make_pipeline(
            TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=30, class_weight="balanced")
        )
        judge.fit(X[theirs], y[theirs])
        source = LearnedNeighbours(max_evidence=bound)
        edit = SynonymSwap(source, p=1.0).fit(X[ours], y[ours])
        keys = ItemKeys(seed, 0, np.arange(len(edited)))
        swaps += sum(len(edit.draw(x, keys.at(k))["edits"]) for k, x in enumerate(X[edited]))
        flipped = judge.predict(X[edited]) != judge.predict(edit.edit_many(X[edited], keys))
        flips += int(flipped.sum())
        for label, listed in shares.items():
            listed.append(float(flipped[y[edited] == label].mean()))
    return {
        "edit": "swaps, unchecked" if bound is None else "swaps, checked",
        "way": "labels",
        "swaps": swaps,
        "flips_per_1000_swaps": 1000 * flips / swaps if swaps else 0.0,
        "flips_ham": shares["ham"],
        "flips_spam": shares["spam"],
        "seeds": seeds,
    }


def report(rows: list[dict[str, Any]], *, markdown: bool) -> str:
    """Lay out the tables."""
    of = {(row["edit"], row["way"]): row for row in rows}
    lines = [
        [
            name,
            *(f"{of[name, way]['tokens_per_s']:,}" for way in ("batch", "item")),
            f"{of[name, 'batch']['slowest_tokens_per_s']:,}",
            f"{of[name, 'batch']['us_per_text']:.1f}",
            f"{of[name, 'batch']['changed_texts']:.2f}",
        ]
        for name in EDITS
        if (name, "batch") in of
    ]
    header = ["edit", "tokens/s, batch", "tokens/s, item", "slowest batch", "us a text", "texts changed"]
    parts = [table(header, lines, markdown=markdown)] if lines else []
    for row in rows:
        if row["way"] == "learned":
            parts.append(
                f"LearnedNeighbours.fit: {row['cpu_s']:.1f} CPU-seconds; "
                f"{row['words_with_neighbours']} words with {row['pairs']} neighbours; "
                f"{row['pairs_refused']} pairs refused for the label.\n"
                f"Kept: {'; '.join(row['examples'])}.\nRefused: {'; '.join(row['refused_examples'])}."
            )
    flips = [
        [
            row["edit"],
            f"{row['swaps']:,}",
            percent(row["flips_ham"]),
            percent(row["flips_spam"]),
            f"{row['flips_per_1000_swaps']:.2f}",
        ]
        for row in rows
        if row["way"] == "labels"
    ]
    if flips:
        header = [
            "learned neighbours, p = 1",
            "words swapped",
            "ham flipped %",
            "spam flipped %",
            "flips in 1,000 swaps",
        ]
        parts.append(table(header, flips, markdown=markdown))
    return "\n\n".join(parts)


def percent(shares: list[float]) -> str:
    """Write the mean of shares in per cent, with its standard error."""
    error = np.std(shares, ddof=1) / len(shares) ** 0.5 if len(shares) > 1 else float("nan")
    return f"{100 * np.mean(shares):.2f} ± {100 * error:.2f}"


def main() -> None:
    parser = harness.parser(__doc__ or "", seeds=1, methods=EDITS)
    arguments = parser.parse_args()
    texts, labels, _ = _loader(data_folder(arguments.data)).load_text("sms_spam")
    texts, labels = list(texts), list(labels)
    if arguments.quick:
        texts, labels = texts[:500], labels[:500]
    repeats = 1 if arguments.quick else 7
    stem = "text_speed_quick" if arguments.quick else "text_speed"
    results = Results(arguments.out / f"{stem}.json", key=("edit", "way"), protocol=PROTOCOL)
    names = [name for name in EDITS if arguments.only is None or name in arguments.only]
    for row in speed_rows(names, texts, labels, repeats):
        results.add(row)
    if arguments.only is None:
        results.add(learned_row(texts, labels, 1 if arguments.quick else 3))
        for bound in (None, 1.0):
            results.add(labels_row(texts, labels, 1 if arguments.quick else 10, bound))
    say(report(results.rows(), markdown=False))
    run = results.read()["runs"][-1]
    note = (
        f"{run['cpu']}, one thread, CPU time, median of {repeats}. SMS spam: {len(texts):,} texts, "
        f"{sum(len(text.split()) for text in texts):,} tokens (what stands between spaces).\n"
        "Every text is edited from the stream of its own key. The thesaurus is made up: three entries for "
        "every second word.\nnlpaug and TextAttack are not installed: no peer beside."
    )
    text = f"# Edits of texts: speed\n\n{note}\n\n{report(results.rows(), markdown=True)}\n"
    (arguments.out / f"{stem}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
