"""A Dataset with perturbed copies of every record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from augsynth.core.errors import (
    AugsynthError,
    DataError,
    InputTypeError,
    ParameterError,
    offenders,
    sentence,
)
from augsynth.core.parameters import check_number
from augsynth.core.random import ItemKeys, Streams, step_key
from augsynth.datasets.annotations import CONVERT
from augsynth.datasets.base import (
    WrappedDataset,
    check_labels_stay,
    depth_of,
    described,
    fetch,
    most_copies,
    repeats_of,
    slot_of,
)
from augsynth.datasets.files import file_of
from augsynth.datasets.items import Parts, modality_of, rate_of, size_of, take_apart
from augsynth.perturb.base import Perturbation
from augsynth.perturb.containers import dense
from augsynth.perturb.foreign import as_perturbation, check_importable

__all__ = ["PerturbedDataset"]

_ANY = "*"


class PerturbedDataset(WrappedDataset):
    """Wrap a training Dataset so that it holds perturbed copies of every record.

    Item i is a pure function of (seed, epoch, record, copy): the same whatever the number of
    workers, their start method, the order, the batch size, and where a run resumes; and each
    epoch is different. Items keep their form: ``(x, label)``, mappings, tensors, PIL images,
    arrays, texts. Masks, boxes (with their labels) and key points move with the picture.

    Parameters
    ----------
    base : map-style Dataset
        Its items are perturbed after its own transform, so let that end before batching
        and normalising; records are told apart by their place in the innermost set, so a
        Subset perturbs its records as the whole set does.
    policy : Perturbation, str, callable or dict
        A perturbation of ours; a name ("weak", "medium", "strong", "image_randaugment", ...);
        a transform of albumentations, torchvision or audiomentations; an importable function
        of ``x`` (and ``rng``). A dict gives one to each class: keys are labels,
        ``(label, group)``, ``("*", group)`` and ``"*"`` for the rest; None leaves a class alone.
    copies : int, default=1
        Perturbed copies of every record.
    keep_originals : bool, default=False
        Whether the untouched records come first: ``len`` is ``(copies + 1) * len(base)``.
    stratified : bool, default=False
        Draw scrambled Sobol' numbers over the copies (and epochs) of each record, so that its
        copies are spread over what could be drawn. Edits of ours and of albumentations follow.
    labels, groups : array-like, (n,), optional
        For a dict of policies; labels are found by themselves in most sets.
    seed : int, default=0

    Raises
    ------
    ParameterError, DataError, InputTypeError
        One sentence; for a lambda too, which worker processes could not import; and for places
        in the picture that cannot move with it (COCO's lists, VOC's mappings, polygons), where
        the policy has an edit that moves pixels.

    Notes
    -----
    Key points are torchvision's KeyPoints, or ``keypoints`` (n, k, 3) in a mapping: x, y in
    pixels, where (0, 0) is the middle of the first one, and a visibility, which becomes 0 (x and
    y too) for points that leave the picture; those without visibility, (..., 2), are then outside
    it. They keep their order: a mirrored left eye is still the left eye, so swap the names
    yourself where left is the viewer's. A plain array as the label is a label, not key points.

    A box that keeps less than a tenth of its area is dropped, and with it its mask, its key points
    (the n-th of (n, k, 3), where there are as many as boxes; points (p, 2 or 3) all stay) and what
    else has a value for each box by its name: labels, scores, areas, ids, crowd, difficult,
    truncated, occluded, and any that begins with ``box_``. Other entries stay whole; of one with
    as many values as there were boxes a warning tells once. Places in integers are rounded.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from augsynth.perturb import ScaledJitter
    >>> base = TensorDataset(torch.randn(10, 4), torch.arange(10) % 2)
    >>> train = PerturbedDataset(base, ScaledJitter(0.1), copies=3, keep_originals=True)
    >>> len(train), train.labels[:12].tolist()
    (40, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    >>> bool((train.at(25, epoch=1)[0] == train.at(25, epoch=1)[0]).all())
    True
    """

    def __init__(
        self,
        base: Any,
        policy: Any,
        *,
        copies: int = 1,
        keep_originals: bool = False,
        stratified: bool = False,
        labels: Any = None,
        groups: Any = None,
        seed: int = 0,
    ):
        super().__init__(base, labels=labels, groups=groups, seed=seed)
        check_number("PerturbedDataset", "copies", copies, low=1, high=2**20, integer=True)
        self.policy, self.copies, self.keep_originals = policy, int(copies), bool(keep_originals)
        self.stratified = bool(stratified)
        self._repeats = repeats_of(base)
        self._base_copies = most_copies(base) * (1 if self._repeats is None else int(self._repeats.max()) + 1)
        # Around another one of the same seed it is keyed by its depth, or both would draw alike.
        depth = depth_of(base, PerturbedDataset)
        self._path = step_key("PerturbedDataset", depth) if depth else 0
        self._streams = Streams(self.seed, stratified=self._base_copies * self.copies if stratified else 0)
        self._policies, self._policy_of = self._read_policies(policy)
        self._fit_policies()
        self._begin()

    def __len__(self) -> int:
        return len(self.base) * (self.copies + self.keep_originals)

    @property
    def max_copies(self) -> int:
        """How many items are made from one record, at most."""
        return self._base_copies * (self.copies + self.keep_originals)

    # -- policies ------------------------------------------------------------------------

    def _read_policies(self, policy: Any) -> tuple[list[Perturbation | None], np.ndarray | None]:
        """Return the policies, and which of them each record of the base has (None: the first)."""
        if not isinstance(policy, Mapping):
            return [self._read_policy(policy)], None
        if not policy:
            must = "policy must name at least one class, or '*'"
            raise ParameterError(sentence("PerturbedDataset", must, "an empty dict"))
        kinds = {key: None if value is None else self._read_policy(value) for key, value in policy.items()}
        order = {key: k for k, key in enumerate(kinds)}
        check_labels_stay(self.base, "PerturbedDataset")
        labels, groups = self._base_labels(), self._base_groups_found()
        rows = list(zip(labels.tolist(), _rows(groups, len(labels)), strict=True))
        used: dict[Any, int] = {}
        for label, group in set(rows):
            keys = ((label, *group), (_ANY, *group), label, _ANY) if group else (label, _ANY)
            used[label, group] = next((order[key] for key in keys if key in order), -1)
        known = {key for label, group in used for key in ((label, *group), (_ANY, *group), label, _ANY)}
        unknown = [key for key in order if key not in known]
        if unknown:
            given = f"{offenders(unknown)}; there are {offenders(sorted({str(v) for v, _ in used}), 8)}"
            must = "the keys of policy must be labels, (label, group) or '*'"
            raise ParameterError(sentence("PerturbedDataset", must, given))
        bare = sorted({str(label) for (label, _), k in used.items() if k < 0})
        if bare:
            todo = "Add '*' for the rest (None leaves records as they are)."
            must = "policy must cover every class"
            raise ParameterError(sentence("PerturbedDataset", must, f"nothing for {offenders(bare)}", todo))
        return list(kinds.values()), np.array([used[row] for row in rows], dtype=np.int16)

    def _read_policy(self, policy: Any) -> Perturbation:
        modality, rate = None, None
        if isinstance(policy, (str, list, tuple)):
            first = fetch(self.base, 0, 0, where="PerturbedDataset")
            modality, rate = modality_of(take_apart(first, where="PerturbedDataset").x), rate_of(first)
        perturbation = as_perturbation(policy, modality=modality, sample_rate=rate)
        check_importable(perturbation, "PerturbedDataset")
        return perturbation

    def _fit_policies(self) -> None:
        """Fit copies of the policies; those that learn see every record and its label."""
        learners = [p for p in self._policies if p is not None and (p.learns or p.per_row)]
        rows, labels = None, None
        if learners:
            samples = [self._sample(i) for i in range(len(self.base))]
            rows = _as_rows(samples) if any(p.per_row for p in learners) else samples
            labels = self._labels_if_any()
        self._policies = [None if p is None else clone(p).fit(rows, labels) for p in self._policies]
        self._moves = [p is not None and not p.per_row and p.moves for p in self._policies]
        self._in_batches = [p is not None and not p.per_row for p in self._policies]

    def _labels_if_any(self) -> np.ndarray | None:
        try:
            return self._base_labels()
        except AugsynthError:
            return None

    def _sample(self, i: int) -> Any:
        return take_apart(fetch(self.base, i, 0, where="PerturbedDataset"), where="PerturbedDataset").x

    # -- items ---------------------------------------------------------------------------

    def _place(self, i: int) -> tuple[int, int]:
        """Return the item of the base, and the copy from 1 on (0: the original)."""
        copy, j = divmod(i, len(self.base))
        return j, copy + (not self.keep_originals)

    def _which(self, j: int) -> int:
        return 0 if self._policy_of is None else int(self._policy_of[j])

    def _policy_at(self, j: int) -> Perturbation | None:
        return self._policies[self._which(j)]

    def _key(self, j: int, copy: int, epoch: int) -> tuple[int, int]:
        """Return the record and the number (from 0) of a copy among all the copies of that record."""
        record, inner = slot_of(self.base, j, epoch)
        if self._repeats is not None:
            inner += int(self._repeats[j]) * most_copies(self.base)
        return record, inner * self.copies + copy - 1

    def _at(self, i: int, epoch: int) -> Any:
        j, copy = self._place(i)
        item = fetch(self.base, j, epoch, where="PerturbedDataset")
        policy = self._policy_at(j)
        if copy == 0 or policy is None:
            return item
        return self._edited_at(self._apart(item, j), i, epoch)

    def _apart(self, item: Any, j: int) -> Parts:
        """Take an item apart; raise if it tells places that its policy would leave behind."""
        try:
            parts = take_apart(item, where="PerturbedDataset")
            policy = self._policy_at(j)
            if policy is None or not self._moves[self._which(j)] or modality_of(parts.x) != "image":
                return parts
            _check_follows(policy, parts)
        except AugsynthError as error:
            raise _naming(error, self.base, j) from error
        return parts

    def _edited_at(self, parts: Parts, i: int, epoch: int) -> Any:
        j, copy = self._place(i)
        policy = self._policy_at(j)
        if policy is None:
            return parts.item
        return self._edited(policy, parts, self._draw(policy, parts.x, j, copy, epoch), j)

    def _draw(self, policy: Perturbation, x: Any, j: int, copy: int, epoch: int) -> dict[str, Any]:
        rng = self._streams.at(epoch, *self._key(j, copy, epoch), path=self._path)
        try:
            return policy.draw(_as_rows([x]) if policy.per_row else x, rng)
        except AugsynthError as error:
            raise _naming(error, self.base, j) from error

    def _edited(self, policy: Perturbation, parts: Parts, params: dict[str, Any], j: int) -> Any:
        try:
            if policy.per_row:
                return parts.put(_like_row(policy.apply(_as_rows([parts.x]), params), parts.x))
            x = policy.apply(parts.x, params)
            _check_size_stays(policy, parts, x)
            if not parts.marks or modality_of(parts.x) != "image":
                return parts.put(x)
            marks = policy.apply_marks(parts.marks, params, size=size_of(parts.x) or (0, 0))
            return parts.put(x, marks=marks)
        except AugsynthError as error:
            raise _naming(error, self.base, j) from error

    def _at_many(self, indices: Sequence[int], epochs: Sequence[int]) -> list[Any]:
        out: list[Any] = [None] * len(indices)
        together: dict[int, list[int]] = {}
        for k, (i, epoch) in enumerate(zip(indices, epochs, strict=True)):
            j, copy = self._place(i)
            which = self._which(j)
            if copy == 0 or not self._in_batches[which] or len(indices) == 1:
                out[k] = self._at(i, epoch)
            else:
                together.setdefault(which, []).append(k)
        for which, places in together.items():
            edited = self._edit_together(which, [(indices[k], epochs[k]) for k in places])
            for k, item in zip(places, edited, strict=True):
                out[k] = item
        return out

    def _edit_together(self, which: int, wanted: list[tuple[int, int]]) -> list[Any]:
        policy = self._policies[which]
        parts, keys = [], []
        for i, epoch in wanted:
            j, copy = self._place(i)
            item = fetch(self.base, j, epoch, where="PerturbedDataset")
            parts.append(self._apart(item, j))
            keys.append((epoch, *self._key(j, copy, epoch)))
        if policy is None or any(part.marks for part in parts):
            return [self._edited_at(part, i, epoch) for part, (i, epoch) in zip(parts, wanted, strict=True)]
        columns = np.array(keys, dtype=np.uint64).T
        batch = ItemKeys(self.seed, *columns, path=self._path, stratified=self._streams.stratified)
        try:
            edited = policy.edit_many([part.x for part in parts], batch)
            for part, x in zip(parts, edited, strict=True):
                _check_size_stays(policy, part, x)
        except AugsynthError:  # one by one, the record that cannot be edited is named
            return [self._edited_at(part, i, epoch) for part, (i, epoch) in zip(parts, wanted, strict=True)]
        return [part.put(x) for part, x in zip(parts, edited, strict=True)]

    # -- what is known without reading ---------------------------------------------------

    def _slot(self, i: int, epoch: int) -> tuple[int, int]:
        j, copy = self._place(i)
        if copy == 0:
            return slot_of(self.base, j, epoch)
        record, number = self._key(j, copy, epoch)
        # Beside originals the copies are further ones; a wrapper around this one keys by them.
        return record, number + self._base_copies * self.keep_originals

    def _describe(self, i: int, epoch: int) -> dict[str, Any]:
        j, copy = self._place(i)
        policy = self._policy_at(j)
        if copy == 0 or policy is None:
            return {"kind": "real", **described(self.base, j, epoch)}
        x = take_apart(fetch(self.base, j, epoch, where="PerturbedDataset")).x
        params = self._draw(policy, x, j, copy, epoch)
        params = params if policy.per_row else policy.explain(x, params)
        told = {"kind": "perturbed", "policy": policy.stream_name, "parameters": params}
        return {**told, **described(self.base, j, epoch)}

    def _labels(self) -> np.ndarray:
        return np.tile(self._base_labels(), self.copies + self.keep_originals)

    def _groups(self) -> np.ndarray | None:
        groups = self._base_groups_found()
        return None if groups is None else np.concatenate([groups] * (self.copies + self.keep_originals))


def _naming(error: AugsynthError, base: Any, j: int) -> AugsynthError:
    """Return the sentence of an edit that cannot be made with the record's number, and file, in it."""
    text, path = str(error), file_of(base, j)
    item = f"Item {j} of the base ({path})" if path else f"Item {j} of the base"
    return error if "at item" in text else type(error)(f"{item}: {text}")


def _check_follows(policy: Perturbation, parts: Parts) -> None:
    """Raise if an item tells places in its picture that an edit which moves pixels leaves where they were."""
    name = policy.stream_name
    if "points" in parts.marks and not policy.moves_points:
        must = "key points must move with the picture"
        todo = "Let its apply_marks move marks['points'] too, and set moves_points = True."
        raise ParameterError(sentence(name, must, "an edit that moves masks and boxes only", todo))
    parts.check_in_pixels()
    found = parts.left_behind()
    if found:
        must = "what says where things are in a picture must be in a form that can move with it"
        given = f"{found}, and {name}, which moves pixels"
        raise InputTypeError(sentence("PerturbedDataset", must, given, CONVERT))


def _check_size_stays(policy: Perturbation, parts: Parts, x: Any) -> None:
    """Raise if an edit that is said to move no pixels gives a picture of another size, with places in it."""
    before, after = size_of(parts.x), size_of(x)
    if before == after or policy.moves or modality_of(parts.x) != "image":
        return
    if parts.marks or parts.left_behind():
        must = "an edit that moves no pixels must keep the size of the picture, or places in it are wrong"
        given = f"{after} from {before}"
        raise ParameterError(sentence(policy.stream_name, must, given, "Set moves=True."))


def _rows(groups: np.ndarray | None, n: int) -> list[tuple[Any, ...]]:
    if groups is None:
        return [()] * n
    return [tuple(row) if isinstance(row, list) else (row,) for row in groups.tolist()]


def _as_rows(samples: list[Any]) -> np.ndarray:
    rows = [dense(x, "PerturbedDataset").numpy() if hasattr(x, "detach") else np.asarray(x) for x in samples]
    if any(row.ndim != 1 or row.shape != rows[0].shape for row in rows):
        shape = next(row.shape for row in rows if row.ndim != 1 or row.shape != rows[0].shape)
        must = "for a policy of tables every sample must be a row of one length"
        raise DataError(sentence("PerturbedDataset", must, f"shape {shape}"))
    return np.stack(rows)


def _like_row(rows: np.ndarray, x: Any) -> Any:
    if hasattr(x, "detach"):
        import torch

        return torch.from_numpy(np.ascontiguousarray(rows[0])).to(x.dtype)
    return rows[0].tolist() if isinstance(x, list) else rows[0]
