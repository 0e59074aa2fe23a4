"""Tests of ``scorer.model``."""
