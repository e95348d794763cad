"""Adapted models that Keras cannot make anew."""

from typing import Any, NoReturn

import keras
import tensorflow as tf

from warptf.partition import FunctionalLearner, all_variables
from warptf.resources import resources


class AdaptedModel(keras.Model):
    r"""A model with values of its own that computes what another one computes.

    `adapt` returns it for models that cannot be made anew from their configuration, such as
    subclassed ones without `get_config`. It predicts, evaluates, is compiled and fine-tuned as any
    Keras model, `save_weights` and `export` work, and what happens to the other model's variables
    does not change it. It has no layers to look into, and `save` says what is missing.

    Args:
        model: a built Keras model with task variables, whose values it starts from.
        reason: why the model cannot be made anew.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> held, x = AdaptedModel(model, "it is an example"), np.ones((4, 2), "float32")
        >>> before = held(x)
        >>> model.set_weights([np.zeros_like(w) for w in model.get_weights()])
        >>> bool(np.all(held(x) == before))
        True
    """

    def __init__(self, model: keras.Model, reason: str) -> None:
        # The other model casts inputs and weights by itself.
        super().__init__(name=model.name, dtype=model.dtype_policy, autocast=False)
        # No Keras object, so that the other model's variables are not counted as this one's.
        self._learner = FunctionalLearner(model)
        self._reason = reason
        self._resources = resources(model)
        own = {id(v): self._own(v) for v in all_variables(model)}
        learner = self._learner
        parts = (
            learner.theta_variables,
            learner.partition.warp_variables,
            learner.partition.state_variables,
        )
        self._parts = [[own[id(v)] for v in part] for part in parts]
        config = model.get_build_config() or {}
        self.build(config.get("input_shape"))

    def _own(self, variable: keras.Variable) -> keras.Variable:
        return self.add_weight(
            name=variable.name,
            shape=variable.shape,
            dtype=variable.dtype,
            initializer=lambda shape, dtype: tf.convert_to_tensor(variable.value),
            trainable=variable.trainable,
            autocast=False,
            constraint=variable.constraint,
            aggregation=variable.aggregation,
        )

    def build(self, input_shape: Any) -> None:
        """Remembers the shape of the inputs; the variables are there."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Calls the other model with this one's values.

        Args:
            inputs: what the other model takes.
            training: whether to call it in training mode.
        """
        theta, phi, state = (
            [tf.convert_to_tensor(own.value) for own in part] for part in self._parts
        )
        output = self._learner(theta, phi, state, inputs, training)
        for own, before, after in zip(self._parts[2], state, output.state, strict=True):
            if after is not before:
                own.assign(after)
        if output.penalty is not None:
            self.add_loss(output.penalty)
        return output.predictions

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Refuses: the model cannot be made anew from a file.

        Raises:
            ValueError: always, with the remedy.
        """
        self._refuse()

    def get_config(self) -> dict[str, Any]:
        """Refuses, as `save` does.

        Raises:
            ValueError: always, with the remedy.
        """
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError(
            f"the adapted model {self.name!r} cannot be saved as a .keras file, because "
            f"{self._reason}. save_weights('adapted.weights.h5') and export(folder) work."
        )
