"""Offline batch scoring and evaluation for text classification.

``Scorer`` scores texts, :func:`score_file` scores files, :func:`evaluate_labels` compares with gold labels.
Names are imported at their first use, so that ``import scorer`` costs next to nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# onnxruntime reads this when it is loaded; without it, it keeps a database of events in the user's
# cache folder and sends them out if it can. Nothing here leaves the machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    __version__: str
    from scorer.errors import ScorerError
    from scorer.evaluation.evaluate import evaluate_labels
    from scorer.evaluation.findings import EvaluationReport
    from scorer.evaluation.options import EvaluateOptions
    from scorer.job.options import ScoreOptions
    from scorer.job.summary import ScoreSummary
    from scorer.model.bundle import ModelBundle
    from scorer.model.scoring import Scorer
    from scorer.run.score_file import score_file

__all__ = [
    "EvaluateOptions",
    "EvaluationReport",
    "ModelBundle",
    "ScoreOptions",
    "ScoreSummary",
    "Scorer",
    "ScorerError",
    "evaluate_labels",
    "score_file",
]

_HOMES = {
    "EvaluateOptions": "scorer.evaluation.options",
    "EvaluationReport": "scorer.evaluation.findings",
    "ModelBundle": "scorer.model.bundle",
    "ScoreOptions": "scorer.job.options",
    "ScoreSummary": "scorer.job.summary",
    "Scorer": "scorer.model.scoring",
    "ScorerError": "scorer.errors",
    "evaluate_labels": "scorer.evaluation.evaluate",
    "score_file": "scorer.run.score_file",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("scorer.version").package_version()
    if name not in _HOMES:
        raise AttributeError(f"module 'scorer' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
