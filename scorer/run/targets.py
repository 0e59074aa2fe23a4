"""Outputs of a run by name: which input is written to which file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from scorer.disk.durable import write_errors
from scorer.disk.paths import STDIN, check_folder, identity_of, is_folder, is_there
from scorer.errors import EmptyInputError, ScorerError, UsageError
from scorer.files.beside_outputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX
from scorer.files.formats import OutputFormat, extension_of
from scorer.files.inputs import InputFile, searched_folder
from scorer.files.remote import place_of
from scorer.files.urls import has_wildcard, is_url, without_secrets
from scorer.job.options import ScoreOptions
from scorer.run.options import RunOptions


def goes_into_folder(inputs: Sequence[str], output: str) -> bool:
    """True if the outputs go into a folder: for many inputs always, for one if it or ``output`` is a folder."""
    if len(inputs) > 1 or output.endswith(("/", os.sep)):
        return True
    if not inputs or inputs[0] == STDIN:
        return False
    name = inputs[0]
    many = has_wildcard(name) if is_url(name) else searched_folder(name) is not None
    folder = not is_url(output) and is_folder(output) and not extension_of(output).kind
    return many or folder or (is_url(name) and not extension_of(without_secrets(name)).kind)


def targets_of(
    found: Sequence[InputFile], output: str, options: ScoreOptions, failed: Callable[[ScorerError], None]
) -> dict[str, InputFile]:
    """The file of each output in the folder ``output``.

    ``failed`` takes the error of a file that has no output: it has no name, is that of another input too, or is an
    input itself. Each job checks its own.
    """

    def identity(path: str) -> object:
        return place_of(path) if is_url(path) else identity_of(path)

    inputs = {identity(file.path): file for file in found}
    inputs.pop(None, None)  # what is not a regular file has no identity
    targets: dict[str, InputFile] = {}
    writers: dict[str, list[InputFile]] = {}
    for file in found:
        shown = without_secrets(file.path)
        name = _output_name(file.name, options)
        if name is None:
            what = "its extension does not give the output format"
            failed(UsageError(what, path=shown, hint="pass --output-format"))
            continue
        target = f"{output.rstrip('/')}/{name}"
        for path in (target, target + REJECTS_SUFFIX, target + PROVENANCE_SUFFIX):
            writers.setdefault(path, []).append(file)
        if inputs.get(identity(target), file) is not file:
            what = "is also an input of this run"
            failed(UsageError(what, path=without_secrets(target), hint="write to another folder"))
            continue
        targets.setdefault(target, file)
    clashes = {
        file: (path, next(other for other in several if other is not file))
        for path, several in reversed(writers.items())
        for file in several
        if len(several) > 1
    }
    for file, (path, other) in clashes.items():
        what = f"its output {without_secrets(path)} would also be written by {without_secrets(other.path)}"
        failed(UsageError(what, path=without_secrets(file.path), hint="score them in separate runs"))
    return {target: file for target, file in targets.items() if file not in clashes}


def _output_name(name: str, options: ScoreOptions) -> str | None:
    """Name of the output of a file named ``name``; ``None`` if nothing says its format."""
    if options.output_format is not None:
        suffix = OutputFormat.of("x", options.output_format).suffix
        return name.removesuffix(extension_of(name).suffix) + suffix
    return name if extension_of(name).kind else None


def without_outputs(found: list[InputFile], inputs: Sequence[str], output: str, run: RunOptions) -> list[InputFile]:
    """``found`` without earlier outputs: what a search found in the output's folder; named files stay."""
    if is_url(output):
        return found
    folder = _real(output)
    searched = {name: _real(root) for name in inputs if (root := searched_folder(name)) is not None}
    if folder in searched.values():
        raise UsageError("is the folder of the inputs itself", path=output, hint="write to another folder")
    if not any(folder.is_relative_to(root) for root in searched.values()):
        return found
    named = {_real(name) for name in inputs if name not in searched}
    rest = [file for file in found if not (path := _real(file.path)).is_relative_to(folder) or path in named]
    if found and not rest and run.on_missing_input == "fail":
        raise EmptyInputError("holds only files of the output", path=inputs[0], hint="check the path")
    return rest


def _real(path: str | Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises for a circle of links


def is_a_folder(name: str) -> UsageError:
    """The error of an input that is a folder while the output is a file."""
    shown = without_secrets(name)
    hint = f"name a folder for them, as -o scored{'/' if is_url(name) else ''}"
    return UsageError("is a folder, so the output must be a folder too", path=shown, hint=hint)


def check_output_folder(folder: Path, inputs: Sequence[str]) -> None:
    """Check that the folder of the outputs can be written to, or made.

    Raises:
        UsageError: it has the name of a file.
        OutputError: the folder around it is missing, or nothing can be made there.
    """
    if not is_folder(folder) and (is_there(folder) or extension_of(folder.name).kind):
        if len(inputs) == 1 and is_folder(inputs[0]):
            raise is_a_folder(inputs[0])
        raise UsageError("is a file name, but several outputs need a folder", path=folder, hint="name a folder")
    check_folder(folder / "any" if is_folder(folder) else folder)


def make_folder(folder: Path, inputs: Sequence[str]) -> None:
    """Make the folder of the outputs unless it exists.

    Raises:
        UsageError: it has the name of a file.
        OutputError: it could not be made, or no file can be made in it.
    """
    check_output_folder(folder, inputs)
    with write_errors(folder):
        folder.mkdir(exist_ok=True)
