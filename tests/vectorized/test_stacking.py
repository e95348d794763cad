"""What is the same for all tasks is repeated once, and outside of loops."""

import numpy as np
import tensorflow as tf
from vectorized.functions import TASKS, assert_same, normal

from warptf.vectorized import vectorized_map
from warptf.vectorized.registry import wrapped
from warptf.vectorized.stacking import folded_input, repeated, stacked

IMAGES, FILTERS = normal(TASKS, 2, 4, 4, 2), normal(TASKS, 3, 3, 2, 2)
BIAS, WARP = normal(2), normal(3, 3, 2, 2)


def steps(inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Convolves three times by a task's filters and what is the same for all tasks."""
    images, filters = inputs

    def step(k: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.nn.conv2d(x, filters, 1, "SAME")
        x = tf.nn.bias_add(x, tf.squeeze(tf.reshape(BIAS, [1, 1, 1, 2])))
        x = tf.nn.max_pool2d(tf.maximum(x, tf.fill([2, 4, 4, 2], 0.25)), 2, 1, "SAME")
        return k + 1, tf.tanh(tf.nn.conv2d(x, WARP, 1, "SAME"))

    return tf.while_loop(lambda k, _: k < 3, step, (tf.constant(0), images))[1]


def test_shared_values_in_a_loop_have_the_values_of_one_task_after_the_other() -> None:
    assert_same(steps, (IMAGES, FILTERS))


def test_shared_values_are_repeated_outside_of_the_loop() -> None:
    @tf.function(autograph=False)
    def run(images: tf.Tensor, filters: tf.Tensor) -> tf.Tensor:
        spec = tf.TensorSpec([2, 4, 4, 2])
        return vectorized_map(steps, (images, filters), TASKS, spec)

    graph = run.get_concrete_function(IMAGES, FILTERS).graph
    (loop,) = (op for op in graph.get_operations() if "While" in op.type)
    body = graph._get_function(loop.get_attr("body").name.encode()).graph
    within = [op.type for op in body.get_operations()]
    assert "Conv2D" in within
    assert not {"Tile", "BroadcastTo"} & set(within)


def test_repeated_values_are_those_of_each_task() -> None:
    values = {"varied": normal(2, 3, 1, 2), "uniform": tf.fill([2, 3, 1, 2], 7.0)}
    values |= {"empty": tf.zeros([0]), "truth": tf.constant([True, True])}

    @tf.function(autograph=False)
    def run(given: dict[str, tf.Tensor]) -> dict[str, list[tf.Tensor]]:
        held = {name: tf.constant(value.numpy()) for name, value in values.items()}
        return {
            f"{kind} {name}": [stacked(wrapped(x, False), TASKS), repeated(x, TASKS)]
            for kind, of in (("given", given), ("constant", held))
            for name, x in of.items()
        }

    for name, (beside, along) in run(values).items():
        x = values[name.partition(" ")[2]].numpy()
        np.testing.assert_array_equal(beside, np.stack([x] * TASKS))
        np.testing.assert_array_equal(along, np.concatenate([x] * TASKS, -1))


def test_images_that_are_the_same_for_all_tasks_are_folded() -> None:
    x = normal(2, 3, 3, 2)

    @tf.function(autograph=False)
    def run() -> tuple[tf.Tensor, tf.Tensor]:
        of_each = tf.stack([x] * TASKS)
        return folded_input(wrapped(x + 0.0, False), TASKS), folded_input(wrapped(of_each), TASKS)

    for found in run():
        np.testing.assert_array_equal(found, np.concatenate([x] * TASKS, -1))
