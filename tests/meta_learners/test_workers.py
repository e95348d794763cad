"""Two processes give the variables that one gives on the same tasks."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from contracts.cluster import start_workers
from meta_learners import cluster_worker
from meta_learners.cluster_worker import MAKERS, TASKS, trained
from meta_learners.problems import stream

from warptf.meta_learners.worker_shares import is_multi_worker, shared


@pytest.fixture(scope="module")
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, np.ndarray]]:
    """What each of two workers has stored, of the learners that are asked for."""
    asked = {item.callspec.params["make"].__name__ for item in comparisons(request)}
    folder = tmp_path_factory.mktemp("workers")
    paths = [folder / f"{index}.npz" for index in range(2)]
    script = Path(cluster_worker.__file__)
    commands = [[sys.executable, str(script), str(path), *sorted(asked)] for path in paths]
    workers = start_workers(commands, folder)
    try:
        codes = [worker.wait(timeout=240) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert codes == [0, 0], (folder / "err.0").read_text()[-2000:]
    return [dict(np.load(path)) for path in paths]


def comparisons(request: pytest.FixtureRequest) -> list[pytest.Function]:
    name = test_two_workers_equal_one_process.__name__
    return [item for item in request.session.items if getattr(item, "originalname", "") == name]


@pytest.mark.few("online")
@pytest.mark.parametrize("make", MAKERS)
def test_two_workers_equal_one_process(found, make):
    learner, reported = trained(make)
    expected = {f"weight {index}": value for index, value in enumerate(learner.get_weights())}
    expected |= {name: np.ravel(value) for name, value in reported.items()}
    for of_worker in found:
        stored = {n: v for n, v in of_worker.items() if n.split(" ", 1)[0] == make.__name__}
        assert {n.split(" ", 1)[1] for n in stored} == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(
                stored[f"{make.__name__} {name}"], value, rtol=1e-4, atol=1e-6, err_msg=name
            )


class Cluster:
    """A strategy of `workers` workers with `local` replicas each, as far as sharing asks."""

    def __init__(self, workers: int, local: int) -> None:
        self.num_replicas_in_sync = workers * local
        self.workers = workers
        spec = tf.train.ClusterSpec({"worker": [f"host{i}:1" for i in range(workers)]})
        self.cluster_resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(spec)

    def distribute_datasets_from_function(self, function):
        return [
            function(tf.distribute.InputContext(self.workers, index, self.num_replicas_in_sync))
            for index in range(self.workers)
        ]


@pytest.mark.parametrize(("workers", "local"), [(2, 1), (1, 2), (2, 2), (4, 1)])
def test_shares_put_together_are_the_meta_batch(workers, local):
    data = stream(3, tasks=4, ids=True)
    parts, steps = shared(data, None, Cluster(workers, local), "training")
    assert steps == 3
    assert {int(part.cardinality()) for part in parts} == {tf.data.INFINITE_CARDINALITY}
    streams = [iter(part) for part in parts]
    for batch in data:
        shares = [next(own) for own in streams for _ in range(local)]
        assert all(share["task_id"].shape == (4 // (workers * local),) for share in shares)
        assert all("replay" not in share for share in shares)
        together = np.concatenate([share["support"][0] for share in shares])
        np.testing.assert_array_equal(together, batch.support[0])


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (stream(1, tasks=3), "got 3"),
        (stream(1, tasks=4).unbatch().batch(2), "got an unknown number"),
    ],
)
def test_meta_batches_that_workers_cannot_share_are_refused(data, got):
    with pytest.raises(ValueError, match=rf"training data.*multiple of the 2 replicas.*{got}"):
        shared(data, None, Cluster(2, 1), "training")


def test_one_worker_leaves_data_to_keras():
    data = stream(1, tasks=TASKS)
    for strategy in (
        tf.distribute.get_strategy(),
        tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]),
    ):
        assert not is_multi_worker(strategy)
        assert shared(data, 5, strategy, "training") == (data, 5)
