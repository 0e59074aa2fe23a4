"""The line before a mass rescore: how many files, why, and about how long."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.disk.paths import is_plain_file
from scorer.files.formats import OutputFormat
from scorer.files.urls import without_secrets
from scorer.job.engine import Engine
from scorer.job.options import ScoreOptions
from scorer.job.summary import AGAIN_FOR
from scorer.run.dry_run import in_words
from scorer.safe_text import counted

if TYPE_CHECKING:
    from scorer.job.up_to_date import ExistingOutput

log = logging.getLogger(__name__)

_MANY = 2
"""Files from which on a rescore for the model, the options or the versions is announced."""


def outputs_on_disk(targets: Iterable[str], options: ScoreOptions) -> dict[str, ExistingOutput]:
    """Those of ``targets`` in a local folder that are there."""
    there = [target for target in targets if is_plain_file(target)]
    if not there:
        return {}
    from scorer.job.destination import Destination
    from scorer.job.up_to_date import ExistingOutput

    return {target: ExistingOutput.on_disk(Destination(Path(target), _format(target, options))) for target in there}


def announce(
    existing: Mapping[str, ExistingOutput], options: ScoreOptions, engine: Callable[[], Engine], rate: float | None
) -> None:
    """Say in one line how many outputs are made anew although their inputs may be as they were.

    ``existing`` has the outputs that may not be up to date; ``rate`` is rows per second of an earlier run, for the
    estimate.

    Raises:
        ModelError: the model cannot be used.
    """
    if len(existing) < _MANY or options.overwrite:
        return
    from scorer.job.up_to_date import Making

    model = engine().model()
    reasons: Counter[str] = Counter()
    rows = 0
    for target, output in existing.items():
        format, stated = _format(target, options), output.provenance
        if not stated.get("inputs"):
            continue
        reason = Making(stated["inputs"][0], model, format, options).difference(stated)
        if reason is not None:
            reasons[reason] += 1
            rows += int(stated.get("rows", {}).get("in", 0))
    count = reasons.total()
    if count < _MANY:
        return
    why = ", ".join(f"{number:,} for {AGAIN_FOR[reason]}" for reason, number in reasons.most_common())
    time = f"; about {in_words(rows / rate)} at an earlier run's {counted(round(rate), 'row')}/s" if rate else ""
    keep = "; --versions ignore keeps what other versions made" if reasons["versions"] else ""
    fields = {"files": count, "rows": rows, **{f"files_{reason}": number for reason, number in reasons.items()}}
    about = {"event": "rescoring", "fields": fields}
    log.warning("%d files with %s rows are scored again: %s%s%s", count, f"{rows:,}", why, time, keep, extra=about)


def _format(target: str, options: ScoreOptions) -> OutputFormat:
    return OutputFormat.of(without_secrets(target), options.output_format, csv_safe=options.csv_safe)
