"""Values that arguments take, for programs that list them before TensorFlow is imported."""

from typing import Literal

Adapt = Literal["head", "film", "last-block"]
Adapter = Literal["film", "residual", "attention"]
Preprocessing = Literal["none", "imagenet", "tf", "caffe", "0-255"]
Quantization = Literal["float32", "int8"]
