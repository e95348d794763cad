"""Whether there is a network, before TensorFlow Datasets waits for one."""

import socket
import urllib.request
from collections.abc import Iterable


def unreachable_host(addresses: Iterable[tuple[str, int]]) -> str | None:
    """Say which host cannot be reached; a builder itself retries for minutes before it gives up.

    Args:
        addresses: Hosts and ports.

    Returns:
        The first host that cannot be reached; `None` if all can, or if there is a proxy, which
        would have to be asked.
    """
    if urllib.request.getproxies():
        return None
    for address in addresses:
        try:
            socket.create_connection(address, timeout=5).close()
        except OSError:
            return address[0]
    return None
