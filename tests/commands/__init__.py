"""Tests of ``scorer.commands``."""
