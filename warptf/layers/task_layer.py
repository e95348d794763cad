"""The base class of task layers nested in warp layers, and of context layers."""

from typing import Any

import keras

from warptf.layers.registration import register_layer_class


class TaskLayer(keras.layers.Layer):
    r"""A Keras layer whose weights are task parameters $\theta$, also inside a warp layer.

    Layers are task layers unless declared otherwise; this class is for those nested in a
    `warptf.WarpLayer`, where the innermost declaration wins, and for context variables $c$: task
    parameters that start from zero for every task and take no part in learning $\theta_0$.

    Args:
        context: whether the weights are context variables. Defaults to `False`.
        **kwargs: the arguments of `keras.layers.Layer`.

    Example:
        >>> import keras, warptf
        >>> class Bias(warptf.TaskLayer):
        ...     def build(self, input_shape):
        ...         self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros")
        ...     def call(self, inputs):
        ...         return inputs + self.bias
        >>> model = keras.Sequential([keras.Input((2,)), Bias(context=True)])
        >>> parts = warptf.partition(model)
        >>> len(parts.task_variables), len(parts.context_variables)
        (0, 1)

    Reference:
        Flennerhag et al., arXiv 1909.00025, appendix F (task embeddings); Zintgraf et al., CAVIA,
        arXiv 1810.03642 (context variables).
    """

    def __init__(self, context: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.context = bool(context)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "context": self.context}
