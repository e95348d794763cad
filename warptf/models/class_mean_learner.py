"""Models whose last layer is replaced by one that starts at class means."""

from typing import Any

import keras

from warptf.layers.class_mean_head import ClassMeanHead, Distance


def class_mean_learner(
    model: keras.Model,
    ways: int | None = None,
    distance: Distance = "cosine",
    scale: float | None = None,
) -> keras.Model:
    """Replaces the dense head of a model by `layers.ClassMeanHead`.

    Args:
        model: a functional or sequential model that ends with a `Dense` layer without activation.
            Its other layers are shared, not copied.
        ways: classes of a task, at most; the units of the dense layer if `None`.
        distance: `"cosine"` or `"euclidean"`, see `ClassMeanHead`.
        scale: of the logits; by default the distance's own.

    Returns:
        A model from the same inputs to logits `[B, ways]`.

    Raises:
        TypeError: the model is neither functional nor sequential.
        ValueError: it does not end with such a layer.

    Example:
        >>> import warptf
        >>> model = warptf.models.few_shot_learner(filters=8, input_shape=(28, 28, 1))
        >>> warptf.models.class_mean_learner(model, ways=20).output_shape
        (None, 20)
    """
    if not isinstance(model, keras.Sequential) and not getattr(model, "outputs", None):
        raise TypeError(
            f"model {model.name!r} is subclassed ({type(model).__name__}): put a "
            "warptf.layers.ClassMeanHead behind its features yourself."
        )
    head: Any = model.layers[-1]
    linear = keras.activations.linear
    if not isinstance(head, keras.layers.Dense) or head.activation is not linear:
        raise ValueError(
            f"model {model.name!r} ends with {head.name!r} ({type(head).__name__}), and must end "
            "with a Dense layer without activation to be replaced: put a "
            "warptf.layers.ClassMeanHead behind its features yourself."
        )
    new = ClassMeanHead(
        ways or head.units, distance, scale, name=head.name, dtype=head.dtype_policy
    )
    return keras.Model(model.inputs, new(head.input), name=model.name)
