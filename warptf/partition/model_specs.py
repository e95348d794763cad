"""Shapes, types and names of a model's inputs and outputs."""

from typing import Any

import keras
import tensorflow as tf

from warptf.partition.keras_internals import built_shapes


def input_spec(model: keras.Model) -> Any:
    """Returns shape and type of a model's input, `[None, ...]`, or a structure of such.

    Args:
        model: a built Keras model.

    Returns:
        A `tf.TensorSpec`, for a model of several inputs a structure of them, as the model takes it,
        with the inputs' names.

    Raises:
        ValueError: the model does not know the shape of its input.
    """
    graph = _described(model)
    if isinstance(graph, keras.Sequential) and graph.inputs:
        return _spec(graph.inputs[0])
    if hasattr(graph, "output_names"):
        return _specs(graph.input)
    # A subclassed model remembers the shapes that it was built with, the batch it was called on.
    shapes = built_shapes(graph)
    if not shapes or not shapes[0]:
        raise ValueError(
            f"model {model.name!r} does not know the shape of its input: call it on a batch first."
        )
    return _specs(_symbols_of_shapes(shapes[0], graph.input_dtype))


def output_spec(model: keras.Model) -> Any:
    """Returns shape and type of a model's output, `[None, ...]`, or a structure of such.

    Args:
        model: a built Keras model.

    Returns:
        A `tf.TensorSpec`, for a model of several outputs a structure of them, with their names.
    """
    graph = _described(model)
    if isinstance(graph, keras.Sequential) and graph.inputs:
        return _spec(graph.outputs[0])
    if hasattr(graph, "output_names"):
        names = {id(t): n for t, n in zip(graph.outputs, graph.output_names, strict=True)}
        return _specs(graph.output, names)
    symbols = tf.nest.map_structure(
        lambda s: keras.KerasTensor(s.shape, s.dtype.name, name=s.name), input_spec(model)
    )
    return _specs(model.compute_output_spec(symbols))


def output_names(model: keras.Model) -> list[str] | None:
    """Returns the names that Keras gives to the outputs of a graph of layers, or `None`.

    Args:
        model: a built Keras model.
    """
    return getattr(_described(model), "output_names", None)


def _described(model: keras.Model) -> keras.Model:
    """Returns the model within a designated one, which knows its inputs and outputs."""
    while hasattr(model, "designations"):
        model = model.model
    return model


def _symbols_of_shapes(shapes: Any, dtype: str) -> Any:
    """Returns symbols for a structure of shapes."""
    if all(isinstance(size, int | None) for size in shapes) and not isinstance(shapes, dict):
        return keras.KerasTensor(tuple(shapes), dtype)
    if isinstance(shapes, dict):
        return {key: _symbols_of_shapes(shape, dtype) for key, shape in shapes.items()}
    return tuple(_symbols_of_shapes(shape, dtype) for shape in shapes)


def _specs(symbols: Any, names: dict[int, str] | None = None) -> Any:
    """Returns specs of a structure of symbolic tensors, named by keys or by the tensors' names."""
    flat = keras.tree.flatten_with_path(symbols)
    if len(flat) == 1 and not isinstance(symbols, dict):
        return _spec(flat[0][1])
    specs = []
    for path, symbol in flat:
        keys = [key for key in path if isinstance(key, str)]
        if not keys or not isinstance(path[-1], str):
            keys.append((names or {}).get(id(symbol), symbol.name))
        specs.append(_spec(symbol, "_".join(keys)))
    return keras.tree.pack_sequence_as(symbols, specs)


def _spec(symbol: Any, name: str | None = None) -> tf.TensorSpec:
    return tf.TensorSpec((None, *symbol.shape[1:]), symbol.dtype, name)
