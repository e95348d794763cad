"""What a warp does to the geometry that gradient descent sees."""

from warptf.diagnostics.degenerate_warp_warning import DegenerateWarpWarning
from warptf.diagnostics.layer_metric import LayerMetric
from warptf.diagnostics.metric import Metric, metric

__all__ = ["DegenerateWarpWarning", "LayerMetric", "Metric", "metric"]
