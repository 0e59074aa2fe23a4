"""Predictions that earlier outputs have for the same texts, for ``--reuse`` and for an output that is replaced.

Light to import, because a run that has nothing to score reads none.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.disk.paths import is_folder, is_plain_file
from scorer.errors import InputError
from scorer.files.inputs import expand_inputs
from scorer.files.urls import is_url
from scorer.job.options import ScoreOptions
from scorer.job.provenance import read_provenance
from scorer.safe_text import counted

if TYPE_CHECKING:
    from scorer.job.chunk_work import ModelIdentity
    from scorer.job.known_scores import KnownScores

log = logging.getLogger(__name__)


@dataclass
class EarlierOutputs:
    """The outputs that a call may reuse; those that ``--reuse`` names are read once for all of its jobs.

    Attributes:
        options: the options of the call.
    """

    options: ScoreOptions
    _salt: bytes = field(default_factory=lambda: os.urandom(16))
    _named: KnownScores | None = None
    _stated: list[dict[str, Any]] = field(default_factory=list)

    def check(self) -> None:
        """Check, before any work, that what ``--reuse`` names can be outputs.

        Raises:
            InputError: one is missing, is a URL, or has no provenance.
        """
        for path in _files(self.options.reuse):
            if read_provenance(path) is None:
                raise InputError(
                    "has no provenance, so nobody knows which model it is of", path=path, hint="name an output of score"
                )

    @contextmanager
    def known(self, model: ModelIdentity, *, replaced: Path | None, folder: Path) -> Iterator[KnownScores | None]:
        """Predictions that ``model`` gave before, from the named outputs and the one that is ``replaced``.

        A table that is too large for the memory lies in ``folder``.

        Raises:
            InputError: a named output is none, or has changed since it was published.
        """
        from scorer.job.known_scores import KnownScores

        tables = [self._from_named(model, folder)] if self.options.reuse else []
        # Where texts are padded together a neighbour may move the last bit: then only what is named is reused.
        if replaced is not None and self.options.reuse_replaced and model.batching == "alone":
            tables.append(self._from_replaced(replaced, model, folder))
        try:
            tables = [table for table in tables if len(table)]
            yield KnownScores.of(tables) if tables else None
        finally:
            for table in tables:
                if table is not self._named:
                    table.close()

    def stated(self, reused: int) -> dict[str, Any]:
        """The part of a provenance that says what was reused; nothing if nothing was."""
        return {"reused": {"rows": reused, "outputs": self._stated}} if reused else {}

    def close(self) -> None:
        """Forget what was read."""
        if self._named is not None:
            self._named.close()
            self._named = None

    def _table(self, model: ModelIdentity, folder: Path) -> KnownScores:
        from scorer.job.known_scores import KnownScores

        return KnownScores(len(model.bundle["labels"]), folder, self._salt)

    def _from_named(self, model: ModelIdentity, folder: Path) -> KnownScores:
        if self._named is None:
            from scorer.job.reading_scores import read_scores

            table = self._table(model, folder)
            for path in _files(self.options.reuse):
                if value := read_scores(path, table, model, self.options.versions):
                    self._stated.append({"name": path.name, "fingerprint": value["fingerprint"]})
            table.finish()
            log.info("%s of earlier outputs known", counted(len(table), "row"))
            self._named = table
        return self._named

    def _from_replaced(self, replaced: Path, model: ModelIdentity, folder: Path) -> KnownScores:
        from scorer.job.reading_scores import read_scores

        table = self._table(model, folder)
        try:
            read_scores(replaced, table, model, self.options.versions)
            table.finish()
        except (InputError, OSError) as error:
            log.warning("%s: nothing is reused from it: %s", replaced, getattr(error, "message", error))
            table.close()
        return table


def _files(names: Sequence[str]) -> list[Path]:
    """The outputs that ``--reuse`` names, folders searched.

    Raises:
        InputError: one is missing, or is a URL.
    """
    paths: list[Path] = []
    for name in names:
        if is_url(name):
            raise InputError("--reuse reads outputs of this machine", path=name, hint="copy it here first")
        if is_folder(name):
            paths += [Path(file.path) for file in expand_inputs([name])]
        elif is_plain_file(name):
            paths.append(Path(name))
        else:
            raise InputError("no such file", path=name, hint="name an output of score, or a folder of them")
    return paths
