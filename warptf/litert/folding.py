"""Batch norm behind max-pooling, brought to where it folds into the convolution."""

from typing import Any

import keras
import numpy as np

from warptf.copying import copy_layer
from warptf.layers.max_pooling2d import MaxPooling2D


def fold_pooled_norms(model: keras.Model) -> keras.Model:
    r"""Returns a model of the same predictions whose batch norms stand before max-poolings.

    The converter folds $\mathrm{bn}(\mathrm{conv}(x))$ into the convolution, but not
    $\mathrm{bn}(\mathrm{pool}(\mathrm{conv}(x)))$. With fixed statistics batch norm is $s z + t$ in
    each channel, and $s \max z + t = \max(s z + t)$ where $s \ge 0$. Where $s < 0$ it is
    $-\max(|s| z - t)$: the signs stay behind the pooling, if there are any.

    Args:
        model: a model; one that is no graph of layers is returned as it is.

    Returns:
        A copy that shares no variable with the model, but layers that cannot be copied; or the
        model.
    """
    if not getattr(model, "inputs", None):
        return model
    if type(model) is keras.Sequential:
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    elif type(model) is not type(keras.Model(model.inputs, model.outputs, name=model.name)):
        # A class of its own may compute something else than the graph that it was made from.
        return model
    return keras.models.clone_model(model, clone_function=_clone, call_function=_Folding(model))


class _Folding:
    """Calls the layers of a copy one after another, some batch norms before the pooling.

    Args:
        model: what is copied.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        # What made a tensor, and of what; both are kept, so that no other has their id.
        self._origin: dict[int, tuple[keras.layers.Layer, Any, Any]] = {}

    def __call__(self, layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        pooled = self._pooled_convolution(args[0]) if _is_norm(layer) else None
        if pooled is not None:
            return self._folded(self._model.get_layer(layer.name), *pooled)
        output = layer(*args, **kwargs)
        self._origin[id(output)] = (layer, args[0] if args else None, output)
        return output

    def _pooled_convolution(self, x: Any) -> tuple[keras.layers.Layer, Any] | None:
        """Returns the pooling and its input, where `x` is a max-pooled convolution."""
        pool, convolved, _ = self._origin.get(id(x), (None, None, None))
        if not isinstance(pool, keras.layers.MaxPooling2D) or pool.data_format != "channels_last":
            return None
        source, _, _ = self._origin.get(id(convolved), (None, None, None))
        return (pool, convolved) if isinstance(source, keras.layers.Conv2D) else None

    def _folded(self, norm: Any, pool: keras.layers.Layer, convolved: Any) -> Any:
        name = f"{norm.name}_before_{pool.name}"
        before = type(norm).from_config({**norm.get_config(), "name": name})
        normalised = before(convolved)
        before.set_weights(norm.get_weights())
        sign = np.where(np.asarray(norm.gamma) < 0, -1.0, 1.0) if norm.scale else np.ones(())
        if norm.scale:
            before.gamma.assign(sign * np.asarray(norm.gamma))
        if norm.center:
            before.beta.assign(sign * np.asarray(norm.beta))
        pooled = pool(normalised)
        return pooled if (sign > 0).all() else keras.ops.multiply(pooled, sign.astype("float32"))


def _is_norm(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and layer.axis in (-1, 3)


def _clone(layer: keras.layers.Layer) -> keras.layers.Layer:
    # The pooling of this package differs in its derivatives only, which nothing here takes.
    if isinstance(layer, MaxPooling2D):
        return keras.layers.MaxPooling2D.from_config(layer.get_config())
    try:
        return copy_layer(layer)
    except Exception:
        # A class of the user's that cannot be made anew serves as it is.
        return layer
