"""Adapted learners for phones and other small machines."""

from warptf.litert.export import export_litert

__all__ = ["export_litert"]
