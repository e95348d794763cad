"""Whether a model's gradient can be differentiated."""

from warptf.second_derivatives.check import check_second_derivatives

__all__ = ["check_second_derivatives"]
