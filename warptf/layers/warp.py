"""The wrapper that makes any Keras layer a warp layer."""

import inspect
from collections.abc import Sequence
from typing import Any

import keras

from warptf.layers.warp_layer import WarpLayer


class Warp(WarpLayer):
    r"""Makes a Keras layer a warp layer: $\omega(h) = \mathrm{layer}(h)$, its weights in $\phi$.

    Whatever the layer takes (several inputs, masks, `training`, keyword arguments) is passed on. A
    `warptf.TaskLayer` inside the layer stays task state.

    Args:
        layer: the `keras.layers.Layer` (or model) to wrap. An RNN cell is not wrapped by itself:
            wrap the RNN layer.
        **kwargs: the arguments of `keras.layers.Layer`; `name` defaults to `warp_` and the layer's
            name, `dtype` to the layer's.

    Call arguments:
        inputs: what the layer takes.
        *args: further inputs of the layer.
        **kwargs: keyword arguments of the layer.

    Returns:
        What the layer returns.

    Raises:
        TypeError: `layer` is no Keras layer.
        ValueError: `layer` is an RNN cell.

    Example:
        >>> import keras, warptf
        >>> warp = warptf.layers.Warp(keras.layers.LSTM(4))
        >>> model = keras.Sequential([keras.Input((5, 3)), warp, keras.layers.Dense(2)])
        >>> parts = warptf.partition(model)
        >>> len(parts.warp_variables), len(parts.task_variables)
        (3, 2)

    Reference:
        Flennerhag et al., arXiv 1909.00025, section 2.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        if not isinstance(layer, keras.layers.Layer):
            raise TypeError(
                f"layer must be a keras.layers.Layer, got {type(layer).__name__}: pass an "
                "instance, such as Warp(keras.layers.Dense(8))."
            )
        if hasattr(layer, "state_size") and not isinstance(layer, keras.layers.RNN):
            raise ValueError(
                f"layer must not be an RNN cell, got {layer.name!r}: wrap the recurrent layer, "
                "Warp(keras.layers.RNN(cell)), or write a cell that subclasses warptf.WarpLayer."
            )
        kwargs.setdefault("name", f"warp_{layer.name}")
        kwargs.setdefault("dtype", layer.dtype_policy)
        super().__init__(**kwargs)
        self.layer = layer
        self.supports_masking = layer.supports_masking

    def build(self, input_shape: Any) -> None:
        """Builds the wrapped layer, unless it builds itself from its call's inputs."""
        builds = type(self.layer).build is not keras.layers.Layer.build
        one_shape = len(inspect.signature(self.layer.build).parameters) == 1
        if builds and one_shape and not self.layer.built:
            self.layer.build(input_shape)

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls the wrapped layer."""
        return self.layer(inputs, *args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Returns the wrapped layer's output mask."""
        return self.layer.compute_mask(inputs, previous_mask)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        """Returns the wrapped layer's output shape."""
        return self.layer.compute_output_shape(input_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the wrapped layer's symbolic output, with its structure and dtypes."""
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Warp":
        """Makes the layer from what `get_config` returned."""
        layer = keras.saving.deserialize_keras_object(
            config["layer"], custom_objects=custom_objects
        )
        return cls(**{**config, "layer": layer})
