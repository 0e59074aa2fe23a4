"""What an export gave, as values and as the table on the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.families import FusedNodes
from export.parity import Parity


@dataclass(frozen=True)
class VariantReport:
    """One file of the bundle, proved.

    Attributes:
        precision: fp32, fp16 or int8.
        file: its name in the bundle.
        size: in bytes.
        parity: the comparison with PyTorch.
        fused: nodes by kind; ``None`` for the plain fp32 graph.
        accuracy: on the labelled file, in [0, 1]; ``None`` where none was given.
        kept: whether the bundle holds the file; fp32 is made as the reference all the same.
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
        """The variants as text, one a line; a file that was only the reference is in brackets."""
        texts = self.variants[0].parity.texts
        lines = ["variant      size  agreement  max difference  accuracy  reviews/s"]
        for variant in self.variants:
            name = variant.precision if variant.kept else f"({variant.precision})"
            accuracy = "-" if variant.accuracy is None else f"{variant.accuracy:.4f}"
            lines.append(
                f"{name:<7} {variant.size / 1e6:6.1f} MB  {variant.parity.agreement:8.1%} "
                f" {variant.parity.max_logit_difference:14.2g}  {accuracy:>8}  {variant.parity.reviews_per_second:9.1f}"
            )
        lines.append(f"agreement of labels and difference of logits with PyTorch on {texts} texts of all lengths")
        return "\n".join(lines)
