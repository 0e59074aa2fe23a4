"""Outputs of a run by name: which input is written to which file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from scorer.disk.durable import write_errors
from scorer.disk.paths import STDIN, identity_of, is_folder, is_there
from scorer.errors import MissingInputError, OutputError, UsageError
from scorer.files.formats import OutputFormat, extension_of
from scorer.files.inputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX, InputFile, searched_folder
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


def targets_of(found: Sequence[InputFile], output: str, options: ScoreOptions) -> dict[str, InputFile]:
    """The file of each output in the folder ``output``.

    Raises:
        UsageError: two inputs would write one file, or one would write over another; each job checks its own.
    """

    def identity(path: str) -> object:
        return place_of(path) if is_url(path) else identity_of(path)

    inputs = {identity(file.path): file for file in found}
    inputs.pop(None, None)  # what is not a regular file has no identity
    targets: dict[str, InputFile] = {}
    taken: dict[str, InputFile] = {}
    for file in found:
        name, shown = file.name, without_secrets(file.path)
        if options.output_format is not None:
            suffix = OutputFormat.of("x", options.output_format).suffix
            name = name.removesuffix(extension_of(name).suffix) + suffix
        elif not extension_of(name).kind:
            raise UsageError(
                "its name does not say in which format to write it", path=shown, hint="pass --output-format"
            )
        target = f"{output.rstrip('/')}/{name}"
        for path in (target, target + REJECTS_SUFFIX, target + PROVENANCE_SUFFIX):
            other = taken.setdefault(path, file)
            if other is not file:
                raise UsageError(
                    f"would be written by {without_secrets(other.path)} and {shown}",
                    path=without_secrets(path),
                    hint="score them in separate runs",
                )
        if inputs.get(identity(target), file) is not file:
            raise UsageError(
                "is an input of this run itself", path=without_secrets(target), hint="write to another folder"
            )
        targets[target] = file
    return targets


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
        raise MissingInputError("holds no file but those of the output", path=inputs[0], hint="check the path")
    return rest


def _real(path: str | Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises for a circle of links


def is_a_folder(name: str) -> UsageError:
    """The error of an input that is a folder while the output is a file."""
    shown = without_secrets(name)
    hint = f"name a folder for them, as -o scored{'/' if is_url(name) else ''}"
    return UsageError("is a folder, and each file in it has an output of its own", path=shown, hint=hint)


def make_folder(folder: Path, inputs: Sequence[str]) -> None:
    """Make the folder of the outputs unless it exists.

    Raises:
        UsageError: it has the name of a file.
        OutputError: it could not be made.
    """
    if not is_folder(folder) and (is_there(folder) or extension_of(folder.name).kind):
        if len(inputs) == 1 and is_folder(inputs[0]):
            raise is_a_folder(inputs[0])
        raise UsageError("is the name of a file, and several outputs need a folder", path=folder, hint="name a folder")
    if not is_folder(folder.absolute().parent):
        raise OutputError("no such folder", path=folder.absolute().parent, hint="make it first")
    with write_errors(folder):
        folder.mkdir(exist_ok=True)
