"""Words that stand for each other in the training texts, and would not change the label."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.sparse as sparse
from scipy.sparse.linalg import svds
from sklearn.exceptions import NotFittedError

from augsynth.core.errors import AugsynthWarning, DataError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.perturb.thesaurus import WordSource
from augsynth.perturb.tokens import check_texts, word_spans

__all__ = ["LearnedNeighbours"]

_SMOOTHING = 0.75  # of the contexts' frequencies: rare contexts count for less (Levy et al. 2015)
_PSEUDO_TEXTS = 2.0  # how many texts at the classes' frequencies every word is credited with
_DENSE = 400  # up to so many words, a full decomposition is the quicker one
_BLOCK = 2**24  # most cosines at once
_RARE = 3  # words in fewer texts are no company either
_MOST_CLASSES = 1000
# What turns a sentence round stands in the same places as what does not.
_NEGATIONS = frozenset(
    ("yes", "yeah", "yep", "yup", "nope", "nah")  # and what turns an answer round
    + ("no", "not", "never", "none", "nor", "neither", "nobody", "nothing", "nowhere", "without", "hardly")
    + ("cannot", "can't", "don't", "doesn't", "didn't", "won't", "isn't", "aren't", "wasn't", "weren't")
    + ("wouldn't", "couldn't", "shouldn't", "hasn't", "haven't", "hadn't", "dont", "cant", "wont")
)


class LearnedNeighbours(WordSource):
    """Synonyms learned from the training texts: words that keep the same company.

    Words are described by the words at each place around them (positive pointwise mutual
    information, reduced by a singular value decomposition). Two words stand for each other
    if each is among the nearest of the other, close, and not often beside it ("customer
    service"). Opposites keep the same company too, so a pair is refused if exchanging it
    would move the evidence for a class.

    Parameters
    ----------
    window : int, default=2
        How many words to each side count as company.
    min_count : int, default=10
        Words in fewer texts are left alone: too little is known about them.
    dimensions : int, default=100
        Of the space in which words are compared.
    n_neighbours : int, default=5
        Most neighbours of a word.
    min_similarity : float, default=0.5
        Least cosine of two neighbours.
    max_evidence : float or None, default=1.0
        Most that the evidence for any class may differ between two neighbours, in nats: 0.69
        doubles the odds. None: labels are not asked.
    language : {"english", None}, default="english"
        Whether "a" and "an" choose among the neighbours, and negations stay.

    Attributes
    ----------
    neighbours_ : dict of str to tuple of str
        Of each word that has any, nearest first.
    refused_ : DataFrame
        Pairs that are near, but that the labels tell apart: ``word``, ``neighbour``,
        ``similarity``, ``evidence`` (the difference, in nats), ``label`` (the class it moves most).
    checked_ : bool
        Whether there were labels to check with.

    Notes
    -----
    The evidence of a word for a class is the log-ratio of the shares of texts with the
    word within and without the class, each word being credited with two texts spread as
    the classes are. Cost: half a second for 5,000 short messages. Nothing keeps two words
    apart that differ in a way which no label tells ("Monday" and "Tuesday"): look at
    ``neighbours_`` before use. Deviation: places before and after a word count as other
    company, as in Levy and Goldberg's "Linguistic regularities in sparse and explicit word
    representations" (CoNLL 2014); with few texts, neighbours are far better for it.

    References
    ----------
    Church and Hanks, "Word association norms, mutual information, and lexicography",
    Computational Linguistics 1990. Levy and Goldberg, "Neural word embedding as implicit
    matrix factorization", NeurIPS 2014. Levy, Goldberg and Dagan, "Improving distributional
    similarity with lessons learned from word embeddings", TACL 2015,
    doi:10.1162/tacl_a_00134. Monroe, Colaresi and Quinn, "Fightin' words", Political
    Analysis 2008, doi:10.1093/pan/mpn018.

    Examples
    --------
    >>> texts = [f"we saw a {size} {animal} run" for size in ("big", "large") for animal in ("cat", "dog")]
    >>> source = LearnedNeighbours(min_count=2).fit(texts * 5, [0, 1, 0, 1] * 5)
    >>> source.alternatives("big"), source.alternatives("cat")
    (('large',), ())
    """

    learns: ClassVar[bool] = True

    def __init__(
        self,
        *,
        window: int = 2,
        min_count: int = 10,
        dimensions: int = 100,
        n_neighbours: int = 5,
        min_similarity: float = 0.5,
        max_evidence: float | None = 1.0,
        language: str | None = "english",
    ):
        self.window = window
        self.min_count = min_count
        self.dimensions = dimensions
        self.n_neighbours = n_neighbours
        self.min_similarity = min_similarity
        self.max_evidence = max_evidence
        self.language = language

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Learn the neighbours from texts and their labels.

        Parameters
        ----------
        X : list, ndarray or Series of str, (n,)
        y : labels (n,), optional
            Without them nothing can be refused for its label, and a warning says so.

        Raises
        ------
        ParameterError, InputTypeError, DataError
        """
        self._check()
        texts = check_texts("LearnedNeighbours", X)
        ids, of_text, words, counts = _numbered(texts)
        n = int(np.searchsorted(-counts, -self.min_count, side="right"))  # the most frequent come first
        n_company = int(np.searchsorted(-counts, -min(_RARE, self.min_count), side="right"))
        self.checked_ = y is not None and self.max_evidence is not None
        if y is None and self.max_evidence is not None:
            warnings.warn(
                "LearnedNeighbours: without labels no neighbour can be refused for moving them. "
                "Give the labels, or set max_evidence=None.",
                AugsynthWarning,
                stacklevel=2,
            )
        evidence, classes = np.zeros((n, 1)), np.array([None], dtype=object)
        if self.checked_:
            evidence, classes = _evidence(np.where(ids < n, ids, -1), of_text, n, y, len(texts))
        places = _company(ids, of_text, n, n_company, self.window)
        beside = sum(place[:, :n] for place in places).tocsr()
        pairs = self._pairs(_vectors(sparse.hstack(places).tocsr(), self.dimensions))
        self._keep(_apart(pairs, beside), words, evidence, classes)
        if not self.neighbours_:
            warnings.warn(
                f"LearnedNeighbours: no word has a neighbour (min_count={self.min_count}, {len(texts):,} "
                "texts), so texts stay as they are. Lower min_count, or give a thesaurus of your own.",
                AugsynthWarning,
                stacklevel=2,
            )
        return self

    def _check(self) -> None:
        where = "LearnedNeighbours"
        for name in ("window", "min_count", "dimensions", "n_neighbours"):
            check_number(where, name, getattr(self, name), low=1, integer=True)
        check_number(where, "min_similarity", self.min_similarity, low=-1, high=1)
        if self.max_evidence is not None:
            check_number(where, "max_evidence", self.max_evidence, low=0)
        check_option(where, "language", self.language, ["english", None])

    def _pairs(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return word, neighbour and cosine of the mutual nearest, nearest first for each word."""
        n = len(vectors)
        k = min(self.n_neighbours, n - 1)
        if k < 1:
            return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
        rows, near, cosines = [], [], []
        step = max(1, _BLOCK // n)
        for start in range(0, n, step):
            cosine = vectors[start : start + step] @ vectors.T
            own = np.arange(start, start + len(cosine))
            cosine[own - start, own] = -np.inf
            # Of words that are equally near, the more frequent one is the nearer.
            cost = np.arange(n) * 1e-12 - np.round(cosine, 9)
            best = np.argpartition(cost, k - 1, axis=1)[:, :k]
            best = np.take_along_axis(best, np.take_along_axis(cost, best, axis=1).argsort(axis=1), axis=1)
            rows.append(np.repeat(own, k))
            near.append(best.ravel())
            cosines.append(np.take_along_axis(cosine, best, axis=1).ravel())
        word, other, cosine = np.concatenate(rows), np.concatenate(near), np.concatenate(cosines)
        mutual = np.isin(word * n + other, other * n + word) & (cosine >= self.min_similarity)
        return word[mutual], other[mutual], cosine[mutual]

    def _keep(self, pairs: Any, words: list[str], evidence: np.ndarray, classes: np.ndarray) -> None:
        word, other, cosine = pairs
        moved = np.abs(evidence[word] - evidence[other])
        most = moved.argmax(axis=1) if len(word) else np.zeros(0, int)
        moved = moved[np.arange(len(word)), most]
        fine = moved <= (np.inf if self.max_evidence is None else self.max_evidence)
        found: dict[str, list[str]] = {}
        for a, b in zip(word[fine].tolist(), other[fine].tolist(), strict=True):
            if self.language is None or not {words[a], words[b]} & _NEGATIONS:
                found.setdefault(words[a], []).append(words[b])
        self.neighbours_ = {key: tuple(listed) for key, listed in found.items()}
        self.refused_ = pd.DataFrame(
            {
                "word": [words[a] for a in word[~fine]],
                "neighbour": [words[b] for b in other[~fine]],
                "similarity": cosine[~fine],
                "evidence": moved[~fine],
                "label": classes[most[~fine]],
            }
        )

    def ready(self, where: str) -> Self:
        """Return self, or say that the neighbours must be learned first."""
        if not hasattr(self, "neighbours_"):
            must = "neighbours must be learned from training texts before use"
            todo = "Call fit(texts, labels); a dataset or a pipeline does so by itself."
            raise NotFittedError(sentence(where, must, "LearnedNeighbours that was not fitted", todo))
        return self

    def alternatives(self, word: str) -> tuple[str, ...]:
        """Return the neighbours of a word in lower case, nearest first."""
        return self.ready("LearnedNeighbours").neighbours_.get(word, ())


def _numbered(texts: list[str]) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Return the words of all texts as numbers, the text of each; the words, and how many texts have them."""
    spoken = [[text[a:b].lower() for a, b in word_spans(text)] for text in texts]
    of_text = np.repeat(np.arange(len(texts)), [len(words) for words in spoken])
    codes, names = pd.factorize(np.array([word for words in spoken for word in words], dtype=object))
    n = max(len(names), 1)
    counts = np.bincount(np.unique(of_text * n + codes) % n, minlength=len(names))[: len(names)]
    order = np.argsort(-counts, kind="stable")
    number = np.empty(len(names), dtype=np.int64)
    number[order] = np.arange(len(names))
    return number[codes], of_text, [str(names[k]) for k in order], counts[order]


def _company(
    ids: np.ndarray, of_text: np.ndarray, n: int, n_company: int, window: int
) -> list[sparse.csr_matrix]:
    """Return how often words (n) have others (n_company) at each place before and after them."""
    places = []
    for apart in range(1, window + 1):
        same = of_text[:-apart] == of_text[apart:]
        for word, other in ((ids[:-apart], ids[apart:]), (ids[apart:], ids[:-apart])):
            both = same & (word < n) & (other < n_company)
            cells = (np.ones(both.sum()), (word[both], other[both]))
            places.append(sparse.coo_matrix(cells, shape=(n, n_company)).tocsr())
    return places


def _vectors(company: sparse.csr_matrix, dimensions: int) -> np.ndarray:
    """Return a unit vector for each word: its positive mutual information with its company, reduced."""
    n = company.shape[0]
    counts = company.tocoo()
    if not counts.nnz:
        return np.zeros((n, 1))
    often = np.asarray(company.sum(axis=1)).ravel()
    contexts = np.asarray(company.sum(axis=0)).ravel() ** _SMOOTHING
    contexts /= contexts.sum()
    information = np.log(counts.data / (often[counts.row] * contexts[counts.col]))
    positive = information > 0
    cells = (information[positive], (counts.row[positive], counts.col[positive]))
    matrix = sparse.csr_matrix(cells, shape=company.shape)
    smaller = min(matrix.shape)
    if n <= _DENSE or smaller <= dimensions:
        u, s, _ = scipy.linalg.svd(matrix.toarray(), full_matrices=False)
        u, s = u[:, :dimensions], s[:dimensions]
    else:
        # A fixed start, for the same vectors every time.
        u, s, _ = svds(matrix, k=dimensions, v0=np.full(smaller, smaller**-0.5))
    vectors = u * np.sqrt(s)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-12)


def _apart(pairs: Any, beside: sparse.csr_matrix) -> Any:
    """Return the pairs of words that are not beside each other more often than by chance."""
    word, other, cosine = pairs
    if not len(word):
        return pairs
    often = np.asarray(beside.sum(axis=1)).ravel()
    met = np.asarray(beside[word, other]).ravel()
    apart = (met < 2) | (met * max(often.sum(), 1.0) <= often[word] * often[other])
    return word[apart], other[apart], cosine[apart]


def _evidence(
    ids: np.ndarray, of_text: np.ndarray, n: int, y: Any, n_texts: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the evidence of each word for each class (n, classes), and the classes."""
    if np.ndim(y) != 1 or len(y) != n_texts:
        given = f"shape {np.shape(y)} for {n_texts} texts"
        raise DataError(sentence("LearnedNeighbours", "there must be one label a text", given))
    codes, classes = pd.factorize(np.asarray(y, dtype=object), sort=False)
    if len(classes) > _MOST_CLASSES:
        must = f"labels must be at most {_MOST_CLASSES} classes"
        todo = "Cut numbers into a few bins first."
        raise DataError(sentence("LearnedNeighbours", must, f"{len(classes)} values", todo))
    told = codes >= 0  # texts without a label teach neighbours, but no evidence
    sizes = np.bincount(codes[told], minlength=len(classes)).astype(float)
    if not len(classes):
        return np.zeros((n, 1)), np.array([None], dtype=object)
    known = (ids >= 0) & told[of_text]
    once = np.unique(of_text[known] * max(n, 1) + ids[known])
    cell = (once % max(n, 1)) * len(classes) + codes[once // max(n, 1)]
    counts = np.bincount(cell, minlength=n * len(classes)).reshape(n, len(classes))
    within = counts + _PSEUDO_TEXTS * sizes / sizes.sum()
    without = within.sum(axis=1, keepdims=True) - within
    rest = np.maximum(sizes.sum() - sizes, 1e-12)
    with np.errstate(divide="ignore"):
        found = np.log(within / sizes) - np.log(np.maximum(without, 1e-12) / rest)
    return (found if len(classes) > 1 else np.zeros((n, 1))), np.asarray(classes, dtype=object)
