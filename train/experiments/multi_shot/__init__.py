"""Multi-shot classification."""
