"""Models as people bring them, with the data that they take."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

CLASSES, BATCH = 3, 4


class Ordinary(NamedTuple):
    """A model to meta-learn, and examples for it.

    Attributes:
        make: makes it.
        x: inputs `[BATCH, ...]`.
        y: class labels.
        loss: its loss, or those of its outputs.
        metrics: its metrics, or those of its outputs.
        random: whether it draws random numbers in training.
        slow: whether it is for `pytest -m slow` alone.
    """

    make: Callable[[], keras.Model]
    x: Any
    y: Any
    loss: Any = None
    metrics: Any = ("accuracy",)
    random: bool = False
    slow: bool = False


def _draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=(BATCH, *shape)).astype("float32")


def _ids(length: int, count: int = 9) -> np.ndarray:
    """Sequences of words, shorter ones ending with zeros."""
    ids = np.random.default_rng(1).integers(1, count, (BATCH, length))
    for row, used in enumerate((length, 2, 4, 3)):
        ids[row, used:] = 0
    return ids.astype("int32")


LABELS = np.array([0, 1, 2, 1], "int32")
WORDS = np.array([["red cat"], ["dog"], ["cat dog"], ["cow"]])


def _chain(shape: tuple[int, ...], *parts: layers.Layer, dtype: str | None = None) -> keras.Model:
    return keras.Sequential([keras.Input(shape, dtype=dtype), *parts])


def _masked_text() -> keras.Model:
    recurrent = layers.LSTM(4, use_cudnn=False)
    return _chain((6,), layers.Embedding(9, 3, mask_zero=True), recurrent, layers.Dense(CLASSES))


def _tagged_text() -> keras.Model:
    """A class for each word, of which Keras leaves out those that are masked."""
    recurrent = layers.LSTM(4, return_sequences=True, use_cudnn=False)
    return _chain((6,), layers.Embedding(9, 3, mask_zero=True), recurrent, layers.Dense(CLASSES))


def _transformer() -> keras.Model:
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(inputs)
    attended = layers.MultiHeadAttention(2, 2)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, attended]))
    mixed = layers.Dense(4)(layers.Dense(8, "gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, mixed]))
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x)))


def _one_dimension() -> keras.Model:
    pooled = (layers.MaxPooling1D(), layers.BatchNormalization(), layers.GlobalAveragePooling1D())
    return _chain((8, 2), layers.Conv1D(3, 3, activation="relu"), *pooled, layers.Dense(CLASSES))


def _three_dimensions() -> keras.Model:
    pooled = (layers.MaxPooling3D(), layers.Flatten())
    return _chain((4, 4, 4, 1), layers.Conv3D(2, 3), *pooled, layers.Dense(CLASSES))


def _segmentation() -> keras.Model:
    inputs = keras.Input((4, 4, 2))
    low = layers.Conv2D(3, 3, 2, "same", activation="tanh")(inputs)
    high = layers.Conv2DTranspose(3, 3, 2, "same", activation="tanh")(low)
    return keras.Model(inputs, layers.Conv2D(CLASSES, 1)(layers.Concatenate()([inputs, high])))


def _mobile(name: str) -> Callable[[], keras.Model]:
    def make() -> keras.Model:
        alpha = {"MobileNetV2": 0.35, "MobileNetV3Small": 1.0}[name]
        body = getattr(keras.applications, name)(
            input_shape=(32, 32, 3), alpha=alpha, weights=None, include_top=False, pooling="avg"
        )
        return _chain((32, 32, 3), body, layers.Dense(CLASSES))

    return make


def _gru() -> keras.Model:
    recurrent = layers.GRU(3, return_sequences=True, use_cudnn=False)
    both = layers.Bidirectional(layers.LSTM(2, use_cudnn=False))
    return _chain((5, 2), recurrent, both, layers.Dense(CLASSES))


def _augmented() -> keras.Model:
    changes = (layers.RandomFlip(seed=1), layers.RandomContrast(0.5, seed=2), layers.Dropout(0.5))
    return _chain((6, 6, 1), *changes, layers.Flatten(), layers.Dense(CLASSES))


def _lookup() -> keras.Model:
    table = layers.StringLookup()
    table.adapt(WORDS)
    embedded = (layers.Embedding(8, 3), layers.Flatten())
    return _chain((1,), table, *embedded, layers.Dense(CLASSES), dtype="string")


def _vectorised() -> keras.Model:
    table = layers.TextVectorization(output_sequence_length=3)
    table.adapt(WORDS)
    embedded = (layers.Embedding(8, 3, mask_zero=True), layers.GlobalAveragePooling1D())
    return _chain((1,), table, *embedded, layers.Dense(CLASSES), dtype="string")


class Written(keras.Model):
    """A subclassed model that Keras cannot make anew: its constructor takes a layer."""

    def __init__(self, body: layers.Layer) -> None:
        super().__init__()
        self.body, self.norm = body, layers.BatchNormalization()
        self.head = layers.Dense(CLASSES)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.head(self.norm(self.body(inputs), training=training))


def _two_inputs() -> keras.Model:
    """An image and words beside it."""
    image, ids = keras.Input((6, 6, 1), name="image"), keras.Input((6,), dtype="int32", name="ids")
    seen = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, activation="tanh")(image))
    read = layers.GlobalAveragePooling1D()(layers.Embedding(9, 3, mask_zero=True)(ids))
    return keras.Model([image, ids], layers.Dense(CLASSES)(layers.Concatenate()([seen, read])))


def _two_outputs() -> keras.Model:
    """A class and a price."""
    inputs = keras.Input((3,))
    hidden = layers.Dense(4, "tanh")(inputs)
    outputs = {
        "kind": layers.Dense(CLASSES, name="kind")(hidden),
        "price": layers.Dense(1, name="price")(hidden),
    }
    return keras.Model(inputs, outputs)


def _subclassed() -> keras.Model:
    model = Written(layers.Dense(4, "tanh"))
    model(_draw(3))
    return model


ROWS: dict[str, Ordinary] = {
    "text with masks": Ordinary(_masked_text, _ids(6), LABELS),
    "classes of words, masked": Ordinary(_tagged_text, _ids(6), _ids(6) % CLASSES),
    "transformer block": Ordinary(_transformer, _ids(6), LABELS),
    "1-D convolution": Ordinary(_one_dimension, _draw(8, 2), LABELS),
    "3-D convolution": Ordinary(_three_dimensions, _draw(4, 4, 4, 1), LABELS),
    "segmentation": Ordinary(
        _segmentation, _draw(4, 4, 2), np.arange(BATCH * 16).reshape(BATCH, 4, 4) % CLASSES
    ),
    "MobileNetV2": Ordinary(_mobile("MobileNetV2"), _draw(32, 32, 3), LABELS, slow=True),
    "MobileNetV3Small": Ordinary(
        _mobile("MobileNetV3Small"), 255 * abs(_draw(32, 32, 3)), LABELS, slow=True
    ),
    "GRU and LSTM": Ordinary(_gru, _draw(5, 2), LABELS),
    "augmentation": Ordinary(_augmented, _draw(6, 6, 1), LABELS, random=True),
    "words looked up": Ordinary(_lookup, WORDS, LABELS),
    "text vectorised": Ordinary(_vectorised, WORDS, LABELS),
    "two inputs": Ordinary(_two_inputs, (_draw(6, 6, 1), _ids(6)), LABELS),
    "two outputs": Ordinary(
        _two_outputs,
        _draw(3),
        {"kind": LABELS, "price": _draw()},
        {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "price": "mse"},
        {"kind": ["accuracy"], "price": ["mae"]},
    ),
    "subclassed": Ordinary(_subclassed, _draw(3), LABELS),
}
