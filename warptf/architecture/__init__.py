"""The three ways to make a warped learner of a model: partition, augment and compress.

Partition declares layers of an existing model warp (`designate`). Augment inserts warp layers into
it (`interleave` with `warp`). Compress declares all of it warp and inserts small task layers
(`interleave` with `task`). All three share the existing layers and their weights with the model
they were given, and leave that model as it was.
"""

from warptf.architecture.designate import designate
from warptf.architecture.designated_model import DesignatedModel
from warptf.architecture.interleave import interleave

__all__ = ["DesignatedModel", "designate", "interleave"]
