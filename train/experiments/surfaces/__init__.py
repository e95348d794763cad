"""Two-dimensional loss surfaces."""
