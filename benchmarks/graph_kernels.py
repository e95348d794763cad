"""How many kernels a traced function runs, counted in the graph that TensorFlow runs.

Profilers lose events of long runs; a graph loses none. Each operation counts as often as the loops
around it turn, whose numbers of turns are constants of the graph.
"""

import collections
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context

# Control flow, lists and shapes: no work of a device.
_NO_KERNELS = frozenset(
    """Const Identity IdentityN Reshape Shape ShapeN Size Rank NoOp _Arg _Retval Placeholder
    PlaceholderWithDefault Enter Exit Merge Switch NextIteration LoopCond ExpandDims Squeeze
    StopGradient PreventGradient ReadVariableOp VarHandleOp EnsureShape IteratorGetNext
    ConcatOffset BroadcastGradientArgs Assert _Send _Recv _HostSend _HostRecv Less LogicalAnd
    """.split()  # noqa: SIM905
)

Frame = tuple[str, ...]


def kernels_of(function: Callable[[], Any]) -> collections.Counter[str]:
    """Returns how often a function runs each type of kernel when it is called for the first time.

    Args:
        function: calls a traced function that has not been called before.

    Raises:
        ValueError: a loop whose number of turns is no constant of the graph.
    """
    context.enable_graph_collection()
    try:
        function()
        collected = context.export_run_metadata()
    finally:
        context.disable_graph_collection()
    total: collections.Counter[str] = collections.Counter()
    for graphs in collected.function_graphs:
        for graph in graphs.partition_graphs:
            total += _kernels(graph.node)
    return total


def _kernels(nodes: Iterable[Any]) -> collections.Counter[str]:
    by_name = {node.name: node for node in nodes}
    frames = _frames(by_name)
    turns = {frame: _turns(frame, frames, by_name) for frame in set(frames.values()) if frame}
    found: collections.Counter[str] = collections.Counter()
    for name, node in by_name.items():
        if not _is_kernel(node):
            continue
        frame, times = frames[name], 1
        for depth in range(1, len(frame) + 1):
            times *= turns[frame[:depth]]
        found[node.op] += times
    return found


def _is_kernel(node: Any) -> bool:
    if node.op in _NO_KERNELS or node.op.startswith(("TensorList", "EmptyTensorList", "TensorMap")):
        return False
    # Integers of 32 bits are counters and shapes, which devices leave to the host.
    return not ("T" in node.attr and node.attr["T"].type == tf.int32.as_datatype_enum)


def _frames(by_name: dict[str, Any]) -> dict[str, Frame]:
    """Returns the loops around each operation, the outermost first."""
    after: dict[str, list[str]] = collections.defaultdict(list)
    for name, node in by_name.items():
        for source in _sources(node):
            after[source].append(name)
    frames: dict[str, Frame] = {n: () for n, node in by_name.items() if not node.input}
    waiting = list(frames)
    while waiting:
        name = waiting.pop()
        node, frame = by_name[name], frames[name]
        out = frame[:-1] if node.op == "Exit" else frame
        for follower in after[name]:
            inner = by_name[follower]
            own = (*out, inner.attr["frame_name"].s.decode()) if inner.op == "Enter" else out
            # What has no other input may stand in an outer loop by mistake: the deepest counts.
            if follower not in frames or len(own) > len(frames[follower]):
                frames[follower] = own
                waiting.append(follower)
    return frames


def _turns(frame: Frame, frames: dict[str, Frame], by_name: dict[str, Any]) -> int:
    """Returns how often a loop turns."""
    conditions = [n for n, f in frames.items() if f == frame and by_name[n].op == "LoopCond"]
    limits: list[int] = []
    waiting = [source for name in conditions for source in _sources(by_name[name])]
    while waiting:
        node = by_name[waiting.pop()]
        if node.op in ("LogicalAnd", "Identity", "Reshape"):
            waiting += _sources(node)
        elif node.op == "Less":
            start, limit = (_constant(source, by_name) for source in _sources(node)[:2])
            if start is not None and limit is not None:
                limits.append(limit - start)
    if not limits:
        raise ValueError(f"loop {frame[-1]!r} has no constant number of turns.")
    return min(limits)


def _constant(name: str, by_name: dict[str, Any]) -> int | None:
    """Returns the constant that a variable of a loop begins with, or is."""
    node = by_name[name]
    while node.op in ("Merge", "Enter", "Identity", "Switch"):
        node = by_name[_sources(node)[0]]
    if node.op != "Const":
        return None
    return int(tf.make_ndarray(node.attr["value"].tensor))


def _sources(node: Any) -> list[str]:
    return [name.lstrip("^").partition(":")[0] for name in node.input]
