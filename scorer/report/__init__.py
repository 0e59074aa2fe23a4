"""An ``EvaluationReport`` as an HTML page, text for a terminal, Markdown or JSON.

Imports ``evaluation``, ``metrics`` and ``disk``.
"""
