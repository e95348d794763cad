"""Every layer that Keras exports, in settings that take other paths through TensorFlow."""

import tempfile
from typing import Any

import keras
import tensorflow as tf
from contracts.keras_image_layers import COLOURS, image_rows
from contracts.keras_row import FLAT, REFUSED, Row
from keras import layers

VECTOR, SEQUENCE, IMAGE, VOLUME = (4,), (6, 4), (6, 6, 3), (4, 4, 4, 2)
AUDIO = (32,)


def _both(layer: Any, x: Any) -> Any:
    """Calls a layer of two inputs, on different functions of one."""
    return layer([x, keras.ops.tanh(x)])


def _attend(layer: Any, x: Any) -> Any:
    return layer(x, keras.ops.tanh(x))


def _ids(layer: Any, x: Any) -> Any:
    """Calls a layer of whole numbers."""
    return layer(tf.constant([[0, 1], [2, 3], [4, 1], [1, 1]]))


def _words(layer: Any, x: Any) -> Any:
    """Calls a layer of strings."""
    return layer(tf.constant([["a"], ["b"], ["a"], ["c"]]))


def _pools(name: str, **settings: Any) -> dict[str, Row]:
    # TensorFlow pools volumes in single precision alone.
    return {
        f"{name}{n}D": Row(
            lambda n=n: getattr(layers, f"{name}{n}D")(**settings),
            shape,
            single=n == 3 and "Global" not in name,
        )
        for n, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME))
    }


def _convolutions() -> dict[str, Row]:
    found: dict[str, Row] = {}
    for n, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME)):
        conv, transposed = getattr(layers, f"Conv{n}D"), getattr(layers, f"Conv{n}DTranspose")
        found |= {
            f"Conv{n}D": Row(lambda c=conv: c(3, 3), shape),
            f"Conv{n}D (strides, padding)": Row(lambda c=conv: c(3, 3, 2, "same"), shape),
            f"Conv{n}DTranspose": Row(lambda c=transposed: c(3, 3), shape),
            f"Conv{n}DTranspose (strides)": Row(lambda c=transposed: c(2, 3, 2, "same"), shape),
        }
        lstm = getattr(layers, f"ConvLSTM{n}D")
        found[f"ConvLSTM{n}D"] = Row(lambda c=lstm: c(2, 2), (2, *shape[:-1], 2))
        if n < 3:
            depthwise = getattr(layers, f"DepthwiseConv{n}D")
            separable = getattr(layers, f"SeparableConv{n}D")
            found |= {
                f"Conv{n}D (dilated)": Row(
                    lambda c=conv: c(3, 2, padding="same", dilation_rate=2), shape
                ),
                f"DepthwiseConv{n}D": Row(lambda c=depthwise: c(3, depth_multiplier=2), shape),
                f"DepthwiseConv{n}D (strides)": Row(lambda c=depthwise: c(3, 2, "same"), shape),
                f"DepthwiseConv{n}D (dilated)": Row(
                    lambda c=depthwise: c(2, padding="same", dilation_rate=2), shape
                ),
                f"SeparableConv{n}D": Row(lambda c=separable: c(2, 3), shape),
                f"SeparableConv{n}D (strides)": Row(lambda c=separable: c(2, 3, 2, "same"), shape),
            }
    found["Conv1D (causal)"] = Row(lambda: layers.Conv1D(3, 2, padding="causal"), SEQUENCE)
    # Grouped, Keras has XLA compile it.
    found["Conv1D (groups)"] = Row(lambda: layers.Conv1D(4, 2, groups=2), SEQUENCE, slow=True)
    found["Conv2D (groups)"] = Row(lambda: layers.Conv2D(3, 2, groups=3), IMAGE, slow=True)
    return found


def _recurrent() -> dict[str, Row]:
    found: dict[str, Row] = {}
    for name in ("SimpleRNN", "GRU", "LSTM"):
        layer, cell = getattr(layers, name), getattr(layers, f"{name}Cell")
        found |= {
            name: Row(lambda c=layer: c(2), (3, 4)),
            f"{name} (unrolled)": Row(lambda c=layer: c(2, unroll=True), (3, 4)),
            f"{name}Cell": Row(lambda c=cell: layers.RNN(c(2)), (3, 4)),
        }
    found |= {
        "GRU (reset_after=False)": Row(lambda: layers.GRU(2, reset_after=False), (3, 4)),
        "LSTM (sequences)": Row(lambda: layers.LSTM(2, return_sequences=True), (3, 4)),
        "RNN": Row(lambda: layers.RNN([layers.SimpleRNNCell(2), layers.GRUCell(2)]), (3, 4)),
        "StackedRNNCells": Row(
            lambda: layers.RNN(layers.StackedRNNCells([layers.LSTMCell(2), layers.GRUCell(2)])),
            (3, 4),
        ),
        "Bidirectional": Row(lambda: layers.Bidirectional(layers.GRU(2)), (3, 4)),
        "TimeDistributed": Row(lambda: layers.TimeDistributed(layers.Dense(2)), (3, 4)),
    }
    return found


def _merges() -> dict[str, Row]:
    names = ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
    found = {name: Row(getattr(layers, name), VECTOR, _both) for name in names}
    found["Dot"] = Row(lambda: layers.Dot(1, normalize=True), VECTOR, _both)
    return found


def _attentions() -> dict[str, Row]:
    return {
        "AdditiveAttention": Row(layers.AdditiveAttention, SEQUENCE, _both),
        "Attention": Row(lambda: layers.Attention(use_scale=True), SEQUENCE, _both),
        "Attention (concat)": Row(
            lambda: layers.Attention(score_mode="concat", use_scale=True), SEQUENCE, _both
        ),
        "GroupQueryAttention": Row(lambda: layers.GroupQueryAttention(2, 4, 2), (3, 4), _attend),
        "MultiHeadAttention": Row(lambda: layers.MultiHeadAttention(2, 2), (3, 4), _attend),
        "MultiHeadAttention (dropout, causal)": Row(
            lambda: layers.MultiHeadAttention(2, 2, dropout=0.3, seed=1),
            (3, 4),
            lambda layer, x: layer(x, x, use_causal_mask=True),
        ),
    }


def _normalization() -> Any:
    layer = layers.Normalization(mean=[0.0, 1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0, 4.0])
    layer.build((None, *VECTOR))
    return layer


def _normalisations() -> dict[str, Row]:
    return {
        "BatchNormalization": Row(layers.BatchNormalization, IMAGE),
        "GroupNormalization": Row(lambda: layers.GroupNormalization(3), (4, 4, 6)),
        "LayerNormalization": Row(layers.LayerNormalization, VECTOR),
        "LayerNormalization (axes)": Row(lambda: layers.LayerNormalization([1, 2]), SEQUENCE),
        "Normalization": Row(_normalization, VECTOR),
        "RMSNormalization": Row(layers.RMSNormalization, VECTOR),
        "SpectralNormalization": Row(
            lambda: layers.SpectralNormalization(layers.Dense(3)), VECTOR, outcome=REFUSED
        ),
        "UnitNormalization": Row(layers.UnitNormalization, VECTOR),
    }


def _lookups() -> dict[str, Row]:
    words = ["a", "b"]
    return {
        "CategoryEncoding": Row(lambda: layers.CategoryEncoding(5), VECTOR, _ids, FLAT),
        "Discretization": Row(lambda: layers.Discretization([0.0, 1.0]), VECTOR, outcome=FLAT),
        "Discretization (one_hot)": Row(
            lambda: layers.Discretization([0.0, 1.0], output_mode="one_hot"), (1,), outcome=FLAT
        ),
        "Hashing": Row(lambda: layers.Hashing(3), VECTOR, _words, FLAT),
        "HashedCrossing": Row(
            lambda: layers.HashedCrossing(3),
            VECTOR,
            lambda layer, x: layer([tf.constant(["a", "b", "a", "c"])] * 2),
            FLAT,
        ),
        "IntegerLookup": Row(lambda: layers.IntegerLookup(vocabulary=[1, 2]), VECTOR, _ids, FLAT),
        "StringLookup": Row(lambda: layers.StringLookup(vocabulary=words), VECTOR, _words, FLAT),
        "TextVectorization": Row(
            lambda: layers.TextVectorization(vocabulary=words), VECTOR, _words, FLAT
        ),
        "TextVectorization (count)": Row(
            lambda: layers.TextVectorization(vocabulary=words, output_mode="count"),
            VECTOR,
            _words,
            FLAT,
        ),
        "MaxNumBoundingBoxes": Row(
            lambda: layers.MaxNumBoundingBoxes(2, bounding_box_format="xyxy"),
            (2, 2, 3),
            _with_boxes,
            FLAT,
        ),
    }


def _with_boxes(layer: Any, x: Any) -> Any:
    """Calls a layer of bounding boxes, of which it keeps some."""
    boxes = {"boxes": tf.zeros([4, 3, 4]), "labels": tf.zeros([4, 3], tf.int32)}
    return layer({"images": x, "bounding_boxes": boxes})["bounding_boxes"]["labels"]


def _served() -> Any:
    """A layer that calls what was saved, which may be differentiated."""
    module = tf.Module()
    spec = tf.TensorSpec((None, *VECTOR), tf.float64)
    module.serve = tf.function(tf.tanh, input_signature=[spec])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        return layers.TFSMLayer(folder, call_endpoint="serve")


def _others() -> dict[str, Row]:
    ordinary = {
        "Activation": Row(lambda: layers.Activation("tanh"), VECTOR),
        "ActivityRegularization": Row(lambda: layers.ActivityRegularization(0.1, 0.1), VECTOR),
        "AlphaDropout": Row(lambda: layers.AlphaDropout(0.4, seed=1), VECTOR),
        "Dense": Row(lambda: layers.Dense(3), VECTOR),
        "Dropout": Row(lambda: layers.Dropout(0.4, seed=1), VECTOR),
        "ELU": Row(lambda: layers.ELU(0.7), VECTOR),
        "EinsumDense": Row(lambda: layers.EinsumDense("abc,cd->abd", (None, 3)), SEQUENCE),
        "Flatten": Row(layers.Flatten, SEQUENCE),
        "GaussianDropout": Row(lambda: layers.GaussianDropout(0.4, seed=1), VECTOR),
        "GaussianNoise": Row(lambda: layers.GaussianNoise(0.4, seed=1), VECTOR),
        "Identity": Row(layers.Identity, VECTOR),
        "Lambda": Row(lambda: layers.Lambda(keras.ops.tanh), VECTOR),
        "LeakyReLU": Row(layers.LeakyReLU, VECTOR),
        "Masking": Row(layers.Masking, SEQUENCE),
        "MelSpectrogram": Row(
            lambda: layers.MelSpectrogram(
                fft_length=8,
                sequence_stride=4,
                num_mel_bins=3,
                sampling_rate=64,
                min_freq=1,
                max_freq=32,
            ),
            AUDIO,
            single=True,
            rate=0.01,
            step=1e-5,
        ),
        "PReLU": Row(lambda: layers.PReLU(keras.initializers.Constant(0.2)), VECTOR),
        "Permute": Row(lambda: layers.Permute((2, 1)), SEQUENCE),
        "Pipeline": Row(lambda: layers.Pipeline([layers.Rescaling(2.0)]), COLOURS),
        "ReLU": Row(layers.ReLU, VECTOR),
        "ReLU (max_value)": Row(lambda: layers.ReLU(1.0, 0.1), VECTOR),
        "RepeatVector": Row(lambda: layers.RepeatVector(2), VECTOR),
        "Rescaling": Row(lambda: layers.Rescaling(2.0, 1.0), VECTOR),
        "Reshape": Row(lambda: layers.Reshape((4, 6)), SEQUENCE),
        "ReversibleEmbedding": Row(
            lambda: layers.ReversibleEmbedding(5, 4),
            VECTOR,
            lambda layer, x: layer(x, reverse=True),
        ),
        "STFTSpectrogram": Row(
            lambda: layers.STFTSpectrogram(frame_length=8, frame_step=4, fft_length=8),
            (*AUDIO, 1),
            rate=0.01,
        ),
        "STFTSpectrogram (stft)": Row(
            lambda: layers.STFTSpectrogram("stft", frame_length=8, frame_step=4, fft_length=8),
            (*AUDIO, 1),
        ),
        "Softmax": Row(layers.Softmax, VECTOR),
        "TFSMLayer": Row(_served, VECTOR),
        "UpSampling1D": Row(layers.UpSampling1D, SEQUENCE),
        "UpSampling3D": Row(layers.UpSampling3D, VOLUME),
        "Embedding": Row(lambda: layers.Embedding(5, 3), VECTOR, _ids),
    }
    for n, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME)):
        for name in ("Cropping", "ZeroPadding"):
            ordinary[f"{name}{n}D"] = Row(getattr(layers, f"{name}{n}D"), shape)
        dropout = getattr(layers, f"SpatialDropout{n}D")
        ordinary[f"SpatialDropout{n}D"] = Row(lambda c=dropout: c(0.4, seed=1), shape)
    return ordinary


def layer_rows() -> dict[str, Row]:
    """The settings by name: the layer's, with the setting in parentheses."""
    rows = {
        **_others(),
        **_lookups(),
        **_merges(),
        **_attentions(),
        **_normalisations(),
        **_convolutions(),
        **_recurrent(),
        **image_rows(),
    }
    for kind in ("Average", "Max"):
        rows |= _pools(f"{kind}Pooling", pool_size=2)
        rows |= _pools(f"Global{kind}Pooling")
        rows |= _pools(f"Adaptive{kind}Pooling", output_size=3)
    rows["MaxPooling2D (overlapping)"] = Row(lambda: layers.MaxPooling2D(3, 2, "same"), IMAGE)
    rows["AveragePooling2D (overlapping)"] = Row(
        lambda: layers.AveragePooling2D(3, 2, "same"), IMAGE
    )
    return dict(sorted(rows.items()))
