"""The chunks of a job scored by Ray. Imports ``job`` and what that imports."""
