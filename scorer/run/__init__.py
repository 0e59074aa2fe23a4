"""One call of ``score``: which inputs, which engine, what it leaves for programs.

Imports ``cluster``, ``job``, ``files`` and ``disk``.
"""
