"""One Flyte task environment for each kind of machine that the steps need.

On one machine they are names alone. Where the process has a profile (`infra.cluster.process_profile`, read here at import), each
has its image, its pods and, for data and training, its own Ray cluster. Only then is Flyte's Ray plugin imported (3 s).

Each kind of retry has one owner: a lost training worker, alone or with its node, is Ray Train's (`RayLauncher.max_failures`); the
pod of such a node is KubeRay's; the pod of a driver or of Ray's head is that of Flyte's system retries; a request to the object
store is obstore's. A step's own failure would repeat itself, and KubeRay must not start a second cluster behind Flyte's back:
both have 0.

Each step starts a Ray of its own. One Ray for a whole run would save its start, four times of an estimated 10 s, and was not
built: Flyte 2.0.43 has a field for it (`flyte.ReusePolicy`) and nothing behind it, since no plugin of that release is a
`ClusterPlugin` (flyteplugins/go/tasks/pluginmachinery/k8s/plugin.go); data and training run different images; and their
machines, GPUs above all, would be held while others work. KubeRay's wait for probes, 10 s and more of each start, is saved
already (`infra.cluster.pods`).
"""

from typing import TYPE_CHECKING, Any

import flyte

from infra.bundle import code_files
from infra.cluster.machines import Machine, RayMachines, machines
from infra.cluster.pods import base_template, node_template, pod_template, ray_start_params
from infra.cluster.process_profile import in_step, profile_of_process
from infra.cluster.profiles import Profile
from infra.variables import variable

if TYPE_CHECKING:
    from flyteplugins.ray import RayJobConfig

RAY_TTL_SECONDS = 0
"""How long KubeRay keeps the Ray cluster of a finished job, with its machines: logs are in the store by then. The RayJob itself
stays, so that Flyte sees the end (ray-project/kuberay v1.7.0: rayjob_controller.go, handleShutdownAfterJobFinishes)."""


def environment(
    name: str, profile: Profile | None, *, depends_on: list[Any] | None = None, include: tuple[str, ...] = ()
) -> flyte.TaskEnvironment:
    """The environment of a kind of machine; on the cluster of a profile with its pods, or with a Ray cluster.

    `include` names the files that travel with a run of its tasks; the tasks that these call get them too.
    """
    machine = machines(profile)[name]
    on_ray = isinstance(machine, RayMachines)
    main = machine.head if isinstance(machine, RayMachines) else machine
    if profile is None:
        resources = flyte.Resources(cpu=main.size.cores, memory=main.size.memory)
        return flyte.TaskEnvironment(name=f"longrun-{name}", resources=resources, depends_on=depends_on or [])
    if in_step():
        return flyte.TaskEnvironment(name=f"longrun-{name}", plugin_config=_connected() if on_ray else None)
    return flyte.TaskEnvironment(
        name=f"longrun-{name}",
        image=flyte.Image.from_base(profile.image(main.image)),
        pod_template=base_template(profile, main) if on_ray else pod_template(profile, main),
        plugin_config=_ray(profile, machine) if isinstance(machine, RayMachines) else None,
        depends_on=depends_on or [],
        include=include,
    )


def _connected() -> "RayJobConfig | None":
    """For a step's own process, which serialises nothing: what lets Flyte's plugin connect to Ray, if this is a Ray job at all.

    Without the pods, and the clients that they are made of, each step starts 1.7 s of a processor earlier.
    """
    if not variable("RAY_ADDRESS"):
        return None
    from flyteplugins.ray import RayJobConfig

    return RayJobConfig(worker_node_config=[])


def _ray(profile: Profile, cluster: RayMachines) -> "RayJobConfig":
    from flyteplugins.ray import HeadNodeConfig, RayJobConfig

    return RayJobConfig(
        head_node_config=HeadNodeConfig(
            # beside workers the head schedules: shards and training belong to them
            ray_start_params=ray_start_params(cluster.head, head=True, works=cluster.works),
            pod_template=node_template(profile, cluster.head, head=True),
        ),
        worker_node_config=[] if cluster.worker is None else [_workers(profile, cluster.worker, cluster.workers)],
        shutdown_after_job_finishes=True,
        ttl_seconds_after_finished=RAY_TTL_SECONDS,
    )


def _workers(profile: Profile, worker: Machine, count: int) -> Any:
    from flyteplugins.ray import WorkerNodeConfig

    return WorkerNodeConfig(
        group_name="workers",
        replicas=count,
        min_replicas=count,
        max_replicas=count,
        ray_start_params=ray_start_params(worker, head=False, works=True),
        pod_template=node_template(profile, worker, head=False),
    )


_profile = profile_of_process()

cpu = environment("cpu", _profile)
"""Tokenizer, plans, conversations, checks, reports, registration."""

data = environment("data", _profile)
"""Shard work on Ray Data."""

train = environment("train", _profile)
"""Training on Ray Train."""

evaluate = environment("evaluate", _profile)
"""Scoring and generation."""

driver = environment("driver", _profile, depends_on=[cpu, data, train, evaluate], include=code_files() if _profile else ())
"""The pipeline itself: decides what to reuse, and waits."""
