"""Chunks of people over a Ray cluster, with the numbers of one process.

The work of a chunk is the same function on the same arrays wherever it runs; what everyone shares
goes to the cluster once. A task whose machine is lost is run again elsewhere by Ray.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from allport.errors import UsageError

__all__ = ["ray_map"]

Shared = TypeVar("Shared")
Part = TypeVar("Part")
Result = TypeVar("Result")

_AHEAD = 4
"""Parts waiting for each processor, so that none idles and the driver holds few."""


def ray_map(
    function: Callable[[Shared, Part], Result], shared: Shared, parts: Iterable[Part]
) -> Iterator[Result]:
    """Yield `function(shared, part)` for each part, in order, computed on a Ray cluster.

    The cluster is the one this process is connected to, or that `RAY_ADDRESS` names, or else one
    started on this machine.

    Args:
        function: Importable on every machine of the cluster.
        shared: Sent once.
        parts: Sent as processors become free.

    Raises:
        UsageError: Ray is not installed.
    """
    ray = _ray()
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    everywhere = ray.put(shared)
    task = ray.remote(num_cpus=1)(function)
    ahead = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    running: deque[Any] = deque()
    for part in parts:
        running.append(task.remote(everywhere, part))
        if len(running) >= ahead:
            yield ray.get(running.popleft())
    while running:
        yield ray.get(running.popleft())


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UsageError(
            "The ray engine needs Ray, which is not installed: pip install 'allport[scale]'."
        ) from None
    return ray
