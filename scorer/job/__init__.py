"""One input scored into one output: chunks, journal, assembly, provenance.

Imports ``model``, ``files`` and ``disk``.
"""
