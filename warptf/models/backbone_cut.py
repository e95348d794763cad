"""Pretrained models, cut into what stays frozen and what is learned."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from warptf.partition import iterate_layers

# Layers with a kernel in what counts as the last block.
_BLOCK_KERNELS = 3


class Cut(NamedTuple):
    """A backbone in two parts.

    Attributes:
        trunk: its first part, which is made not trainable.
        block: its last part, or `None` where all of it is the trunk. It is made trainable, but not
            its batch norms, so that they keep the statistics they came with.
    """

    trunk: keras.Model
    block: keras.Model | None


def cut_backbone(backbone: keras.Model, with_block: bool) -> Cut:
    """Cuts a backbone at the last place that leaves three kernels behind it.

    Args:
        backbone: the pretrained model, whose layers are shared.
        with_block: whether to cut it at all.

    Raises:
        TypeError: `backbone` is no functional or sequential Keras model.
        ValueError: it has several inputs or outputs, gives no features, or has no such place.
    """
    _check_backbone(backbone)
    images, places = _places(backbone)
    if not with_block:
        return Cut(_frozen(images, places[-1]), None)
    for place in reversed(places[:-1]):
        block = _behind(place, places[-1])
        if block is None or _kernels(block) < _BLOCK_KERNELS:
            continue
        block.trainable = True
        for _, inner in iterate_layers(block):
            if isinstance(inner, keras.layers.BatchNormalization):
                inner.trainable = False
        return Cut(_frozen(images, place), block)
    raise ValueError(
        f"backbone {backbone.name!r} cannot be cut before its last {_BLOCK_KERNELS} kernels: give "
        "`adapt` head or film, and leave `train_last_block` out."
    )


def without_pooling(backbone: keras.Model) -> keras.Model:
    """Returns a backbone up to its map, where its last layer takes the mean over positions.

    Args:
        backbone: the pretrained model, whose layers are shared.

    Raises:
        TypeError: `backbone` is no functional or sequential Keras model.
        ValueError: it has several inputs or outputs, or gives no map.
    """
    _check_backbone(backbone)
    images, places = _places(backbone)
    output = places[-1]
    maps = [place for place in places if len(place.shape) == 4]
    behind = _behind(maps[-1], output) if maps else None
    if behind is not None and _only_pools(behind):
        output = maps[-1]
    if len(output.shape) != 4:
        raise ValueError(
            f'adapter "attention" needs a backbone that gives a map `[B, height, width, D]`, '
            f"{backbone.name!r} gives {tuple(output.shape)}: cut off what follows its last map, or "
            'give "film".'
        )
    return keras.Model(images, output, name=backbone.name)


def _places(backbone: keras.Model) -> tuple[Any, list[Any]]:
    """Returns new inputs, and what each layer makes of them, in order; the last is the output."""
    given, tensors = backbone.inputs[0], []

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        tensors.append(operation(*args, **kwargs))
        return tensors[-1]

    if not isinstance(backbone, keras.Sequential):
        # A layer that was called elsewhere, too, would not say which of its outputs is meant.
        again = keras.models.clone_model(
            backbone, clone_function=lambda layer: layer, call_function=call
        )
        return again.inputs[0], [
            *(t for t in tensors if not tf.nest.is_nested(t)),
            again.outputs[0],
        ]
    images = keras.Input(batch_shape=given.shape, dtype=given.dtype, name="image")
    for layer in backbone.layers:
        call(layer, tensors[-1] if tensors else images)
    return images, tensors


def _behind(place: Any, output: Any) -> keras.Model | None:
    if place is output:
        return None
    try:
        return keras.Model(place, output, name="last_block")
    except ValueError:
        # What follows takes more than what this layer gives.
        return None


def _only_pools(block: keras.Model) -> bool:
    layers = [x for x in block.layers if not isinstance(x, keras.layers.InputLayer)]
    return len(layers) == 1 and isinstance(layers[0], keras.layers.GlobalAveragePooling2D)


def _kernels(block: keras.Model) -> int:
    return sum(hasattr(layer, "kernel") for _, layer in iterate_layers(block))


def _frozen(images: Any, output: Any) -> keras.Model:
    trunk = keras.Model(images, output, name="backbone")
    trunk.trainable = False
    return trunk


def _check_backbone(backbone: Any) -> None:
    if not isinstance(backbone, keras.Model) or not getattr(backbone, "inputs", None):
        raise TypeError(
            f"backbone must be a built functional or sequential Keras model, got "
            f"{type(backbone).__name__}."
        )
    counts = len(backbone.inputs), len(backbone.outputs)
    if counts != (1, 1) or len(backbone.outputs[0].shape) not in (2, 3, 4):
        raise ValueError(
            f"backbone {backbone.name!r} must take one input and give one vector or map of "
            f"features, has {counts[0]} inputs and outputs "
            f"{[tuple(o.shape) for o in backbone.outputs]}."
        )
    if backbone.outputs[0].shape[-1] is None:
        raise ValueError(f"backbone {backbone.name!r} gives features of unknown size.")


def trunk_features(trunk: keras.Model, images: Any, given: Any) -> Any:
    """Returns what the frozen part of a backbone makes of images.

    Args:
        trunk: the frozen part.
        images: a Keras tensor `[B, height, width, channels]`, preprocessed.
        given: the shape of the images, for the message.

    Raises:
        ValueError: it does not take such images.
    """
    problem = ValueError(
        f"the backbone does not take images of `input_shape` {tuple(given)}: its own is "
        f"{trunk.input_shape}; give the one that it has."
    )
    # Of what is symbolic, layers that are built do not look at all axes.
    if not tf.TensorShape(trunk.input_shape).is_compatible_with(images.shape):
        raise problem
    try:
        return trunk(images)
    except (ValueError, TypeError) as error:
        raise problem from error


def pooled_mean(x: Any) -> Any:
    """Returns features `[B, D]`: the mean over positions, where there are any.

    Args:
        x: a Keras tensor, `[B, D]`, `[B, positions, D]` or `[B, height, width, D]`.
    """
    if len(x.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="mean")(x)
    if len(x.shape) == 3:
        return keras.layers.GlobalAveragePooling1D(data_format="channels_last", name="mean")(x)
    return x
