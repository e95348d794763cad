"""The base class of warp layers."""

from typing import Any

import keras

from warptf.layers.registration import register_layer_class


class WarpLayer(keras.layers.Layer):
    r"""A Keras layer whose weights are warp parameters $\phi$.

    A warped learner is $h = \omega_L \circ h_L \circ \dots \circ \omega_1 \circ h_1$ with task
    layers $h_i(\cdot; \theta_i)$ and warp layers $\omega_i(\cdot; \phi)$. Adaptation to a task
    moves $\theta$ only; $\phi$ is shared by all tasks and moves only in meta-training, where it
    learns to precondition $\nabla_\theta$.

    Subclass it as any Keras layer: every weight created in it, or in a layer nested in it, is a
    warp parameter, except where a nested `warptf.TaskLayer` declares otherwise (the innermost
    declaration wins). Subclasses are registered with Keras by themselves, so that models using them
    load from `.keras` files without `custom_objects`.

    Args:
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Example:
        >>> import keras, warptf
        >>> class Scale(warptf.WarpLayer):
        ...     def build(self, input_shape):
        ...         self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        ...     def call(self, inputs):
        ...         return inputs * self.scale
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), Scale()])
        >>> [v.path.split("/")[-1] for v in warptf.partition(model).task_variables]
        ['kernel', 'bias']
        >>> len(warptf.partition(model).warp_variables)
        1

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, section 2.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)
