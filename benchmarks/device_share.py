"""How busy a GPU is, by TensorFlow's profiler."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

Spans = list[tuple[int, int]]


def device_share(function: Callable[[], Any]) -> float | None:
    """Returns the part of a call's time in which a GPU runs kernels, or `None` without events.

    Args:
        function: what to call.
    """
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        function()
        tf.profiler.experimental.stop()
        spans = [
            (line.timestamp_ns * 1000 + e.offset_ps, e.duration_ps)
            for path in Path(folder).rglob("*.xplane.pb")
            for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes
            if plane.name.startswith("/device:GPU")
            for line in plane.lines
            if line.name.startswith("Stream")
            for e in line.events
        ]
    return busy_share([(begin, begin + length) for begin, length in spans])


def busy_share(spans: Spans) -> float | None:
    """Returns the part that spans cover of the time from the first to the last.

    Args:
        spans: beginnings and ends; they may overlap.

    >>> busy_share([(0, 2), (1, 3), (7, 10)])
    0.6
    """
    if not spans:
        return None
    covered, until = 0, min(begin for begin, _ in spans)
    first, last = until, max(end for _, end in spans)
    for begin, end in sorted(spans):
        covered += max(0, end - max(begin, until))
        until = max(until, end)
    return covered / (last - first) if last > first else None
