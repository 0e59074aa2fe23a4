"""Tests of ``scorer.run``."""
