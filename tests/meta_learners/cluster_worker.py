"""What each worker of a cluster runs in `test_workers.py`: it trains, and stores all variables.

Run as `python cluster_worker.py FILE MAKER...`, with the cluster in `TF_CONFIG`.
"""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# The tests' folder, which pytest puts there for the tests themselves.
sys.path.append(str(Path(__file__).parents[1]))

from meta_learners.problems import classification_tasks, cross_entropy, network, stream

import warptf
from warptf.initializations import Leap
from warptf.inner_optimizers import SGD

TASKS, STEPS, META_STEPS = 4, 2, 4


def online(accumulation: int = 1) -> Any:
    return warptf.OnlineMetaLearner(
        network(batch_norm=True, dropout=0.3),
        SGD(0.1),
        STEPS,
        initialization=Leap(),
        gradient_accumulation_steps=accumulation,
    )


def accumulating() -> Any:
    return online(2)


def offline() -> Any:
    # All that is stored: then the order of the replays does not matter.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return warptf.OfflineMetaLearner(
        network(batch_norm=True),
        SGD(0.1),
        STEPS,
        initialization=Leap(),
        replay_batch_size=TASKS * STEPS // replicas,
    )


def finetuning() -> Any:
    return warptf.MultiHeadFinetuning(network(warp=False), SGD(0.1), STEPS, num_tasks=TASKS)


def continual() -> Any:
    return warptf.ContinualMetaLearner(network(), warp_update_interval=2)


MAKERS = (online, accumulating, offline, finetuning, continual)


def trained(make: Any) -> tuple[Any, dict[str, Any]]:
    """Returns a trained learner, and what `fit` and `evaluate` reported."""
    learner = make()
    learner.compile(keras.optimizers.Adam(0.01), cross_entropy(), ["accuracy"])
    steps = None if make is continual else STEPS
    data = stream(META_STEPS, tasks=TASKS, steps=steps, ids=True)
    reported = dict(learner.fit(data, validation_data=_held_out(make), verbose=0).history)
    return learner, reported | learner.evaluate(_held_out(make), verbose=0, return_dict=True)


def _held_out(make: Any) -> tf.data.Dataset:
    # Tasks that say which they are adapt with the same random numbers wherever they are.
    tasks = classification_tasks(TASKS, None if make is continual else STEPS, seed=7, ids=True)
    return tf.data.Dataset.from_tensors(tasks)


def main(path: str, *names: str) -> None:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    found: dict[str, Any] = {}
    with strategy.scope():
        for make in (make for make in MAKERS if make.__name__ in names):
            learner, reported = trained(make)
            for index, value in enumerate(learner.get_weights()):
                found[f"{make.__name__} weight {index}"] = value
            for name, value in reported.items():
                found[f"{make.__name__} {name}"] = np.ravel(value)
    np.savez(path, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
