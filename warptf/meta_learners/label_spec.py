"""The kind of targets that a meta-learner has seen, in its configuration."""

from typing import Any

import tensorflow as tf


def spec_config(spec: Any) -> Any:
    """Returns a structure of `TensorSpec`s as lists, dicts, numbers and words.

    Args:
        spec: the structure, or `None`.
    """
    if spec is None:
        return None
    if isinstance(spec, dict):
        return ["dict", {key: spec_config(part) for key, part in spec.items()}]
    if isinstance(spec, (list, tuple)):
        return ["tuple", [spec_config(part) for part in spec]]
    return [list(spec.shape), spec.dtype.name]


def spec_from_config(config: Any) -> Any:
    """Returns the structure of `TensorSpec`s of which `spec_config` made a configuration.

    Args:
        config: what it returned.
    """
    if config is None:
        return None
    kind, parts = config
    if kind == "dict":
        return {key: spec_from_config(part) for key, part in parts.items()}
    if kind == "tuple":
        return tuple(spec_from_config(part) for part in parts)
    return tf.TensorSpec(kind, parts)
