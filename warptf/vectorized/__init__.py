"""Functions of one task, computed for all tasks of a meta-batch at once."""

from warptf.vectorized.convolution_form import convolution_form
from warptf.vectorized.not_vectorizable import NotVectorizable
from warptf.vectorized.vectorized_map import vectorized_map

__all__ = ["NotVectorizable", "convolution_form", "vectorized_map"]
