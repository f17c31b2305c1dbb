"""Pods of tasks on Kubernetes: resources, probes, GPU kinds, priority, spread, variables, secrets by reference.

The pods of a Ray cluster come about in three places. Flyte's plugin (flyteorg/flyte v2.0.43: flyteplugins/go/tasks/plugins/k8s/
ray/ray.go) takes the task's own pod, makes its main container the head's or the workers',
lays their own template over it, where every list gets longer (environment, volumes, mounts, tolerations, terms of an affinity),
and drops the task's own: KubeRay starts the step over HTTP. So what all of them have stands in the task's own pod alone
(`base_template`), and in the templates of head and workers only what differs (`node_template`): whatever stood in both would be
there twice, which the API refuses.

KubeRay (ray-project/kuberay v1.7.0: ray-operator/controllers/ray/common/pod.go) then adds probes that call wget, which no image
has, to pods without probes of their own, because Flyte does not say which Ray it is. Ours ask the same over HTTP, and do not
wait 10 s first: Ray's dashboard, which a step is submitted to, and its agent, whose path /api/local_raylet_healthz every Ray
has that KubeRay 1.7 knows; /api/healthz is there from 2.53 on.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.cluster.machines import Machine
from infra.cluster.process_profile import CARRIER, profile_of_process
from infra.cluster.profiles import Profile, to_toml
from infra.cluster.sizes import in_bytes
from infra.cluster.store_variables import store_variables
from infra.variables import pod_variables

if TYPE_CHECKING:
    import flyte
    from kubernetes import client as k8s

NODE_LABELS = {
    "nvidia.com/gpu.product": {
        "A100": ("NVIDIA-A100-SXM4-40GB", "NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-PCIE-40GB", "NVIDIA-A100-80GB-PCIe"),
        "H100": ("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-PCIe", "NVIDIA-H100-NVL"),
        "H200": ("NVIDIA-H200", "NVIDIA-H200-NVL"),
    },
    "cloud.google.com/gke-accelerator": {
        "A100": ("nvidia-tesla-a100", "nvidia-a100-80gb"),
        "H100": ("nvidia-h100-80gb", "nvidia-h100-mega-80gb"),
        "H200": ("nvidia-h200-141gb",),
    },
}
"""Labels by which nodes say what GPUs they have: those of NVIDIA's feature discovery (nvidia-smi's names), and GKE's own."""

GPU = "nvidia.com/gpu"
CHECKPOINTS = "/checkpoints"
"""Where the checkpoint claim is mounted."""

SOURCES = "/sources"
"""Where the source claim is mounted, read-only."""

AGENT_PORT = 52365
"""Of the agent that Ray has on each node, Ray's own default."""
DASHBOARD_PORT = 8265
"""Of Ray's dashboard on the head, Ray's own default."""

_GROUP = 1000
"""Of the user in our images (infra/containers/Containerfile): a new volume is root's, and this group's too once it is mounted."""

THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
"""What torch and numba take for the number of processors."""

_OBJECT_STORE_SHARE = 0.7
"""Of /dev/shm, for Ray's object store; the rest is NCCL's and the data loader's."""

_ENVIRONMENT = "app.kubernetes.io/component"
"""Label with the environment's name."""


def shared_directory(home: Path) -> Path:
    """The directory whose files all pods of a Ray cluster see: the mounted checkpoint claim, on one machine the home."""
    profile, mounted = profile_of_process(), Path(CHECKPOINTS)
    return mounted if profile and profile.checkpoint_claim and mounted.is_dir() else home


def pod_template(profile: Profile, machine: Machine) -> "flyte.PodTemplate":
    """The template of a pod that runs a task by itself."""
    from kubernetes import client as k8s

    template = base_template(profile, machine)
    spec: Any = template.pod_spec
    _add_differing(spec, profile, machine)
    # torch and numba would take as many threads as the node has processors; in a Ray cluster Ray says how many
    threads = [k8s.V1EnvVar(name=name, value=str(machine.size.threads)) for name in THREADS if name not in profile.pod_secrets]
    spec.containers[0].env += threads
    return template


def base_template(profile: Profile, machine: Machine) -> "flyte.PodTemplate":
    """What all pods of a task have: image, variables, claims, account and rights."""
    import flyte
    from kubernetes import client as k8s

    claims = _claims(profile, machine)
    container = k8s.V1Container(
        name="primary",
        image=profile.image(machine.image),
        env=_environment(profile),
        volume_mounts=[
            k8s.V1VolumeMount(name=name, mount_path=path, read_only=(path == SOURCES) or None)
            for name, (_, path) in claims.items()
        ],
        security_context=k8s.V1SecurityContext(allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])),
    )
    spec = k8s.V1PodSpec(
        containers=[container],
        volumes=[_claim_volume(name, claim, path == SOURCES) for name, (claim, path) in claims.items()],
        service_account_name=f"{profile.release}-tasks",
        priority_class_name=f"{profile.release}-{machine.priority}",
        # KubeRay gives the init container of its workers the main container's rights, and every pod these
        security_context=k8s.V1PodSecurityContext(
            run_as_non_root=True,
            fs_group=_GROUP,
            fs_group_change_policy="OnRootMismatch",
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
    )
    return flyte.PodTemplate(pod_spec=spec, primary_container_name=container.name, labels=_labels(machine))


def node_template(profile: Profile, machine: Machine, *, head: bool) -> "flyte.PodTemplate":
    """What a node of a Ray cluster has beside the task's own pod; its main container is named as Flyte's plugin names it."""
    import flyte
    from kubernetes import client as k8s

    container = k8s.V1Container(name="ray-head" if head else "ray-worker", **_probes(head))
    spec = k8s.V1PodSpec(containers=[container])
    _add_differing(spec, profile, machine)
    return flyte.PodTemplate(pod_spec=spec, primary_container_name=container.name, labels=_labels(machine))


def ray_start_params(machine: Machine, *, head: bool, works: bool) -> dict[str, str]:
    """Options of `ray start` in a pod of the machine: it gives to work what the pod has, or nothing."""
    params = {
        "num-cpus": str(machine.size.threads if works else 0),
        "num-gpus": str(machine.gpus if works else 0),
        "dashboard-agent-listen-port": str(AGENT_PORT),
    }
    if machine.size.shared_memory:
        params["object-store-memory"] = str(int(_OBJECT_STORE_SHARE * in_bytes(machine.size.shared_memory)))
    return params | ({"dashboard-port": str(DASHBOARD_PORT)} if head else {})


def _probes(head: bool) -> dict[str, "k8s.V1Probe"]:
    """Quick while Ray starts, since KubeRay submits the step once all are ready; patient later: a busy node answers late."""
    from kubernetes import client as k8s

    def asks(path: str, port: int, every: int, minutes: int) -> Any:
        answer = k8s.V1HTTPGetAction(path=path, port=port)
        return k8s.V1Probe(http_get=answer, timeout_seconds=5, period_seconds=every, failure_threshold=minutes * 60 // every)

    agent = ("/api/local_raylet_healthz", AGENT_PORT)
    return {
        "startup_probe": asks(*(("/api/gcs_healthz", DASHBOARD_PORT) if head else agent), every=1, minutes=10),
        "readiness_probe": asks(*agent, every=2, minutes=2),
        "liveness_probe": asks(*agent, every=10, minutes=10),
    }


def _add_differing(spec: "k8s.V1PodSpec", profile: Profile, machine: Machine) -> None:
    """Put into a pod and its main container what pods of one step do not have in common: what they ask for, and which nodes."""
    from kubernetes import client as k8s

    container, size = spec.containers[0], machine.size
    gpus = {GPU: str(machine.gpus)} if machine.gpus else {}
    container.resources = k8s.V1ResourceRequirements(requests=size.requests | gpus, limits=size.limits | gpus)
    if size.shared_memory:
        memory = k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit=size.shared_memory)
        spec.volumes = [*(spec.volumes or []), k8s.V1Volume(name="shared-memory", empty_dir=memory)]
        mount = k8s.V1VolumeMount(name="shared-memory", mount_path="/dev/shm")  # noqa: S108 a mount, not a file of ours
        container.volume_mounts = [*(container.volume_mounts or []), mount]
    if machine.gpus:
        spec.affinity = _affinity(profile)
        spec.tolerations = [k8s.V1Toleration(key=GPU, operator="Exists", effect="NoSchedule")]
    if machine.spread:
        spec.topology_spread_constraints = [_spread(machine)]


def _labels(machine: Machine) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "longrun", _ENVIRONMENT: machine.environment}


def _environment(profile: Profile) -> list[Any]:
    """The profile itself, what libraries read of the store, and secrets as references that the kubelet resolves.

    Each name once: what a profile's own secrets name goes before what we would set. Ray's own processes start before any code of
    ours, so what that sets for the processes it starts stands here too.
    """
    from kubernetes import client as k8s

    def reference(secret: str, key: str) -> k8s.V1EnvVarSource:
        return k8s.V1EnvVarSource(secret_key_ref=k8s.V1SecretKeySelector(name=secret, key=key))

    store = store_variables(profile)
    secrets = {**store.secret, **profile.pod_secrets}
    plain = {CARRIER: to_toml(profile), **pod_variables(), **store.plain}
    return [
        *(k8s.V1EnvVar(name=name, value=value) for name, value in plain.items() if name not in secrets),
        *(k8s.V1EnvVar(name=name, value_from=reference(*where)) for name, where in secrets.items()),
    ]


def _claims(profile: Profile, machine: Machine) -> dict[str, tuple[str, str]]:
    """Volume -> claim and where it is mounted, for those that the machine mounts and the profile names."""
    known = {
        "checkpoints": (machine.checkpoints, profile.checkpoint_claim, CHECKPOINTS),
        "sources": (machine.sources, profile.source_claim, SOURCES),
    }
    return {name: (claim, path) for name, (wanted, claim, path) in known.items() if wanted and claim}


def _claim_volume(name: str, claim: str, read_only: bool) -> "k8s.V1Volume":
    from kubernetes import client as k8s

    source = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=claim, read_only=read_only or None)
    return k8s.V1Volume(name=name, persistent_volume_claim=source)


def _affinity(profile: Profile) -> "k8s.V1Affinity":
    """Only nodes with one of the profile's kinds, under either label; the first kind is preferred most."""
    from kubernetes import client as k8s

    def terms(kinds: tuple[str, ...]) -> list[Any]:
        values = {label: [name for kind in kinds for name in names[kind]] for label, names in NODE_LABELS.items()}
        requirements = [k8s.V1NodeSelectorRequirement(key=label, operator="In", values=names) for label, names in values.items()]
        return [k8s.V1NodeSelectorTerm(match_expressions=[requirement]) for requirement in requirements]

    preferred = [
        k8s.V1PreferredSchedulingTerm(weight=100 // position, preference=term)
        for position, kind in enumerate(profile.gpus, start=1)
        for term in terms((kind,))
    ]
    return k8s.V1Affinity(
        node_affinity=k8s.V1NodeAffinity(
            required_during_scheduling_ignored_during_execution=k8s.V1NodeSelector(node_selector_terms=terms(profile.gpus)),
            preferred_during_scheduling_ignored_during_execution=preferred if len(profile.gpus) > 1 else None,
        )
    )


def _spread(machine: Machine) -> "k8s.V1TopologySpreadConstraint":
    from kubernetes import client as k8s

    return k8s.V1TopologySpreadConstraint(
        max_skew=1,
        topology_key="kubernetes.io/hostname",
        when_unsatisfiable="ScheduleAnyway",
        label_selector=k8s.V1LabelSelector(match_labels={_ENVIRONMENT: machine.environment}),
    )
