"""The few-shot learner and its meta-learners, as warptf has them."""

import keras
import tensorflow as tf

import warptf
from benchmarks import few_shot_data


def use_threads(count: int, within: int | None = None) -> None:
    """Sets the threads within an operation, and the operations at a time; before any is run.

    Args:
        count: how many; 0 is TensorFlow's own choice, all cores.
        within: how many within an operation, where that is another number.
    """
    tf.config.threading.set_intra_op_parallelism_threads(count if within is None else within)
    tf.config.threading.set_inter_op_parallelism_threads(count)


def meta_learner(
    filters: int,
    inner_steps: int,
    initialization: warptf.initializations.Initialization,
    optimizer: keras.optimizers.Optimizer,
) -> warptf.OnlineMetaLearner:
    """Returns a compiled meta-learner that learns an initialisation of the whole learner.

    Args:
        filters: channels of each convolution.
        inner_steps: inner steps of each task.
        initialization: what it is learned by.
        optimizer: the outer optimizer.
    """
    shape = (few_shot_data.SIDE, few_shot_data.SIDE, 1)
    model = warptf.models.few_shot_learner(few_shot_data.WAYS, filters, None, shape)
    values = few_shot_data.initial_values(filters)
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    result = warptf.OnlineMetaLearner(
        model,
        warptf.inner_optimizers.SGD(few_shot_data.INNER_RATE),
        inner_steps,
        objective=None,
        initialization=initialization,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    result.compile(optimizer, loss)
    return result


def meta_batch(tasks: int, queries: int) -> tf.data.Dataset:
    """Returns a data set of one meta-batch of 1-shot tasks of noise.

    Args:
        tasks: tasks of the meta-batch.
        queries: images of each class in a query set.
    """
    support = few_shot_data.random_images(tasks, 1, seed=0)
    query = few_shot_data.random_images(tasks, queries, seed=1)
    return tf.data.Dataset.from_tensors(warptf.tasks.Task(support, query))
