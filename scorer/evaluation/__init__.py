"""Predictions beside gold labels, as an ``EvaluationReport``.

Imports ``metrics``, ``model``, ``files`` and ``disk``.
"""
