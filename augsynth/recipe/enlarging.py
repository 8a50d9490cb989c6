"""``augsynth enlarge``: samples on disk in, the enlarged set on disk out, and what was made of each class."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from augsynth.core.errors import OutputExistsError, ParameterError, sentence
from augsynth.core.parameters import check_option
from augsynth.datasets.enlarged import EnlargedDataset
from augsynth.datasets.manifest import Manifest
from augsynth.datasets.materialize import materialize
from augsynth.perturb.base import Perturbation
from augsynth.perturb.foreign import as_perturbation
from augsynth.recipe.policies import spelled
from augsynth.recipe.sources import Source, open_source
from augsynth.recipe.summary import count_table
from augsynth.recipe.tables import SKLEARN

__all__ = ["Enlarging", "stopped_words"]

_WHERE = "enlarge"
_BALANCES = (None, "class", "group", "class+group")
_FILES = {
    "folder": "PNG files in folders of classes",
    "wav": "wav files in folders of classes",
    "npz": "arrays, data/*.npz",
    "parquet": "columns text and label, data/*.parquet",
}


@dataclass
class Enlarging:
    """One enlarging of one source.

    Attributes
    ----------
    source : str
        A folder of class folders of pictures or of wav files, an .npz file with images and
        labels, or a table with a column of texts.
    out : str
        The folder to write.
    policy : str
        The name of a policy or edit.
    copies : int
        Perturbed copies of each sample.
    keep_originals : bool
    balance : {None, "class", "group", "class+group"}
    stratified : bool
    seed : int
    format : str
        As in `materialize`; "auto" is that of the source.
    reading : dict
        ``text_column``, ``target``, ``group_column`` and ``sample_rate``, as far as given.
    """

    source: str
    out: str
    policy: str = "weak"
    copies: int = 3
    keep_originals: bool = True
    balance: str | None = None
    stratified: bool = False
    seed: int = 0
    format: str = "auto"
    reading: dict[str, Any] | None = None

    def open(self) -> EnlargedDataset:
        """Read the source and make the Dataset that is written; nothing is written yet."""
        check_option(_WHERE, "--balance", self.balance, _BALANCES)
        self._check_out()
        self.found: Source = open_source(self.source, **(self.reading or {}))
        if self.balance is not None and "group" in self.balance and self.found.groups is None:
            must = f"--balance {self.balance} needs the group of each sample"
            raise ParameterError(sentence(_WHERE, must, "none", "Name them by --group-column."))
        self.dataset = EnlargedDataset(
            self.found.dataset,
            policy_for(self.policy, self.found),
            copies=self.copies,
            keep_originals=self.keep_originals,
            balance=self.balance,
            stratified=self.stratified,
            groups=self.found.groups,
            seed=self.seed,
        )
        return self.dataset

    def _check_out(self) -> None:
        """Refuse to write into the source: copies would be taken for originals the next time."""
        if self.source.startswith(SKLEARN):
            return
        out, source = Path(self.out).resolve(), Path(self.source).resolve()
        inside = out == source or (source.is_dir() and (source in out.parents or out in source.parents))
        if inside or (source.is_file() and out == source.parent):
            said = "the enlarged set must have a folder of its own, apart from its source"
            raise OutputExistsError(f"{self.out}: {said} ({self.source}). Choose another --out.")

    def run(self, *, jobs: int = 1, force: bool = False, progress: bool | None = None) -> Manifest:
        """Write the set, or go on with it."""
        wanted = self.found.format if self.format == "auto" else self.format
        return materialize(self.dataset, self.out, format=wanted, jobs=jobs, force=force, progress=progress)

    def counts(self) -> pd.DataFrame:
        """Return how many samples there are of each class (or class and group) before and after."""
        before = self._cells(np.asarray(self.found.dataset.targets), self.found.groups)
        after = self._cells(self.dataset.labels, self.dataset.groups)
        table = pd.DataFrame({"before": before.value_counts(), "after": after.value_counts()})
        return table.fillna(0).astype(int).sort_index(key=_natural)

    def _cells(self, labels: np.ndarray, groups: Any) -> pd.Series:
        names = pd.Series(labels).map(str)
        if groups is None:
            return names
        return names + " / " + pd.Series(np.asarray(groups)).map(str)

    def heading(self) -> str:
        """Say what is made, in one line."""
        each = f"{self.copies} cop{'y' if self.copies == 1 else 'ies'} each"
        how = {None: each, "class": "classes balanced", "group": "groups balanced"}
        balanced = how.get(self.balance, "classes and groups balanced")
        kept = "originals kept" if self.keep_originals else "originals left out"
        n, noun = len(self.found.dataset), self.found.noun
        said = [f"policy {self.policy}", balanced, kept, *(["stratified"] if self.stratified else [])]
        return (
            f"{self.source}: {n:,} {noun} become {len(self.dataset):,} ({', '.join(said)}, seed {self.seed})"
        )

    def summarise(self, manifest: Manifest, screen: Console) -> None:
        """Print how many samples there are of each class, and where the files are."""
        screen.print(Text(self.heading(), style="bold"))
        column = "class" if self.found.groups is None else "class / group"
        table = count_table(self.counts(), column, screen.encoding)
        screen.print(Padding(table, (0, 0, 1, 2), expand=False))
        screen.print(Text(f"Files in {self.out}: {_FILES[manifest.format]}", style="bold"))
        screen.print(
            Text("  manifest.csv   where each comes from: file, label, record, copy, drawn parameters")
        )
        screen.print(Text("  manifest.json  what was made, by which versions, the SHA-256 of every shard"))
        screen.print(Text(f"  in Python      MaterializedDataset({str(self.out)!r}), from augsynth.datasets"))


def _natural(index: pd.Index) -> pd.Index:
    """Sort numbers by size where all names are such."""
    numbers = pd.to_numeric(index, errors="coerce")
    return index if numbers.isna().any() else pd.Index(numbers)


def policy_for(name: str, source: Source) -> Perturbation:
    """Return the policy of a name, told the sample rate where it asks for one.

    Raises
    ------
    ParameterError
        For an unknown name, or an edit of something else.
    """
    modality = "images" if source.modality == "image" else source.modality
    try:
        policy = as_perturbation(spelled(name, modality, source.rate), source.modality, where="--policy")
    except TypeError as error:  # an edit that must be given something
        must = "must be a policy, or an edit that needs no parameters"
        raise ParameterError(sentence("--policy", must, f"{name!r} ({error})")) from None
    if policy.modality not in ("any", source.modality):
        must = f"--policy must be one for {source.noun}"
        todo = "Such as weak, medium or strong; see the names with: augsynth list perturbations."
        raise ParameterError(sentence(_WHERE, must, f"{name!r}, which is for {policy.modality}", todo))
    return policy


def stopped_words(out: str) -> str:
    """Say what a run that was stopped left behind, and how to go on."""
    notes = sorted((Path(out) / ".unfinished" / "shards").glob("*.json"))
    done = sum(_items_of(path) for path in notes)
    if not done:
        return "Nothing was written."
    return f"{done:,} items are written whole; the same command goes on from there."


def _items_of(path: Path) -> int:
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["items"])
    except (OSError, ValueError, KeyError):
        return 0
