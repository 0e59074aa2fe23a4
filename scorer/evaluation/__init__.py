"""Comparison of predictions with gold labels: files -> ``EvaluationReport``.

Imports ``metrics``, ``model``, ``files`` and ``disk``.
"""
