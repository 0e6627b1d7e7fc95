"""Parts of a work over a Ray cluster, with the numbers of one process.

The work of a part is the same function on the same arrays wherever it runs; what everyone shares
goes to the cluster once. A task whose machine is lost is run again elsewhere by Ray.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from allport.errors import AllportError, UsageError

__all__ = ["import_ray", "ray_map"]

Shared = TypeVar("Shared")
Part = TypeVar("Part")
Result = TypeVar("Result")

_AHEAD = 4
"""Parts waiting for each processor, so that none idles and the driver holds few."""


def ray_map(
    function: Callable[[Shared, Part], Result],
    shared: Shared,
    parts: Iterable[Part],
    *,
    gpus: int = 0,
) -> Iterator[Result]:
    """Yield `function(shared, part)` for each part, in order, computed on a Ray cluster.

    The cluster is the one this process is connected to, or that `RAY_ADDRESS` names, or else one
    started on this machine.

    Args:
        function: Importable on every machine of the cluster.
        shared: Sent once.
        parts: Sent as processors become free.
        gpus: Accelerators that each part needs beside its processor.

    Raises:
        UsageError: Ray is not installed.
        AllportError: What the function raised of its own.
    """
    ray = import_ray()
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    everywhere = ray.put(shared)
    task = ray.remote(num_cpus=1, num_gpus=gpus)(function)

    def result(reference: Any) -> Result:
        try:
            found: Result = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, AllportError):
                raise error.cause from None  # without the traceback of the other machine
            raise
        return found

    ahead = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    running: deque[Any] = deque()
    for part in parts:
        running.append(task.remote(everywhere, part))
        if len(running) >= ahead:
            yield result(running.popleft())
    while running:
        yield result(running.popleft())


def import_ray() -> Any:
    """The ray module.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import ray
    except ImportError:
        raise UsageError(
            "The ray engine needs Ray, which is not installed: pip install 'allport[scale]'."
        ) from None
    return ray
