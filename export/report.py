"""The report of an export, as values and as the table on the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from export.families import FusedNodes
from export.parity import Parity
from scorer.safe_text import counted

_COLUMNS = 80
"""Width of a terminal, which no line of the table exceeds."""


@dataclass(frozen=True)
class VariantReport:
    """One file of the bundle, proved.

    Attributes:
        precision: fp32, fp16 or int8.
        file: its name in the bundle.
        size: in bytes.
        parity: the comparison with PyTorch.
        fused: nodes by kind; ``None`` for the plain fp32 graph.
        accuracy: on the labelled file, in [0, 1]; ``None`` without one.
        kept: True if the bundle holds the file; fp32 is made as the reference in any case.
    """

    precision: str
    file: str
    size: int
    parity: Parity
    fused: FusedNodes | None
    accuracy: float | None
    kept: bool

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``bundle.json``."""
        return {
            "kept": self.kept,
            "size": self.size,
            "fused": None if self.fused is None else vars(self.fused),
            "parity": self.parity.to_json(),
            "accuracy": self.accuracy,
        }


@dataclass(frozen=True)
class ExportReport:
    """A finished bundle.

    Attributes:
        output: its folder.
        size: of all its files, in bytes.
        variants: in the order fp32, fp16, int8.
    """

    output: Path
    size: int
    variants: tuple[VariantReport, ...]

    def table(self) -> str:
        """The variants as text, one a line, then the same by length; a mere reference is in brackets."""
        texts = self.variants[0].parity.texts
        lines = ["variant      size  agreement  max difference  accuracy  reviews/s"]
        for variant in self.variants:
            name = _name(variant)
            accuracy = "-" if variant.accuracy is None else f"{variant.accuracy:.4f}"
            lines.append(
                f"{name:<7} {variant.size / 1e6:6.1f} MB  {variant.parity.agreement:8.1%} "
                f" {variant.parity.max_logit_difference:14.2g}  {accuracy:>8}  {variant.parity.reviews_per_second:9.1f}"
            )
        lines.append(f"labels and logits compared with PyTorch's on {counted(texts, 'text')} of all lengths")
        lines += ["", "variant   tokens  texts  agreement  max difference  mean difference"]
        for variant in self.variants:
            lines += [
                f"{_name(variant):<7} {bucket.name:>8}  {bucket.texts:5d}  {bucket.agreement:8.1%}  "
                f"{bucket.difference.max_probability:14.1e}  {bucket.difference.mean_probability:15.1e}"
                for bucket in variant.parity.buckets
            ]
        lines.append("the same by length, differences of probabilities; the worse of alone and padded")
        fused = [f"{_name(variant)} {variant.fused}" for variant in self.variants if variant.fused is not None]
        told = ["", *wrap(f"fused: {'; '.join(fused)}", _COLUMNS, subsequent_indent="  ")] if fused else []
        return "\n".join([*lines, *told])


def _name(variant: VariantReport) -> str:
    return variant.precision if variant.kept else f"({variant.precision})"
