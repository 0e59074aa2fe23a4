"""Tests of ``scorer.metrics``."""
