"""An output as a run would find it, looked at without a lock and without a write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.disk.locking import check_free
from scorer.disk.paths import STDOUT, is_folder, is_plain_file
from scorer.errors import OutputExistsError
from scorer.files.formats import OutputFormat
from scorer.files.inputs import InputFile
from scorer.files.remote import file_system, is_in_store
from scorer.files.store_errors import asked
from scorer.files.urls import is_url, without_secrets
from scorer.job.options import ScoreOptions
from scorer.run.engines import check_engine
from scorer.run.targets import check_output_folder
from scorer.safe_text import in_utf8

if TYPE_CHECKING:
    from scorer.job.up_to_date import ExistingOutput

LOCK = ".score.lock"
"""Name of the lock of a folder of outputs."""


def check_whole_run(output: str, inputs: Sequence[str], options: ScoreOptions, *, into_folder: bool) -> None:
    """Check what would end a run before its first file.

    Raises:
        UsageError, OutputError: the folder ``output`` cannot be made.
        BusyError: another run holds it.
        ModelError: Ray cannot be reached.
    """
    check_engine(options)
    if into_folder and not is_url(output):
        check_output_folder(Path(output), inputs)
        check_free(Path(output), lock=Path(output) / LOCK)


@dataclass(frozen=True)
class ForeseenOutput:
    """An output that a run would write.

    Attributes:
        format: its format.
        existing: what is there now; ``None`` if nothing is.
        is_replaceable: True if a run like ``make`` may replace that.
        replaced: the local file whose predictions it would reuse.
    """

    format: OutputFormat
    existing: ExistingOutput | None = None
    is_replaceable: bool = True
    replaced: Path | None = None

    @classmethod
    def of(cls, target: str, file: InputFile, options: ScoreOptions, *, like_make: bool) -> ForeseenOutput:
        """The output ``target`` of ``file``.

        Raises:
            OutputExistsError: it already exists, and a run would not replace it whatever it holds.
            UsageError, OutputError, BusyError, UnreachableError: as the run would end.
        """
        if target == STDOUT:
            from scorer.job.to_stdout import format_of_stdout

            return cls(format_of_stdout(file, options))
        format = OutputFormat.of(without_secrets(target), options.output_format, csv_safe=options.csv_safe)
        name = in_utf8(file.name)
        found = (_in_store if is_url(target) else _on_disk)(cls(format), target, name, file, options, like_make)
        if found.existing is not None and not (like_make or options.overwrite or found.is_replaceable):
            raise already_exists(target)
        return found


def already_exists(target: str) -> OutputExistsError:
    """The error of an output that may not be replaced."""
    return OutputExistsError("already exists", path=without_secrets(target), hint="pass --overwrite to replace it")


def _on_disk(
    new: ForeseenOutput, target: str, name: str, file: InputFile, options: ScoreOptions, like_make: bool
) -> ForeseenOutput:
    from scorer.job.destination import Destination
    from scorer.job.to_disk import behind_links
    from scorer.job.up_to_date import ExistingOutput, may_be_replaced

    place = Destination(behind_links(Path(target), options), new.format)
    if not like_make or is_folder(place.path.absolute().parent):  # a folder run makes its folders
        place.check([] if is_url(file.path) else [file.path], overwrite=True)
    else:
        place.check_name()
    if not like_make:
        check_free(place.path)
    if not is_plain_file(place.path):
        return new
    is_replaceable = may_be_replaced(place, name, like_make=like_make)
    return ForeseenOutput(new.format, ExistingOutput.on_disk(place), is_replaceable, place.path if like_make else None)


def _in_store(
    new: ForeseenOutput, target: str, name: str, _file: InputFile, _options: ScoreOptions, like_make: bool
) -> ForeseenOutput:
    from scorer.job.to_store import existing_output

    store: Any
    store, path = file_system(target)

    def look() -> ExistingOutput | None:
        return existing_output(store, path, new.format) if is_in_store(store, path) else None

    existing = asked(without_secrets(target), look, writing=True)
    is_replaceable = existing is not None and like_make and (existing.size == 0 or existing.is_made_from(name))
    return ForeseenOutput(new.format, existing, is_replaceable)
