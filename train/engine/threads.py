"""The threads of a process that runs a command."""

import contextlib

import tensorflow as tf


def use_threads(per_operation: int) -> None:
    """Sets how many threads one operation may use, before TensorFlow starts.

    Args:
        per_operation: Their number; 0 leaves it to TensorFlow.
    """
    if per_operation:
        # A program that has used TensorFlow before it calls a command keeps its own threads.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(per_operation)
