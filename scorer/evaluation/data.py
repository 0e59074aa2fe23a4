"""The data of an evaluation: its files opened, their gold labels read, and the model loaded that scores texts."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scorer.errors import UsageError
from scorer.evaluation.baseline import check_kept_columns, without_first_baseline
from scorer.evaluation.drift import Profile
from scorer.evaluation.gold import labels_of, read_gold, require_two_labels
from scorer.evaluation.inputs import EvaluatedFile, open_files
from scorer.evaluation.label_map import read_label_map
from scorer.evaluation.labels import GoldLabels, LabelSet
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.outputs import check_row_columns
from scorer.evaluation.predictions import PredictedChunk, predicted_chunks, scored_chunks
from scorer.evaluation.rows import EvaluatedRows, collect_rows
from scorer.evaluation.scored_by import ScoredBy, scored_by
from scorer.progress import NoProgress, Progress
from scorer.safe_text import quoted

if TYPE_CHECKING:
    from scorer.model.scoring import Scorer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluatedData:
    """The open files of an evaluation, their labels, and the model that scores their texts.

    Attributes:
        options: without comparisons that the first night cannot make.
        files: to evaluate.
        gold: their gold labels.
        ids: label id of each gold value.
        labels: of the predictions.
        positive: id of the positive label, or ``None``.
        scorer: loaded if the files have texts to score.
        models: that made the predictions of ``files``, as far as these state it.
        notes: on how labels and baselines were read.
    """

    options: EvaluateOptions
    files: Sequence[EvaluatedFile]
    gold: GoldLabels
    ids: dict[str, int]
    labels: LabelSet
    positive: int | None
    scorer: Scorer | None
    models: tuple[ScoredBy | None, ...]
    notes: tuple[str, ...]

    @classmethod
    def open(cls, paths: Sequence[str | os.PathLike[str]], asked: EvaluateOptions) -> EvaluatedData:
        """Open the files, read every gold label, and load the model if there are texts to score."""
        # Opened as asked, because gold labels are needed on the first night too.
        files = open_files(paths, asked)
        options, notes = without_first_baseline(asked)
        gold = read_gold(files, options)
        if gold.column is None and files[0].gold is not None:
            notes += (f"no row has a label in column {quoted(files[0].gold)}: all are taken as unlabelled",)
        label_map = {} if options.label_map is None else read_label_map(options.label_map)
        scorer = _load(options) if files[0].predicted is None else None
        if scorer is None:
            labels, more = labels_of(files, gold, label_map)
            notes += more
        else:
            labels = LabelSet(scorer.bundle.labels, "the model")
        if options.write_baseline is not None:
            check_kept_columns(files, labels.names, options)
        check_row_columns(files, labels.names, options)
        ids: dict[str, int] = {}
        if gold.column is not None:
            ids = labels.require_ids(gold.values, name=gold.column, label_map=label_map)
            require_two_labels(files, gold, ids)
        models = tuple(None if scorer else scored_by(file.source) for file in files)
        return cls(options, files, gold, ids, labels, _positive_id(labels, options.positive), scorer, models, notes)

    def collect(self, profile: Profile | None, progress: Progress) -> EvaluatedRows:
        """Read or score all rows, counting them in ``profile`` on the way."""
        slice_by = tuple(self.options.slice_by)
        if self.scorer is None:
            progress = NoProgress()  # predictions are read too fast to show it
            opened: AbstractContextManager[Iterator[PredictedChunk]] = nullcontext(
                predicted_chunks(self.files, self.labels, slice_by)
            )
        else:
            opened = scored_chunks(self.files, self.labels, self.scorer, slice_by, progress)
        with progress as shown, opened as chunks:
            shown.start(self.gold.rows)
            return collect_rows(_counted(chunks, profile, shown), self.gold, self.ids, slice_by)


def _counted(chunks: Iterator[PredictedChunk], profile: Profile | None, progress: Progress) -> Iterator[PredictedChunk]:
    for chunk in chunks:
        if profile is not None:
            profile.add(chunk)
        yield chunk
        progress.advance(len(chunk.predicted), chunk.n_tokens)


def _load(options: EvaluateOptions) -> Scorer:
    from scorer.model.scoring import Scorer

    scorer = Scorer.load(options.model, options=options)
    if scorer.session.note:
        log.warning("%s", scorer.session.note)
    return scorer


def _positive_id(labels: LabelSet, wanted: str | int | None) -> int | None:
    """The label ``wanted`` by name or id, or else the second of two."""
    if wanted is None:
        return 1 if len(labels.names) == 2 else None
    found = labels.ids_of([str(wanted)])[str(wanted)]
    if found is None:
        raise UsageError(f"--positive {wanted} is not a label of {labels.owner}", hint=f"labels: {labels.described()}")
    return found
