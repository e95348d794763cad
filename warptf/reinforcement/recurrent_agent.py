"""An agent whose memory is a recurrent cell."""

from typing import Any

import keras
import tensorflow as tf

from warptf.layers.registration import register_layer_class
from warptf.layers.validation import positive_integer


@keras.saving.register_keras_serializable(package="warptf")
class RecurrentAgent(keras.Model):
    r"""A recurrent cell with a linear policy head and a linear value head.

    $h_t = \mathrm{cell}(x_t, h_{t-1})$; the policy is $\pi_t = \mathrm{softmax}(W_\pi h_t +
    b_\pi)$, the value $v_t = w_v^\top h_t + b_v$. It learns within an episode by what it remembers.

    Args:
        cell: a recurrent cell, the library's or any of Keras'.
        observation_size: numbers in an observation, `O`.
        action_count: number of actions, `A`.
        **kwargs: the arguments of `keras.Model`.

    Call arguments:
        inputs: the observations of episodes, `[B, T, O]`.

    Returns:
        The logits of the policy `[B, T, A]` and the values `[B, T]`.

    Raises:
        TypeError: `cell` is no recurrent cell.
        ValueError: a size is not positive.

    Example:
        >>> import keras, warptf
        >>> from warptf import reinforcement
        >>> agent = reinforcement.RecurrentAgent(reinforcement.WarpRNNCell(8), 17, 4)
        >>> logits, values = agent(keras.ops.ones((2, 5, 17)))
        >>> logits.shape, values.shape
        (TensorShape([2, 5, 4]), TensorShape([2, 5]))

    Reference:
        arXiv 1909.00025, appendix I.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    def __init__(
        self, cell: keras.layers.Layer, observation_size: int, action_count: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not hasattr(cell, "state_size") or isinstance(cell, keras.layers.RNN):
            raise TypeError(
                f"cell must be a recurrent cell, got {type(cell).__name__}: pass one such as "
                "warptf.reinforcement.RNNCell(100) or keras.layers.GRUCell(100)."
            )
        self.cell = cell
        self.observation_size = positive_integer("observation_size", observation_size)
        self.action_count = positive_integer("action_count", action_count)
        self.recurrent = keras.layers.RNN(cell, return_sequences=True, dtype=self.dtype_policy)
        self.policy = keras.layers.Dense(action_count, dtype=self.dtype_policy, name="policy")
        self.value = keras.layers.Dense(1, dtype=self.dtype_policy, name="value")
        self.build((None, None, observation_size))

    def build(self, input_shape: Any) -> None:
        """Creates the weights for observations `[B, T, O]`."""
        self.recurrent.build(input_shape)
        features = self.cell.output_size
        self.policy.build((None, features))
        self.value.build((None, features))
        self.built = True

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Maps the observations of episodes to logits and values."""
        return self.heads(self.recurrent(inputs))

    def heads(self, outputs: Any) -> tuple[Any, Any]:
        """Returns logits `[..., A]` and values `[...]`.

        Args:
            outputs: outputs of the cell, `[..., units]`.
        """
        return self.policy(outputs), keras.ops.squeeze(self.value(outputs), -1)

    def initial_states(self, batch_size: Any) -> list[tf.Tensor]:
        """Returns the cell's states in which episodes start.

        Args:
            batch_size: number of episodes.
        """
        return list(self.recurrent.get_initial_state(batch_size))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "observation_size": self.observation_size,
            "action_count": self.action_count,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RecurrentAgent":
        """Makes the agent from what `get_config` returned."""
        cell = keras.saving.deserialize_keras_object(config["cell"], custom_objects=custom_objects)
        return cls(**{**config, "cell": cell})
