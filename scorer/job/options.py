"""Options of a scoring job; light to import, because the command line makes them before any real work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from scorer.errors import UsageError
from scorer.files.bad_rows import MaxBad
from scorer.files.file_options import FileArguments, FileOptions
from scorer.model.options import ModelArguments, ModelOptions

Versions = Literal["pinned", "ignore"]
"""Which versions of packages an output is compared by: those of the packages that move scores, or none."""

if TYPE_CHECKING:
    from scorer.files.source import OnBadRow, ReadOptions

CPU_CHUNK_ROWS, CUDA_CHUNK_ROWS = 2_048, 16_384
"""Rows per chunk by default; on CUDA more, for the last batch of a chunk is padded to a whole one."""


class ScoreArguments(ModelArguments, FileArguments, total=False):
    """:class:`ScoreOptions` as keyword arguments of a function, for type checkers."""

    on_bad_row: OnBadRow
    max_bad: str | None
    keep_raw: bool
    max_row_bytes: int
    max_file_bytes: int | None
    text_column: str | None
    model: str | os.PathLike[str] | None
    columns: Sequence[str] | None
    chunk_rows: int | None
    output_format: str | None
    csv_safe: bool
    overwrite: bool
    linked_output: Literal["follow", "refuse"]
    resume: bool
    reuse: Sequence[str]
    reuse_replaced: bool
    versions: Versions
    engine: Literal["local", "ray"]
    ray_address: str | None
    actors: int | None
    cores_per_actor: int
    gpus_per_actor: float | None


@dataclass(frozen=True)
class ScoreOptions(ModelOptions, FileOptions):
    """Options of :func:`scorer.score_file`, those of reading files and of the model included.

    ``None`` leaves a choice to the file, the bundle or the machine.

    Attributes:
        on_bad_row: ``fail`` stops at a bad row, ``reject`` sets it aside, ``keep`` writes it without a prediction
            where its columns can be carried, and sets aside the others.
        max_bad: maximum number of bad rows before the run fails, ``N`` or ``P%``.
        keep_raw: whether the rejects file holds the text of bad rows.
        max_row_bytes, max_file_bytes: limits on what is read, see :class:`scorer.files.source.ReadOptions`.
        columns: input columns to carry through, in this order; ``None`` for all.
        chunk_rows: rows per chunk, whose result depends on nothing outside it; ``None`` is 2,048 on the CPU and
            16,384 on CUDA.
        output_format: ``parquet``, ``csv``, ``tsv`` or ``jsonl``, of text also with ``.gz`` or ``.zst``.
        csv_safe: whether cells that a spreadsheet would run as formulas are escaped.
        linked_output: ``follow`` writes the file behind a symbolic link at the output's name, ``refuse`` does not.
        resume: true to continue unfinished work.
        reuse: earlier outputs, or folders of them, from which predictions of equal texts are taken.
        reuse_replaced: true to take them, in a folder run on the CPU, from the output that is replaced too.
        versions: ``pinned``, or ``ignore`` to take outputs of other versions of the packages for up to date.
        engine: ``local``, or ``ray``; the result is the same.
        ray_address: of a running cluster, ``HOST:PORT`` or ``auto``; ``None`` is what ``RAY_ADDRESS`` says, else a
            Ray of this run's own on this machine.
        actors: processes that score; ``None`` for as many as the cluster has room for.
        cores_per_actor: CPUs of each.
        gpus_per_actor: GPUs of each, parts of one allowed; ``None`` is 1 where the cluster has GPUs and the model
            runs on them, else 0.
    """

    on_bad_row: OnBadRow = "fail"
    max_bad: str | None = None
    keep_raw: bool = False
    max_row_bytes: int = 256 * 2**20
    max_file_bytes: int | None = None
    text_column: str | None = None
    model: str | None = None
    columns: tuple[str, ...] | None = None
    chunk_rows: int | None = None
    output_format: str | None = None
    csv_safe: bool = False
    overwrite: bool = False
    linked_output: Literal["follow", "refuse"] = "follow"
    resume: bool = True
    reuse: tuple[str, ...] = ()
    reuse_replaced: bool = True
    versions: Versions = "pinned"
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    actors: int | None = None
    cores_per_actor: int = 1
    gpus_per_actor: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.model, os.PathLike):
            object.__setattr__(self, "model", os.fspath(self.model))
        ModelOptions.__post_init__(self)
        FileOptions.__post_init__(self)
        self.number_columns("text_column", "columns")
        if self.chunk_rows is not None and self.chunk_rows < 1:
            raise UsageError(f"--chunk-rows {self.chunk_rows} must be at least 1")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise UsageError("--columns names a column twice")
        if self.max_bad is not None:
            if self.on_bad_row == "fail":
                raise UsageError(
                    "--max-bad does nothing with --on-bad-row fail", hint="pass --on-bad-row reject or keep"
                )
            MaxBad.parse(self.max_bad)
        if self.versions not in get_args(Versions):
            raise UsageError(f"unknown --versions {self.versions!r}", hint="choose pinned or ignore")
        self._check_engine()

    def _check_engine(self) -> None:
        if self.engine not in ("local", "ray"):
            raise UsageError(f"unknown --engine {self.engine!r}", hint="choose local or ray")
        if self.engine == "ray":
            for name, value in (("actors", self.actors), ("cores-per-actor", self.cores_per_actor)):
                if value is not None and value < 1:
                    raise UsageError(f"--{name} {value} must be at least 1")
            if self.gpus_per_actor is not None and self.gpus_per_actor < 0:
                raise UsageError(f"--gpus-per-actor {self.gpus_per_actor:g} must be 0 or more")
            if self.device.startswith("cuda:"):
                raise UsageError(
                    f"--device {self.device} with --engine ray", hint="Ray gives out GPUs: pass --device cuda"
                )
            return
        given = {
            "--ray-address": self.ray_address is not None,
            "--actors": self.actors is not None,
            "--cores-per-actor": self.cores_per_actor != 1,
            "--gpus-per-actor": self.gpus_per_actor is not None,
        }
        for name, is_given in given.items():
            if is_given:
                raise UsageError(f"{name} does nothing without --engine ray", hint="pass both")

    def limit(self) -> MaxBad | None:
        """Maximum number of bad rows; ``None`` for any number."""
        return None if self.max_bad is None else MaxBad.parse(self.max_bad)

    def reading(self) -> ReadOptions:
        """Options of reading the input."""
        from scorer.files.source import ReadOptions

        return ReadOptions(
            **self.file_options(),
            on_bad_row=self.on_bad_row,
            keep_raw=self.keep_raw,
            max_row_bytes=self.max_row_bytes,
            max_file_bytes=self.max_file_bytes,
        )

    def of_the_result(self, batching: str) -> dict[str, Any]:
        """The options that the rows of an output depend on, by name.

        How rows are cut into chunks, and how many threads work on them, count where texts are
        padded together (``batching`` is ``tokens``) and nowhere else.
        """
        names = [
            *self.file_options(),
            "on_bad_row",
            "keep_raw",
            "max_row_bytes",
            "columns",
            "prefix",
            "csv_safe",
        ]
        if batching == "tokens":
            names += ["batch_tokens", "chunk_rows", "threads"]
        return {"batching": batching, **{name: getattr(self, name) for name in names}}
