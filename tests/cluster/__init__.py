"""Tests of ``scorer.cluster``."""
