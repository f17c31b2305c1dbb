"""One Flyte task environment for each kind of machine that the steps need.

On one machine they are names alone. Where the process has a profile (`infra.cluster.process_profile`, read here at import), each
has its image, its pods and, for data and training, its own Ray cluster. Only then is Flyte's Ray plugin imported (3 s).

Each kind of retry has one owner: a lost training worker, alone or with its node, is Ray Train's (`RayLauncher.max_failures`); the
pod of such a node is KubeRay's; the pod of a driver or of Ray's head is that of Flyte's system retries; a request to the object
store is obstore's. A step's own failure would repeat itself, and KubeRay must not start a second cluster behind Flyte's back:
both have 0.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import flyte

from infra.bundle import code_files
from infra.cluster.pods import Machine, pod_template
from infra.cluster.process_profile import profile_of_process
from infra.cluster.profiles import Profile

if TYPE_CHECKING:
    from flyteplugins.ray import RayJobConfig

RAY_TTL_SECONDS = 600
"""How long KubeRay keeps a finished Ray job, so that its logs can be read."""

_profile = profile_of_process()


def _environment(
    machine: Machine, *, worker: Machine | None = None, depends_on: list[Any] | None = None, include: tuple[str, ...] = ()
) -> flyte.TaskEnvironment:
    """The environment of `machine`; on a cluster with pods of `worker` it is the head of a Ray cluster.

    `include` names the files that travel with a run of its tasks; the tasks that these call get them too.
    """
    name = f"longrun-{machine.environment}"
    if _profile is None:
        resources = flyte.Resources(cpu=machine.cpu, memory=machine.memory)
        return flyte.TaskEnvironment(name=name, resources=resources, depends_on=depends_on or [])
    return flyte.TaskEnvironment(
        name=name,
        image=flyte.Image.from_base(_profile.image(machine.image)),
        pod_template=pod_template(_profile, _submitter(machine) if worker else machine),
        plugin_config=_ray(_profile, machine, worker) if worker else None,
        depends_on=depends_on or [],
        include=include,
    )


def _submitter(head: Machine) -> Machine:
    """The pod that hands a job to its Ray cluster and waits: it works as little as the driver."""
    return replace(head, cpu="1", memory="2Gi", shared_memory="")


def _ray(profile: Profile, head: Machine, worker: Machine) -> "RayJobConfig":
    from flyteplugins.ray import HeadNodeConfig, RayJobConfig, WorkerNodeConfig

    return RayJobConfig(
        # The head schedules: shards and training belong to the workers.
        head_node_config=HeadNodeConfig(
            ray_start_params={"num-cpus": "0", "num-gpus": "0"}, pod_template=pod_template(profile, head, "ray-head")
        ),
        worker_node_config=[
            WorkerNodeConfig(
                group_name="workers",
                replicas=profile.workers,
                min_replicas=profile.workers,
                max_replicas=profile.workers,
                pod_template=pod_template(profile, worker, "ray-worker"),
            )
        ],
        shutdown_after_job_finishes=True,
        ttl_seconds_after_finished=RAY_TTL_SECONDS,
    )


def _training_worker() -> Machine:
    gpus = _profile.gpus_per_worker if _profile and _profile.gpus else 0
    # Of an eight-GPU node's usual 96 cores and 1 TiB and more, 10 cores and 100 GiB a GPU leave room for the node's own.
    cpu, memory = (str(10 * gpus), f"{100 * gpus}Gi") if gpus else ("4", "16Gi")
    shared = f"{30 * gpus}Gi" if gpus else "5Gi"
    return Machine(
        environment="train", image="train", cpu=cpu, memory=memory, shared_memory=shared, gpus=gpus, checkpoints=True, spread=True
    )


# What reads the text of this Python environment, a corpus of the recipes that come with longrun, must find all of it: the driver
# takes its fingerprint, shard work and `conversations` read it. `evaluate` is the image that holds every runtime lock.
_WHOLE = "evaluate"

cpu = _environment(Machine(environment="cpu", image=_WHOLE, cpu="2", memory="8Gi", sources=True))
"""Tokenizer, plans, conversations, checks, reports, registration."""

data = _environment(
    Machine(environment="data", image=_WHOLE, cpu="4", memory="16Gi", shared_memory="5Gi", checkpoints=True, sources=True),
    worker=Machine(
        environment="data",
        image=_WHOLE,
        cpu="16",
        memory="64Gi",
        shared_memory="20Gi",
        checkpoints=True,
        sources=True,
        spread=True,
    ),
)
"""Shard work on Ray Data."""

train = _environment(
    Machine(environment="train", image="train", cpu="4", memory="16Gi", shared_memory="5Gi", checkpoints=True),
    worker=_training_worker(),
)
"""Training on Ray Train."""

evaluate = _environment(
    Machine(
        environment="evaluate",
        image="vllm",
        cpu="4",
        memory="16Gi",
        shared_memory="5Gi",
        gpus=1 if _profile and _profile.gpus else 0,
        priority="evaluation",
        spread=True,
    )
)
"""Scoring and generation."""

driver = _environment(
    Machine(environment="driver", image=_WHOLE, cpu="1", memory="2Gi", sources=True),
    depends_on=[cpu, data, train, evaluate],
    include=code_files() if _profile else (),
)
"""The pipeline itself: decides what to reuse, and waits."""
