"""Adapted and exported models, a part of every meta-learner."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from warptf.adaptation import (
    Batches,
    DrawnBatches,
    InnerProblem,
    InnerState,
    TaskBatches,
    adapt,
)
from warptf.copying import copy_model
from warptf.export import export_learner
from warptf.loss_scaling import losses_scaled_by
from warptf.meta_learners.adapting_learner import AdaptingLearner
from warptf.meta_learners.argument_checks import positive_integer
from warptf.meta_learners.seeds import SERVING, task_seed
from warptf.meta_learners.task_axes import inputs_of
from warptf.meta_learners.task_checks import check_support, problem_in
from warptf.meta_learners.tensor_kinds import check_dense, check_inputs
from warptf.partition import all_variables, output_spec
from warptf.value_checks import refuse


class Serving:
    """What a `MetaLearner` gives away: adapted Keras models, and SavedModels that adapt."""

    def adapt(
        self: AdaptingLearner,
        x: Any,
        y: Any,
        steps: int | None = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> keras.Model:
        """Adapts to a new task and returns an ordinary Keras model, ready to predict.

        Args:
            x: support inputs `[N, ...]`, for a model of several inputs a structure of them.
            y: support targets `[N, ...]`, alike.
            steps: inner steps; `evaluation_steps` if `None`.
            batch_size: examples drawn for each step; the whole set at every step if `None`.
            seed: what the draws and the learner's random state derive from.

        Returns:
            A copy of `model` that holds the adapted parameters and gathered statistics, with which
            batch norm predicts, whatever `batch_norm` is.

        Raises:
            TypeError: ragged tensors, or names of classes in place of numbers.
            ValueError: not compiled, wrong shapes, NaN, labels out of range.
        """
        self._check_compiled("adapt")
        check_dense("the support set", (x, y))
        steps = self._evaluation_steps if steps is None else self._checked_count("steps", steps)
        x = _as_tensors(x, tf.nest.is_nested(self._model_input))
        y = _as_tensors(y, tf.nest.is_nested(output_spec(self.model)))
        check_support(x, y, self._model_input)
        check_inputs("the support set", inputs_of(x, self._model_input), self.model)
        refuse(problem_in((x, y), "support set", self._model_input, self._loss))
        self._resolve_specs((x, y), (x, y))
        size = None if batch_size is None else positive_integer("batch_size", batch_size)
        if self._adapt_function is None:
            self._adapt_function = tf.function(
                lambda *given: _adapted(self, *given), reduce_retracing=True, autograph=False
            )
        final = self._adapt_function((x, y), tf.constant(steps), size, tf.constant(int(seed)))
        return _copy_with(self, final, tf.nest.map_structure(lambda t: t[:2], x))

    def export(self: AdaptingLearner, filepath: Any, label_spec: Any = None, **kwargs: Any) -> None:
        """Writes a SavedModel that adapts and predicts without this package.

        Its functions and signatures are `adapt_and_predict(support_x, support_y, query_x, steps)`,
        `adapt(support_x, support_y, steps)`, which keeps the adapted weights in the artefact, and
        `predict(x)`, which uses them. Where the learner or its inner optimizer draws random
        numbers in adaptation, they are those of `adapt(seed=0)`. As in `adapt`, batch norm predicts
        with the statistics of the support set, whatever `batch_norm` is, so that an example's
        prediction does not depend on others. Signatures of a model of several inputs take each by
        its name, `support_x_<input>`, `query_x_<input>`, and `<input>` in `predict`; of several
        outputs each is returned by its name, and its targets are `support_y_<output>`.

        Args:
            filepath: folder to write; it must not exist, or be empty.
            label_spec: shape and type of the targets, `[None, ...]`, a structure of such for
                several outputs; what the last `fit`, `evaluate` or `adapt` saw if `None`.
            **kwargs: options of `tf.saved_model.save`.

        Raises:
            ValueError: not compiled, or the kind of targets is not known yet.
            FileExistsError: the folder is there and holds something.
        """
        self._check_compiled("export")
        spec = self._label_spec if label_spec is None else label_spec
        if spec is None:
            raise ValueError(
                "the targets' shape and type are not known yet: pass label_spec, for instance "
                "tf.TensorSpec([None], tf.int32), or run fit, evaluate or adapt first."
            )
        seed = task_seed(self.seed, SERVING, 0, 0)
        self._loss.resolve(spec, output_spec(self.model))
        problem = InnerProblem(self._learner, self.inner_optimizer, self._loss)
        # A number, so that the artefact holds no variable of the learner's.
        scale = None if self._loss_scales is None else float(self._loss_scales.scoring)
        with losses_scaled_by(scale):
            export_learner(problem, filepath, spec, self._evaluation_steps, seed, **kwargs)


def _adapted(
    learner: AdaptingLearner,
    support: Any,
    steps: tf.Tensor,
    batch_size: int | None,
    seed: tf.Tensor,
) -> InnerState:
    start_seed = task_seed(learner.seed, SERVING, seed, 0)
    start = learner._problem.start(learner._problem.parameters(), start_seed, support)
    batches: Batches = TaskBatches(support)
    if batch_size is not None:
        batches = DrawnBatches(support, batch_size, start_seed)
    with learner._losses_scaled(scoring=True):
        return adapt(learner._problem, start, batches, steps).final


def _copy_with(learner: AdaptingLearner, final: InnerState, examples: Any) -> keras.Model:
    """Returns a copy of the model with what was adapted."""
    parts = learner._learner.partition
    variables = (*learner._learner.theta_variables, *parts.state_variables)
    adapted = zip(variables, (*final.moving, *final.state), strict=True)
    values = {id(variable): value for variable, value in adapted}
    copy = copy_model(learner.model, examples)
    for own, original in zip(all_variables(copy), all_variables(learner.model), strict=True):
        if id(original) in values:
            own.assign(values[id(original)])
    return copy


def _as_tensors(values: Any, several: bool) -> Any:
    """Returns arrays as tensors, in the structure in which they are given.

    Args:
        values: an array, a list of numbers, or a structure of such.
        several: whether a list is one of arrays, whatever these are, and not an array itself.
    """
    if isinstance(values, dict):
        return {key: _as_tensors(value, False) for key, value in values.items()}
    if isinstance(values, (list, tuple)) and (several or any(hasattr(v, "shape") for v in values)):
        return tuple(_as_tensors(value, False) for value in values)
    return tf.convert_to_tensor(values if hasattr(values, "shape") else np.asarray(values))
