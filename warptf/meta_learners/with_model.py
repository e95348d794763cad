"""Meta-learners around another model, with what they have learned."""

from typing import Any

import keras

from warptf.meta_learners.meta_learner import MetaLearner
from warptf.partition import FunctionalLearner


def with_model(learner: MetaLearner, model: keras.Model) -> Any:
    """Returns a meta-learner like another one, around another model.

    Objective, initialization and inner optimizer, with its learned rates, are those of the other
    one, and so is the number of meta-steps done. Its outer optimizers are new.

    Args:
        learner: a meta-learner.
        model: a model with as many task variables: a part of the meta-learner's own model that
            holds all that is learned, a model around it, or one for other classes
            (`models.with_ways`).

    Raises:
        ValueError: the task variables do not fit the inner optimizer's learned rates.
    """
    old, new = (
        [tuple(v.shape) for v in FunctionalLearner(m).theta_variables]
        for m in (learner.model, model)
    )
    if len(old) != len(new) or (learner.inner_optimizer.trainable_variables and old != new):
        raise ValueError(
            f"model {model.name!r} has task variables of shapes {new}, but the meta-learner has "
            f"learned rates for {old}: give a model with the same."
        )
    config = learner.get_config()
    labels = config.pop("label_spec")
    parts = ("inner_optimizer", "objective", "initialization")
    live = {name: getattr(learner, name) for name in parts if name in config}
    made = type(learner)(**{**config, **live, "model": model})
    made.remember_labels(labels)
    if learner.get_compile_config():
        made.compile_from_config(learner.get_compile_config())
    made.meta_step.assign(learner.meta_step)
    return made
