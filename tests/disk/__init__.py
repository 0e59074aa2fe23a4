"""Tests of ``scorer.disk``."""
