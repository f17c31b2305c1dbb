"""Defines one Flyte task environment for each kind of machine that steps need.

On a single machine the environments are only names. If the process has a profile (`infra.cluster.process_profile`, read when this
module is imported), each environment has an image, a pod template and, for data and training, a Ray cluster of its own. Only then
is Flyte's Ray plugin imported (3 s).

Each kind of failure is retried by one component: a lost training worker, alone or with its node, by Ray Train
(`RayLauncher.max_failures`); the pod of a lost node by KubeRay; the pod of a driver or of Ray's head by Flyte's system retries; a
request to the object store by obstore. Flyte's user retries and KubeRay's job retries are 0: an error of the step itself would
occur again, and KubeRay must not start a second cluster that Flyte does not know of.

Each step starts its own Ray cluster. One Ray cluster for a whole run would save four starts of an estimated 10 s, but was not
built: Flyte 2.0.43 has an option for it (`flyte.ReusePolicy`) that no plugin of that release implements (there is no
`ClusterPlugin`, flyteplugins/go/tasks/pluginmachinery/k8s/plugin.go); data and training run different images; and the cluster's
machines, GPUs above all, would be reserved while other steps work. KubeRay's initial probe delay, at least 10 s per start, is
already avoided (`infra.cluster.pods`).
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
"""Seconds that KubeRay keeps the Ray cluster of a finished job. Logs are in the store by then. The RayJob object itself stays, so
that Flyte sees how it ended (ray-project/kuberay v1.7.0: rayjob_controller.go, handleShutdownAfterJobFinishes)."""


def environment(
    name: str, profile: Profile | None, *, depends_on: list[Any] | None = None, include: tuple[str, ...] = ()
) -> flyte.TaskEnvironment:
    """The environment of a kind of machine; with a profile it has a pod template, and for Ray steps a Ray cluster.

    `include` lists files that are uploaded with a run of its tasks, and that the tasks called by these also get.
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
    """The plugin config in a step's own process: it lets Flyte's plugin connect to Ray. None if this process is not a Ray job.

    A step's process serialises no tasks, so it needs no pod templates; leaving them out saves 1.7 s of CPU time per step.
    """
    if not variable("RAY_ADDRESS"):
        return None
    from flyteplugins.ray import RayJobConfig

    return RayJobConfig(worker_node_config=[])


def _ray(profile: Profile, cluster: RayMachines) -> "RayJobConfig":
    from flyteplugins.ray import HeadNodeConfig, RayJobConfig

    return RayJobConfig(
        head_node_config=HeadNodeConfig(
            # with workers the head only schedules, and the workers process shards and train
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
"""The pipeline itself: decides which steps to run, and waits for them."""
