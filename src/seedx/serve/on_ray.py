"""Replicas as actors of Ray Serve, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.types import Message

from seedx.checks import integer, number
from seedx.cluster import start_ray
from seedx.errors import SeedxError, first_line
from seedx.serve.errors import ServeError, failed, queue_full, replica_lost
from seedx.serve.replica import Asked, Replica, ReplicaOptions

APPLICATION = "seedx"
ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"


@dataclass(frozen=True)
class Resources:
    """Of each replica."""

    cpus: float = 1
    gpus: float = 0


class RayReplicas:
    """`front.Replicas` by Ray Serve. Ray is started with it, and ended by `stop`.

    Args:
        count: of replicas. One that dies is replaced.

    Raises:
        MissingPackageError: Ray is not installed.
        SeedxError: they can't be started.
    """

    def __init__(self, options: ReplicaOptions, count: int, resources: Resources) -> None:
        integer("replicas", count, 1)
        number("cpus_per_replica", resources.cpus, 0)
        self.max_queue = options.limits.max_queue
        self.ray = start_ray(count * resources.cpus)
        from ray import serve
        from ray.serve.config import RequestRouterConfig

        serve.start(proxy_location="Disabled")
        deployment = serve.deployment(
            Replica,
            name="Replica",
            num_replicas=count,
            ray_actor_options={"num_cpus": resources.cpus, "num_gpus": resources.gpus},
            max_ongoing_requests=options.batching.max_rows,  # more go to the next replica, or wait
            max_queued_requests=options.limits.max_queue,
            health_check_period_s=2,
            health_check_timeout_s=30,
            request_router_config=RequestRouterConfig(request_router_class=ROUTER),
        )
        try:
            self.handle = serve.run(deployment.bind(options), name=APPLICATION, route_prefix=None)
        except RuntimeError as error:
            self.stop()
            raise SeedxError(f"the replicas did not start: {first_line(error)}; Ray's logs say more") from error

    async def ask(self, asked: Asked, conversation: str) -> AsyncIterator[Message]:
        """As `front.Replicas`."""
        from ray import exceptions
        from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError

        call = self.handle.options(method_name="answer", stream=True, session_id=conversation)
        response = call.remote(asked)
        try:
            async for message in response:
                yield message
        except BackPressureError as error:
            raise queue_full(self.max_queue) from error
        except (exceptions.RayActorError, DeploymentUnavailableError, ReplicaUnavailableError) as error:
            raise replica_lost() from error
        except exceptions.RayTaskError as error:
            raise _of_task(error) from error
        finally:
            response.cancel()

    async def metrics(self) -> list[str]:
        """As `front.Replicas`."""
        return [text for text in await self.broadcast("metrics") if isinstance(text, str)]

    async def broadcast(self, method: str) -> list[Any]:
        """What a method of every replica gives."""
        results: list[Any] = await self.handle.broadcast(method).results_async(timeout_s=30)
        return results

    def stop(self) -> None:
        """End all replicas and Ray."""
        from ray import serve

        serve.shutdown()
        self.ray.shutdown()


def _of_task(error: Exception) -> ServeError:
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, ServeError) else failed()
