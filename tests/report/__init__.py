"""Tests of ``scorer.report``."""
