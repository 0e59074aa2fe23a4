"""The description of a job for its provenance, and the rule by which an existing output is up to date."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from scorer.disk.checksums import fingerprint, sha256_of
from scorer.disk.paths import is_plain_file
from scorer.errors import InputError
from scorer.files.columns import TEXT_COLUMNS
from scorer.files.formats import OutputFormat
from scorer.job.chunk_work import ChunkColumns, ModelIdentity
from scorer.job.destination import Destination
from scorer.job.journal import UnfinishedWork
from scorer.job.options import ScoreOptions, Versions
from scorer.job.provenance import changed_file, lacks_footer, parsed, read_provenance
from scorer.job.versions import counted_versions

Reason = Literal["new", "changed", "model", "options", "versions", "damaged", "overwrite"]
"""Why a file is scored: there is no output of it yet; or the output was made of another input, by another model or
on another device, with other options, or by other versions of the packages that move scores; or it is not what was
published; or it is up to date, and replaced because the user asked for it."""


_SETTINGS = {"precision", "preprocessing", "activation", "threshold"}
"""What options can change in the identity of a model."""


@dataclass(frozen=True)
class Making:
    """How an output is made: all that its rows depend on, but the columns of the input.

    Attributes:
        input: description of the input, see :meth:`scorer.files.input_state.InputState.description`.
        model: identity of the model.
        format: format of the output.
        options: options of the job.
    """

    input: Mapping[str, Any]
    model: ModelIdentity
    format: OutputFormat
    options: ScoreOptions

    def described(self, columns: ChunkColumns) -> dict[str, Any]:
        """The part of a provenance that is known before the work.

        ``fingerprint`` is over all of it except versions that do not count and the commands that made the bundle: two
        outputs of one fingerprint have the same rows.
        """
        model = self.model
        made_by = {
            "inputs": [self.input],
            "bundle": model.bundle,
            "options": {**self.options.of_the_result(model.batching), "text_column": columns.text},
            "output_format": self._format(),
            "schema": [[field.name, str(field.type)] for field in columns.schema],
            "device": model.device,
            "provider": model.provider,
            "processor": model.processor,
            "tokenizer": model.tokenizer,
        }
        counted = counted_versions(model.versions, model.tokenizer, self.options.versions)
        stated = {"versions": model.versions, "lineage": list(model.lineage)}
        return {**made_by, "fingerprint": fingerprint({**made_by, "versions": counted}), **stated}

    def difference(self, stated: Mapping[str, Any]) -> Reason | None:
        """The first thing in which an output with the provenance ``stated`` was made in another way.

        The class of the processor is none: an archive that is complete is not scored again because a night ran on
        another machine. Resuming and reusing, which mix the rows of two runs, look at it too.
        """
        if not _equal(stated.get("inputs"), [self.input]):
            return "changed"
        part = differing_part(stated, self.model, self.options.versions)
        if part == "model":
            return "options" if self._has_other_settings(stated) else "model"
        options = dict(stated.get("options", {}))
        text, wanted = str(options.pop("text_column", "")), self.options.text_column
        # By the rule for a column that is not named, which the same input answers in the same way.
        same_text = text == wanted if wanted is not None else text.casefold() in TEXT_COLUMNS
        same = _equal(options, self.options.of_the_result(self.model.batching)) and same_text
        if not (same and _equal(stated.get("output_format"), self._format())):
            return "options"
        return part

    def _has_other_settings(self, stated: Mapping[str, Any]) -> bool:
        """True if the model is the one that is ``stated``, as far as its lineage tells, with other options."""
        before, now = stated.get("bundle", {}), self.model.bundle
        others = {key for key in now if not _equal(before.get(key), now[key])} - {"fingerprint"}
        same_model = _equal(stated.get("lineage", []), self.model.lineage) and stated.get("device") == self.model.device
        return same_model and bool(others) and others <= _SETTINGS

    def _format(self) -> dict[str, str]:
        return {"kind": self.format.kind, "compression": self.format.compression}


def differing_part(
    stated: Mapping[str, Any], model: ModelIdentity, versions: Versions
) -> Literal["model", "versions"] | None:
    """The part in which the model of a provenance ``stated`` is another than ``model``; ``None`` if it is the same."""
    parts = {"bundle": model.bundle, "device": model.device, "provider": model.provider, "tokenizer": model.tokenizer}
    if not all(_equal(stated.get(name), part) for name, part in parts.items()):
        return "model"
    found = counted_versions(stated.get("versions", {}), model.tokenizer, versions)
    return None if found == counted_versions(model.versions, model.tokenizer, versions) else "versions"


def _equal(stated: Any, value: Any) -> bool:
    """True if ``value``, as JSON has it, is what a provenance states."""
    return bool(stated == orjson.loads(orjson.dumps(value)))


@dataclass(frozen=True)
class ExistingOutput:
    """An output that already exists, on a disk or in a store.

    Attributes:
        text: sealed text of its provenance; ``None`` if it has no readable one.
        size: its bytes.
        has_rejects: True if its rejects file exists.
        destination: where its bytes can be looked at; ``None`` for a store.
    """

    text: bytes | None
    size: int
    has_rejects: bool
    destination: Destination | None = None

    @classmethod
    def on_disk(cls, destination: Destination) -> ExistingOutput:
        """The output at ``destination``."""
        try:
            text, size = read_provenance(destination.path), destination.path.stat().st_size
        except (InputError, OSError):
            text, size = None, 0
        return cls(text, size, is_plain_file(destination.rejects), destination)

    @property
    def provenance(self) -> dict[str, Any]:
        """Its provenance; empty if it has none of this version."""
        with suppress(InputError):
            return {} if self.text is None else parsed(self.text, Path())
        return {}

    def difference(self, making: Making) -> Reason | None:
        """Why it is not up to date; ``None`` if it is: made in the same way, and what was published."""
        stated = self.provenance
        if making.options.overwrite and not stated:
            return "overwrite"  # it is of somebody else
        if not self.is_whole_by(stated):
            return "damaged"
        return making.difference(stated) or (None if self._has_published_bytes(stated) else "damaged")

    def _has_published_bytes(self, stated: Mapping[str, Any]) -> bool:
        """True if no byte of it or of its rejects has changed, as far as they can be looked at."""
        if self.destination is None or self.text is None:
            return True
        rejects = stated.get("rejects")
        try:
            is_whole = changed_file(self.destination.path, self.text) is None
            return is_whole and (rejects is None or sha256_of(self.destination.rejects) == rejects["sha256"])
        except (OSError, InputError):
            return False

    def is_whole_by(self, stated: Mapping[str, Any]) -> bool:
        """True if it has the size and the rejects file that its provenance states."""
        return bool(stated) and self._has_stated_size() and (stated.get("rejects") is None or self.has_rejects)

    def has_fingerprint(self, made_by: Mapping[str, Any]) -> bool:
        """True if it is whole and has the fingerprint of ``made_by``."""
        stated = self.provenance
        return self.is_whole_by(stated) and stated.get("fingerprint") == made_by["fingerprint"]

    def is_made_from(self, name: str) -> bool:
        """True if an earlier run made it from an input named ``name``, so that a run like ``make`` may replace it.

        What has another size was put there by somebody else.
        """
        return self._has_stated_size() and [one.get("name") for one in self.provenance.get("inputs", [])] == [name]

    def _has_stated_size(self) -> bool:
        stated = self.provenance.get("output")  # beside text formats alone: Parquet has its provenance inside
        return stated is None or stated.get("bytes") == self.size


def is_published(destination: Destination, published: str | None, made_by: Mapping[str, Any]) -> bool:
    """True if a run was killed just after it had published the output with the SHA-256 ``published``.

    The bytes of the output alone do not tell: those of an earlier run can be the same, with other rejects.
    """
    return has_sha256(destination, published) and ExistingOutput.on_disk(destination).has_fingerprint(made_by)


def has_sha256(destination: Destination, sha256: str | None) -> bool:
    """True if the output at ``destination`` has this SHA-256; False if that is ``None`` or it cannot be read."""
    try:
        return sha256 is not None and sha256_of(destination.path) == sha256
    except OSError:
        return False


def may_be_replaced(destination: Destination, name: str, *, like_make: bool) -> bool:
    """True if the output is this job's own, or, ``like_make``, made from an input named ``name`` by an earlier run."""
    if has_sha256(destination, UnfinishedWork.published_sha256(destination.partial)):
        return True
    if not like_make:
        return False
    existing = ExistingOutput.on_disk(destination)
    return _is_cut(destination, existing) or existing.is_made_from(name)


def _is_cut(destination: Destination, existing: ExistingOutput) -> bool:
    """True if the output lost its end, as a full disk or a crash of the machine leaves it: nobody has a use for it."""
    try:
        if existing.size and not destination.has_sidecar:
            return existing.text is None and lacks_footer(destination.path)
        size = destination.path.stat().st_size
    except OSError:
        return False
    return size == 0 or size < existing.provenance.get("output", {}).get("bytes", 0)
