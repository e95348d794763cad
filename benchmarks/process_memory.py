"""Memory of a process, and the work over which its peak is taken."""

import re
from collections.abc import Collection
from pathlib import Path


def resident() -> float:
    """Returns the MiB that this process has in memory now."""
    return _status("VmRSS")


def peak() -> float:
    """Returns the most MiB that this process has had in memory since it began.

    Unlike `ru_maxrss`, it does not count what the parent held when it started the process.
    """
    return _status("VmHWM")


def _status(field: str) -> float:
    """Returns a field of this process' status in MiB."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    if found is None:
        raise OSError(f"/proc/self/status has no field {field}: memory is measured on Linux only.")
    return int(found[1]) / 1024


def meta_steps_of(inner_steps: Collection[int]) -> dict[int, int]:
    """Returns so many meta-steps for each number of inner steps that all take as many in all.

    How much is in use at once depends on how operations happen to be scheduled, and the peak is a
    maximum over that: so processes whose peaks are compared are to do the same work.

    >>> meta_steps_of([5, 10, 100])
    {5: 20, 10: 10, 100: 1}
    """
    return {steps: -(-max(inner_steps) // steps) for steps in inner_steps}
