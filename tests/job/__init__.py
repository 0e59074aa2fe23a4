"""Tests of ``scorer.job``."""
