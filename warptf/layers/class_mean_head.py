"""A classification head that starts at the class means of the support set."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras

from warptf.layers.support_initialized_layer import SupportInitializedLayer, SupportLabels
from warptf.layers.validation import channel_count, positive_integer

Distance = Literal["cosine", "euclidean"]

_SCALES = {"cosine": 10.0, "euclidean": 1.0}
# Squared lengths below this are lengthened to it, so that a vector of zeros has a direction.
_SHORTEST = 1e-12
# So far below any other logit that the softmax is 0; float16 ends at 65504.
_ABSENT = {"float16": -6e4}


class ClassMeanHead(SupportInitializedLayer):
    r"""Classifies by the distance to a vector $w_c$ of each class, at first the class mean.

    With `"cosine"`: $z_c = s \, \hat x \cdot \hat w_c$, where $\hat x = x / \|x\|$ and $w_c$ starts
    at the mean of the $\hat x$ of the support examples of class $c$, made of length 1. With
    `"euclidean"`: $z_c = -s \|x - w_c\|^2$, and $w_c$ starts at the mean of the $x$. Before the
    first step of adaptation the learner is thus the nearest-centroid classifier, or the
    prototypical network, and gradient steps move the $w_c$ on from there (Proto-MAML).
    Meta-training differentiates through the means to the layers before.

    A class that the support set lacks has a logit that no softmax sees. So a head for 20 classes
    learns tasks of 2 to 20, and no number of classes is bound to what was meta-trained.

    In adaptation without steps (`inner_steps=0`, which takes such a head) meta-training by
    `initializations.MAML()` is that of prototypical networks.

    Args:
        units: $C$, how many classes there may be at most.
        distance: `"cosine"` or `"euclidean"`. Defaults to `"cosine"`.
        scale: $s > 0$, the inverse temperature; 10 with `"cosine"` and 1 with `"euclidean"` if
            `None`. `layers.WarpTemperature` behind the head learns a factor to it.
        **kwargs: the arguments of `keras.layers.Layer` (`name`, `dtype`).

    Call arguments:
        inputs: features `[B, D]`.

    Returns:
        Logits `[B, C]`.

    Raises:
        ValueError: an argument out of range, or inputs that are no vectors.

    Example:
        >>> import keras, numpy as np, warptf
        >>> model = keras.Sequential([keras.Input((2,)), warptf.layers.ClassMeanHead(3)])
        >>> learner = warptf.OnlineMetaLearner(
        ...     model, warptf.inner_optimizers.SGD(0.1), inner_steps=0, objective=None)
        >>> learner.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> x, y = np.array([[1.0, 0.1], [0.1, 1.0]], "float32"), np.array([0, 1])
        >>> adapted = learner.adapt(x, y)   # two of three classes
        >>> adapted.predict(np.array([[2.0, 0.0], [0.0, 3.0]]), verbose=0).argmax(-1)
        array([0, 1])

    Reference:
        Snell et al., Prototypical Networks, arXiv 1703.05175; Triantafillou et al., Meta-Dataset
        (Proto-MAML), arXiv 1903.03096; Gidaris and Komodakis, arXiv 1804.09458 (cosine).
    """

    def __init__(
        self,
        units: int,
        distance: Distance = "cosine",
        scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.context:
            raise ValueError("context must be False: the weights start at class means, not at 0.")
        self.units = positive_integer("units", units)
        if distance not in get_args(Distance):
            raise ValueError(f"distance must be one of {get_args(Distance)}, got {distance!r}.")
        self.distance = distance
        self.scale = _SCALES[distance] if scale is None else float(scale)
        if not 0 < self.scale < math.inf:
            raise ValueError(f"scale must be above 0 and finite, got {scale!r}.")
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates $w$ `[D, C]`, and which classes there are, for inputs `[B, D]`."""
        size = channel_count(self.name, input_shape)
        # Class means take its place before it matters; a fixed seed makes files reproducible.
        initializer = keras.initializers.GlorotUniform(seed=0)
        self.kernel = self.add_weight(
            shape=(size, self.units), initializer=initializer, name="kernel"
        )
        self.present = self.add_weight(
            shape=(self.units,), initializer="ones", trainable=False, name="present"
        )

    def call(self, inputs: Any) -> Any:
        """Returns the logits `[B, C]` of features `[B, D]`."""
        ops = keras.ops
        # Squares of half precision would overflow.
        wide = "float64" if self.compute_dtype == "float64" else "float32"
        x = ops.cast(inputs, wide)
        x = _unit(x, axis=-1) if self.distance == "cosine" else x
        support = self.support_labels()
        if support is not None:
            self._start(x, support)
        w = ops.cast(self.kernel, wide)
        if self.distance == "cosine":
            logits = self.scale * ops.matmul(x, _unit(w, axis=0))
        else:
            squares = ops.sum(x * x, axis=-1, keepdims=True) + ops.sum(w * w, axis=0)
            logits = self.scale * (2.0 * ops.matmul(x, w) - squares)
        present = ops.cast(self.present, wide) > 0.5
        logits = ops.where(present, logits, _ABSENT.get(self.compute_dtype, -1e9))
        return ops.cast(logits, self.compute_dtype)

    def _start(self, x: Any, support: SupportLabels) -> None:
        """Assigns the class means of features `[B, D]`, and which classes they are of."""
        members = self._members(support, x.dtype)
        counts = keras.ops.sum(members, axis=0)
        means = keras.ops.matmul(keras.ops.transpose(x), members) / keras.ops.maximum(counts, 1e-9)
        self.kernel.assign(_unit(means, axis=0) if self.distance == "cosine" else means)
        self.present.assign(keras.ops.cast(counts > 0, self.present.dtype))

    def _members(self, support: SupportLabels, dtype: Any) -> Any:
        """Returns the part that each example has in each class, `[B, C]`."""
        labels = keras.ops.convert_to_tensor(support.labels)
        if len(labels.shape) == 2 and labels.shape[-1] == 1:
            labels = labels[:, 0]
        if len(labels.shape) == 1:
            members = keras.ops.one_hot(keras.ops.cast(labels, "int32"), self.units, dtype=dtype)
        elif len(labels.shape) == 2 and labels.shape[-1] == self.units:
            members = keras.ops.cast(labels, dtype)
        else:
            raise ValueError(
                f"layer {self.name!r} starts at class means and needs labels [B], [B, 1] or "
                f"one-hot [B, {self.units}], got shape {tuple(labels.shape)}: use another head "
                "for other targets."
            )
        if support.weights is None:
            return members
        weights = keras.ops.cast(keras.ops.reshape(support.weights, [-1, 1]), dtype)
        return members * weights

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns `[B, C]`."""
        return input_shape[0], self.units

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = {"units": self.units, "distance": self.distance, "scale": self.scale}
        return {**super().get_config(), **config}


def _unit(vectors: Any, axis: int) -> Any:
    squares = keras.ops.sum(vectors * vectors, axis=axis, keepdims=True)
    return vectors * keras.ops.rsqrt(keras.ops.maximum(squares, _SHORTEST))
