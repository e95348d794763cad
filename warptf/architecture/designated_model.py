"""A model that carries declarations of its warp and task layers."""

from collections.abc import Iterable
from typing import Any

import keras

from warptf.architecture.layer_selection import (
    LayerPath,
    check_model,
    follow_path,
    is_graph,
    iterate_paths,
)
from warptf.partition import TASK, WARP


@keras.saving.register_keras_serializable(package="warptf")
class DesignatedModel(keras.Model):
    """A model with declarations of which of its layers are warp and which are task layers.

    `designate` and `interleave` make it; calling it calls the model. It is saved and loaded with
    its declarations.

    Args:
        model: the Keras model, whose weights it shares.
        warp: where the warp layers are: for each the way from the model down to it, a name below a
            functional or sequential model, else a position among the layers there.
        task: where the task layers are, the same way.
        **kwargs: the arguments of `keras.Model` (`name`, `trainable`, `dtype`).

    Attributes:
        model: the Keras model.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: a way leads to no layer.

    Example:
        >>> import keras, warptf
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="features")])
        >>> designated = warptf.DesignatedModel(model, task=[["features"]])
        >>> designated.output_shape
        (None, 3)

    Reference:
        Flennerhag et al., arXiv 1909.00025, section 2.
    """

    def __init__(
        self,
        model: keras.Model,
        warp: Iterable[LayerPath] = (),
        task: Iterable[LayerPath] = (),
        **kwargs: Any,
    ) -> None:
        check_model("model", model)
        kwargs.setdefault("name", f"designated_{model.name}")
        super().__init__(**kwargs)
        self.model = model
        self._paths = {WARP: [list(p) for p in warp], TASK: [list(p) for p in task]}
        if model.built:
            self.designations()
            self._build_like(model)

    def _build_like(self, model: keras.Model) -> None:
        if is_graph(model):
            self(model.inputs[0] if isinstance(model, keras.Sequential) else model.input)
        else:
            self.build((model.get_build_config() or {}).get("input_shape"))

    def build(self, input_shape: Any) -> None:
        """Builds the model, unless it is built or builds itself when called."""
        if not self.model.built and type(self.model).build is not keras.layers.Layer.build:
            self.model.build(input_shape)

    def call(self, inputs: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Calls the model.

        Args:
            inputs: what the model takes, `[B, ...]` or a structure of such.
            training: whether to call the model in training mode.
            **kwargs: further arguments of the model's call.

        Returns:
            The model's outputs.
        """
        return self.model(inputs, training=training, **kwargs)

    def designations(self) -> dict[int, str]:
        """Returns `"warp"` or `"task"` for the id of each layer that is declared."""
        return {
            id(follow_path(self.model, path)): kind
            for kind in (WARP, TASK)
            for path in self._paths[kind]
        }

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The model's layers, as `get_layer` and `summary` know them."""
        return self.model.layers

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError("`layers` are those of the model: they cannot be set.")

    @property
    def input_shape(self) -> Any:
        """The model's input shape, `(None, ...)` or a structure of such."""
        return self.model.input_shape

    @property
    def output_shape(self) -> Any:
        """The model's output shape, `(None, ...)` or a structure of such."""
        return self.model.output_shape

    @property
    def inputs(self) -> list[Any]:
        """The model's symbolic inputs."""
        return self.model.inputs

    @property
    def outputs(self) -> list[Any]:
        """The model's symbolic outputs."""
        return self.model.outputs

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "model": keras.saving.serialize_keras_object(self.model),
            "warp": self._paths[WARP],
            "task": self._paths[TASK],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "DesignatedModel":
        """Makes the model from what `get_config` returned."""
        model = keras.saving.deserialize_keras_object(
            config["model"], custom_objects=custom_objects
        )
        return cls(**{**config, "model": model})


def take_apart(model: keras.Model) -> tuple[keras.Model, dict[int, str]]:
    """Returns a model without its declarations, and these by the id of the layer.

    Args:
        model: a designated model, or another, which has none.
    """
    if isinstance(model, DesignatedModel):
        return model.model, model.designations()
    return model, {}


def put_together(model: keras.Model, kinds: dict[int, str]) -> DesignatedModel:
    """Returns a model with declarations.

    Args:
        model: the Keras model.
        kinds: `"warp"` or `"task"` for the id of each layer to declare.
    """
    paths: dict[str, list[LayerPath]] = {WARP: [], TASK: []}
    seen: set[int] = set()
    for path, layer in iterate_paths(model):
        if id(layer) in kinds and id(layer) not in seen:
            seen.add(id(layer))
            paths[kinds[id(layer)]].append(path)
    return DesignatedModel(model, paths[WARP], paths[TASK])
