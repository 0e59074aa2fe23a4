"""Tests of ``scorer.files``."""
