"""The benchmark: scoring beside the usual alternatives and the hardware's limit. Run from a clone, not installed."""
