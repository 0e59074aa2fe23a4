"""An ``EvaluationReport`` as a page, a terminal text, Markdown or JSON.

Imports ``evaluation``, ``metrics`` and ``disk``.
"""
