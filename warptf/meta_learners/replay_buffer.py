"""Where the offline algorithm keeps its trajectories."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from warptf.adaptation import InnerState

STORAGES = ("auto", "device", "host", "disk")
# Half of the machine's memory for trajectories leaves the other half to the data and the graph.
# A GPU's memory is for the work: trajectories above this stay with the host.
_GPU_BYTES = 2**30
_MEMORY_SHARE = 0.5


class MemoryReplayBuffer:
    """Trajectories as tensors, on the device that computed them or in the host's memory.

    Args:
        specs: a `TensorSpec` for each leaf of an `InnerState`.
        tasks: number of tasks `T`.
        steps: number of stored steps `K`.
        device: where the tensors lie, or `None` for wherever they are computed.
    """

    def __init__(
        self, specs: Sequence[tf.TensorSpec], tasks: int, steps: int, device: str | None = None
    ) -> None:
        self._specs = list(specs)
        self._steps = steps
        self._device = device

    @property
    def entry_spec(self) -> list[tf.TensorSpec]:
        """What `finish` returns for a task."""
        return [tf.TensorSpec((self._steps, *s.shape), s.dtype) for s in self._specs]

    def begin(self) -> list[tf.TensorArray]:
        """Returns the empty store of one task."""
        with tf.device(self._device):
            return [
                tf.TensorArray(s.dtype, self._steps, element_shape=s.shape) for s in self._specs
            ]

    def write(
        self, store: list[tf.TensorArray], task: tf.Tensor, k: tf.Tensor, inner: InnerState
    ) -> list[tf.TensorArray]:
        """Returns the store with the state of step `k`."""
        leaves = tf.nest.flatten(inner)
        with tf.device(self._device):
            return [array.write(k, leaf) for array, leaf in zip(store, leaves, strict=True)]

    def finish(self, store: list[tf.TensorArray]) -> list[tf.Tensor]:
        """Returns the entries of one task, `[K, ...]` for each leaf."""
        with tf.device(self._device):
            return [array.stack() for array in store]

    def read(self, entries: list[tf.Tensor], task: tf.Tensor, k: tf.Tensor) -> list[tf.Tensor]:
        """Returns the leaves stored for a task and a step.

        Args:
            entries: what `finish` returned, stacked over tasks, `[T, K, ...]`.
            task: index of the task.
            k: index of the step.
        """
        with tf.device(self._device):
            return [tf.gather_nd(entry, tf.stack([task, k])) for entry in entries]


class DiskReplayBuffer:
    """Trajectories in memory-mapped files of a temporary folder, one file a leaf.

    Args:
        specs: a `TensorSpec` for each leaf of an `InnerState`.
        tasks: number of tasks `T`.
        steps: number of stored steps `K`.
        folder: where the temporary folder is made; the system's default if `None`.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        specs: Sequence[tf.TensorSpec],
        tasks: int,
        steps: int,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self._specs = list(specs)
        folder = tempfile.mkdtemp(prefix="warptf-replay-", dir=folder)
        remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._arrays = [
            np.memmap(
                os.path.join(folder, f"{i}.bin"),
                dtype=spec.dtype.as_numpy_dtype,
                mode="w+",
                shape=(tasks, steps, *spec.shape),
            )
            for i, spec in enumerate(self._specs)
        ]
        # Where open files can be removed, nothing is left behind even by a process that is killed;
        # elsewhere they go when the buffer does.
        if os.name == "posix":
            remove()

    @property
    def entry_spec(self) -> list[tf.TensorSpec]:
        """What `finish` returns for a task: a count of what has been written."""
        return [tf.TensorSpec((), tf.int32)]

    def begin(self) -> list[tf.Tensor]:
        """Returns the empty store of one task: nothing written yet."""
        return [tf.constant(0)]

    def write(
        self, store: list[tf.Tensor], task: tf.Tensor, k: tf.Tensor, inner: InnerState
    ) -> list[tf.Tensor]:
        """Writes the state of step `k` to the files."""
        inputs = [store[0], task, k, *tf.nest.flatten(inner)]
        written = tf.numpy_function(self._write, inputs, tf.int32)
        return [tf.ensure_shape(written, ())]

    def _write(
        self, written: np.ndarray, task: np.ndarray, k: np.ndarray, *leaves: np.ndarray
    ) -> np.int32:
        for array, leaf in zip(self._arrays, leaves, strict=True):
            array[task, k] = leaf
        return np.int32(written + 1)

    def finish(self, store: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the number of steps written."""
        return store

    def read(self, entries: list[tf.Tensor], task: tf.Tensor, k: tf.Tensor) -> list[tf.Tensor]:
        """Returns the leaves stored for a task and a step."""
        # TensorFlow does not order Python calls: only the count makes reads wait for the writes.
        inputs = [entries[0], task, k]
        leaves = tf.numpy_function(self._read, inputs, [s.dtype for s in self._specs])
        return [tf.ensure_shape(t, s.shape) for t, s in zip(leaves, self._specs, strict=True)]

    def _read(self, written: np.ndarray, task: np.ndarray, k: np.ndarray) -> list[np.ndarray]:
        return [np.array(array[task, k]) for array in self._arrays]


ReplayBuffer = MemoryReplayBuffer | DiskReplayBuffer


def make_replay_buffer(
    storage: str, specs: Sequence[tf.TensorSpec], tasks: int, steps: int, replicas: int = 1
) -> ReplayBuffer:
    """Returns the buffer for a storage.

    Args:
        storage: `"device"`, `"host"`, `"disk"`, or `"auto"`: on disk if the trajectories of all
            replicas would take more than half of the host's memory, on the host if they take more
            than 1 GiB and there is a GPU, on the device otherwise.
        specs: a `TensorSpec` for each leaf of an `InnerState`.
        tasks: number of tasks `T`.
        steps: number of stored steps `K`.
        replicas: number of replicas, each with a buffer of its own. Defaults to 1.
    """
    if storage == "auto":
        size = tasks * steps * sum(s.shape.num_elements() * s.dtype.size for s in specs)
        storage = _fitting_storage(size * replicas, bool(tf.config.list_logical_devices("GPU")))
    if storage == "disk":
        return DiskReplayBuffer(specs, tasks, steps)
    return MemoryReplayBuffer(specs, tasks, steps, "/CPU:0" if storage == "host" else None)


def _fitting_storage(size: int, has_gpu: bool) -> str:
    """Returns where trajectories of a size are kept."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        # Some systems, Windows for one, do not tell.
        memory = None
    if memory is not None and size > _MEMORY_SHARE * memory:
        return "disk"
    return "host" if has_gpu and size > _GPU_BYTES else "device"
