"""The preconditioner that an implicit warp amounts to, seen from one task layer."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from warptf.diagnostics.degenerate_warp_warning import warn_if_degenerate
from warptf.diagnostics.metric import condition_number
from warptf.partition import partition


class LayerMetric:
    r"""The effective preconditioner of the warp behind a task layer.

    Between a task layer with output $h$ and the next one lies a warp, $g = \omega(h)$. A gradient
    step moves the task layer's weights, and so $h$, along $D\omega^\top \partial L / \partial g$;
    what comes out of the warp moves along

    $D\omega(h) \, D\omega(h)^\top \, \partial L / \partial g$

    for each example: $D\omega D\omega^\top$ preconditions the gradient that the layer would have
    without the warp. It is not formed unless asked for; products cost a pass back and one forward.

    Args:
        model: a functional or sequential Keras model.
        layer: name of a task layer in it.
        until: name of the layer where the warp ends; by default the last one before the next layer
            with task weights.

    Raises:
        ValueError: there is no such layer, or no layer without task weights behind it.

    Example:
        >>> import keras, numpy as np, warptf
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="task"),
        ...     warptf.layers.WarpScale(name="scale"), keras.layers.Dense(1)])
        >>> model.get_layer("scale").set_weights([np.array([1.0, 2.0])])
        >>> metric = warptf.diagnostics.LayerMetric(model, "task")
        >>> metric.matrix(np.ones((1, 2), "float32")).tolist()
        [[[1.0, 0.0], [0.0, 4.0]]]

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, section 3.
    """

    def __init__(self, model: keras.Model, layer: str, until: str | None = None) -> None:
        names = [each.name for each in model.layers]
        for name in (layer, until):
            if name is not None and name not in names:
                raise ValueError(
                    f"model {model.name!r} has no layer {name!r}; its layers are {names}."
                )
        end = until or _end_of_warp(model, names.index(layer))
        if end is None:
            raise ValueError(
                f"no warp follows layer {layer!r}: the next layer has task weights, or there is "
                "none. Choose a task layer with a warp layer behind it."
            )
        start = model.get_layer(layer).output
        inputs = model.inputs[0] if len(model.inputs) == 1 else model.input
        self._features = keras.Model(inputs, start)
        self._warp = keras.Model(start, model.get_layer(end).output)

    def product(self, x: Any, v: Any) -> tf.Tensor:
        r"""Returns $D\omega D\omega^\top v$ for each example.

        Args:
            x: inputs of the model, `[B, ...]`.
            v: vectors like the output of the warp, `[B, ...]`.
        """
        h, v = self._features(x), tf.convert_to_tensor(v)
        # The way back is linear in v: its own derivative is the way forward.
        with tf.GradientTape(watch_accessed_variables=False) as forward:
            forward.watch(v)
            with tf.GradientTape(watch_accessed_variables=False) as back:
                back.watch(h)
                g = self._warp(h)
            pulled = back.gradient(g, h, output_gradients=v)
        return forward.gradient(pulled, v, output_gradients=tf.stop_gradient(pulled))

    def matrix(self, x: Any) -> np.ndarray:
        r"""Returns $D\omega D\omega^\top$ of each example, `[B, D, D]`, from `D` products.

        Args:
            x: inputs of the model, `[B, ...]`.
        """
        g = self._warp(self._features(x))
        size = int(np.prod(g.shape[1:]))
        rows = []
        for direction in np.eye(size, dtype=g.dtype.name):
            v = np.broadcast_to(direction.reshape(g.shape[1:]), g.shape)
            rows.append(tf.reshape(self.product(x, v), [len(g), size]).numpy())
        return np.stack(rows, 1)

    def condition(self, x: Any, limit: float = 1e6) -> np.ndarray:
        r"""Returns the condition number of $D\omega D\omega^\top$ of each example, `[B]`.

        Args:
            x: inputs of the model, `[B, ...]`.
            limit: condition number above which to warn. Defaults to 1e6.

        Warns:
            DegenerateWarpWarning: where it exceeds `limit`.
        """
        values = np.linalg.eigvalsh(self.matrix(x).astype("float64"))
        condition = condition_number(values)
        warn_if_degenerate(condition, limit)
        return condition


def _end_of_warp(model: keras.Model, start: int) -> str | None:
    parts = partition(model)
    adapted = {id(v) for v in (*parts.task_variables, *parts.context_variables)}
    end = None
    for layer in model.layers[start + 1 :]:
        if any(id(v) in adapted for v in layer.trainable_variables):
            break
        end = layer.name
    return end
