"""The command lines ``score`` and ``evaluate-labels``, and the edge where errors become exit codes.

Imports all rooms.
"""
