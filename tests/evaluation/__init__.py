"""Tests of ``scorer.evaluation``."""
