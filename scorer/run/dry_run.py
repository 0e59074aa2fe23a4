"""A run that writes nothing: which files would be scored and why, how many rows and tokens, and about how long."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.errors import ScorerError, explained
from scorer.files.inputs import InputFile
from scorer.files.urls import without_secrets
from scorer.job.earlier_outputs import EarlierOutputs
from scorer.job.options import ScoreOptions
from scorer.run.deaths import Deaths
from scorer.run.foreseen import ForeseenOutput, already_exists, check_whole_run
from scorer.run.outcome import Outcome
from scorer.run.output_folder import output_folder
from scorer.run.seen_files import SeenFiles
from scorer.safe_text import counted

if TYPE_CHECKING:
    from scorer.job.chunk_work import ChunkWork

_SAMPLE_SECONDS = 2.0
"""Time of scoring from which the time of the whole is taken."""

_FIRST_ROWS = 16
"""Rows that are scored first; each time twice as many, for a GPU."""


def in_words(seconds: float) -> str:
    """A time for people.

    >>> in_words(2.4), in_words(150), in_words(9000)
    ('3 s', '2.5 min', '2.5 h')
    """
    if seconds < 120:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@dataclass
class _Totals:
    """Sums over the files that would be scored."""

    files: int = 0
    up_to_date: int = 0
    rows: int = 0
    reused: int = 0
    sampled: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass
class DryRun:
    """What a run of ``options`` would do; it takes no lock and writes no file.

    Attributes:
        options: options of the run.
        outcome: takes the errors of files, as those of a run.
    """

    options: ScoreOptions
    outcome: Outcome
    _totals: _Totals = field(default_factory=_Totals)
    _scorer: Any = None
    _share: float = 1.0

    def lines(
        self, targets: Mapping[str, InputFile], inputs: Sequence[str], output: str, *, like_make: bool
    ) -> Iterator[str]:
        """A line for each file that would be scored, and one for all.

        Raises:
            ModelError: the model cannot be used.
            ScorerError: as the run would end before its first file.
        """
        totals, earlier = self._totals, EarlierOutputs(self.options)
        check_whole_run(output, inputs, self.options, into_folder=like_make)
        earlier.check()
        deaths = seen = None
        if like_make:
            outputs = output_folder(output)
            trusted = not (self.options.overwrite or self.outcome.run.checksum)
            deaths, seen = Deaths(outputs), SeenFiles.open(outputs, self.options, is_trusted=trusted)
        for number, (target, file) in enumerate(targets.items(), 1):
            self._share = number / len(targets)
            if seen is not None and seen.up_to_date(target, file):
                totals.up_to_date += 1
                continue
            try:
                line = self._line(target, file, earlier, deaths)
            except Exception as caught:
                error = explained(caught, path=without_secrets(file.path))
                if not isinstance(error, ScorerError) or error.exit_code == 4:
                    raise
                if self.outcome.skips(error):
                    continue
                if self.outcome.of_one_file:
                    raise
                self.outcome.failed(error, without_secrets(file.path))
                continue
            if line is None:
                totals.up_to_date += 1
            else:
                yield line
        yield self._last_line()

    @property
    def n_files(self) -> int:
        """Files that would be scored."""
        return self._totals.files

    @property
    def n_good(self) -> int:
        """The same, and those that are up to date."""
        return self._totals.files + self._totals.up_to_date

    def _line(self, target: str, file: InputFile, earlier: EarlierOutputs, deaths: Deaths | None) -> str | None:
        """The line of a file; ``None`` if its output is up to date. A run like ``make`` has ``deaths``."""
        from scorer.files.input_state import InputState
        from scorer.files.opening import open_source
        from scorer.files.writing import check_schema
        from scorer.job.chunk_work import ChunkWork, ModelIdentity
        from scorer.job.up_to_date import Making

        like_make = deaths is not None
        output, why = ForeseenOutput.of(target, file, self.options, like_make=like_make), "new"
        model = ModelIdentity.of(self._loaded())
        state = InputState.of(file)
        if output.existing is not None:
            making = Making(state.description(), model, output.format, self.options)
            found = output.existing.difference(making)
            if not self.options.overwrite:
                if like_make and found is None:
                    return None
                if not output.is_replaceable:
                    raise already_exists(target)
            why = found or "overwrite"
        if deaths is not None:
            deaths.check(file)
        with state.checked():
            source = open_source(file.path, self.options.reading())
            work = ChunkWork.plan(source, self.options, lambda: model)
            check_schema(output.format, work.schema)
            with earlier.known(model, replaced=output.replaced, folder=Path(tempfile.gettempdir())) as known:
                rows, reused = self._read(replace(work, known=known, names=(work.columns.text,)))
        self._totals.files += 1
        shown = f", {reused:,} of them reused" if reused else ""
        return f"{without_secrets(file.path)} -> {without_secrets(target)}: {why}, {counted(rows, 'row')}{shown}"

    def _read(self, work: ChunkWork) -> tuple[int, int]:
        """Read all rows of a source, which finds its errors, and score some while the sample is short."""
        from scorer.job.bad_row_limit import check_bad_rows

        scorer, totals = self._loaded(), self._totals
        rows = reused = bad = 0
        for chunk in work.chunks():
            texts, found = work.columns.unknown_texts(chunk, work.known)
            rows, bad = rows + chunk.n_input_rows, bad + len(chunk.rejects) + len(chunk.kept)
            reused += 0 if found is None else len(found.rows)
            texts, sampled = texts.drop_null(), 0
            while sampled < len(texts) and totals.seconds < _SAMPLE_SECONDS * self._share:
                begun = time.monotonic()
                encoded = scorer.encode(texts[sampled : (sampled := 2 * sampled + _FIRST_ROWS)])
                scorer.session.logits(encoded)
                totals.seconds += time.monotonic() - begun
                totals.sampled += encoded.n_rows
                totals.tokens += len(encoded.tokens)
        check_bad_rows(work, self.options, bad=bad, rows=rows, finished=True)
        totals.rows += rows
        totals.reused += reused
        return rows, reused

    def _last_line(self) -> str:
        totals = self._totals
        done = f"{counted(totals.files, 'file')} to score, {totals.up_to_date} up to date"
        if not totals.files:
            return f"nothing new: {done}" if not self.outcome.errors else done
        new = totals.rows - totals.reused
        reused = f", {totals.reused:,} reused" if totals.reused else ""
        line = f"{done}; {counted(totals.rows, 'row')}{reused}"
        if not totals.sampled or not totals.seconds:
            return line
        share, rate = new / totals.sampled, totals.sampled / totals.seconds
        time_left = in_words(totals.seconds * share)
        tokens, speed = counted(round(totals.tokens * share), "token"), counted(round(rate), "row")
        return f"{line}, about {tokens}; about {time_left} at {speed}/s"

    def _loaded(self) -> Any:
        if self._scorer is None:
            from scorer.job.local_engine import new_scorer

            self._scorer = new_scorer(self.options, tell=False)
        return self._scorer
