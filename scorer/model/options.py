"""Options of how a model is loaded and run; light to import, for the command line makes them before any real work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, TypedDict, get_args

from scorer.errors import UsageError
from scorer.files.columns import PREFIX
from scorer.model.preprocessing import LongText

Batching = Literal["auto", "alone", "tokens"]
"""``alone`` runs each review by itself and unpadded, ``tokens`` pads batches up to a token budget."""

TokenizerChoice = Literal["auto", "nanotoken", "tokenizers"]
"""``auto`` is nanotoken where it gives the ids of tokenizers, else tokenizers."""

PRECISIONS = ("fp32", "fp16", "int8")

# By the annotations of options; those that are not here, as literals, are strings.
_TYPES: dict[str, tuple[type, ...]] = {
    "None": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "os.PathLike[str]": (os.PathLike,),
    "Sequence[str]": (str, list, tuple),
    "tuple[str, ...]": (list, tuple),
}


class ModelArguments(TypedDict, total=False):
    """:class:`ModelOptions` as keyword arguments of a function, for type checkers."""

    device: str
    precision: str
    threads: int | None
    batching: Batching
    batch_tokens: int | None
    max_length: int | None
    long_text: LongText | None
    stride: int | None
    threshold: float | None
    prefix: str
    tokenizer: TokenizerChoice


@dataclass(frozen=True)
class ModelOptions:
    """Options of loading and running a model; ``None`` leaves a choice to the bundle or the machine.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``fp16`` or ``int8``.
        threads: reviews that run side by side on the CPU; ``None`` for the CPUs that this process may use.
        batching: ``auto`` is ``alone`` on the CPU and ``tokens`` on CUDA.
        batch_tokens: tokens per batch, padding included, where ``batching`` is ``tokens``; ``None`` is 32,768 on
            CUDA and 16,384 on the CPU.
        max_length: tokens of a review that the model reads.
        long_text: how a longer review is read, see :data:`~scorer.model.preprocessing.LongText`.
        stride: tokens by which two windows overlap.
        threshold: probability from which on the second of two labels is predicted.
        prefix: prefix of the added columns.
        tokenizer: which package tokenizes; the ids are the same.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    batching: Batching = "auto"
    batch_tokens: int | None = None
    max_length: int | None = None
    long_text: LongText | None = None
    stride: int | None = None
    threshold: float | None = None
    prefix: str = PREFIX
    tokenizer: TokenizerChoice = "auto"

    def __post_init__(self) -> None:
        self._check_types()
        name, _, number = self.device.partition(":")
        if name not in ("auto", "cpu", "cuda") or (number and (name != "cuda" or not number.isdigit())):
            raise UsageError(f"unknown device {self.device!r}", hint="choose auto, cpu, cuda or cuda:N")
        if self.precision not in ("auto", *PRECISIONS):
            raise UsageError(f"unknown precision {self.precision!r}", hint=f"choose auto, {', '.join(PRECISIONS)}")
        if self.tokenizer not in get_args(TokenizerChoice):
            choices = ", ".join(get_args(TokenizerChoice))
            raise UsageError(f"unknown tokenizer {self.tokenizer!r}", hint=f"choose one of {choices}")
        for option, value in (("--threads", self.threads), ("--batch-tokens", self.batch_tokens)):
            if value is not None and value < 1:
                raise UsageError(f"{option} {value} must be at least 1")

    @classmethod
    def of_call(cls, options: Self | None, overrides: Mapping[str, Any], *, function: str) -> Self:
        """``options``, or the default ones, with the keyword arguments of ``function`` in place of their fields.

        Raises:
            UsageError: ``options`` are of another type, an override is no field, or a value is out of range.
        """
        options = cls() if options is None else options
        if not isinstance(options, cls):
            raise UsageError(f"options of {function}() have type {type(options).__name__}, not {cls.__name__}")
        names = [item.name for item in fields(options)]
        unknown = sorted(overrides.keys() - set(names))
        if unknown:
            import difflib

            close = difflib.get_close_matches(unknown[0], names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
            raise UsageError(f"{function}() has no argument {unknown[0]!r}", hint=hint)
        return replace(options, **overrides)

    def _check_types(self) -> None:
        """Check the type of every field, those of the classes built on this one included."""
        for item in fields(self):
            value = getattr(self, item.name)
            kinds = [kind for part in str(item.type).split(" | ") for kind in _TYPES.get(part, (str,))]
            items = value if isinstance(value, list | tuple) else ()
            if type(value) not in kinds and not (os.PathLike in kinds and isinstance(value, os.PathLike)):
                raise UsageError(f"{item.name} has type {type(value).__name__}, not {item.type}")
            if not all(isinstance(name, str) for name in items):
                raise UsageError(f"{item.name} holds other values than strings")
