"""Builds the pod templates of tasks: resources, probes, GPU kinds, priority, spread, variables and secret references.

The pods of a Ray cluster are assembled in three places. Flyte's plugin (flyteorg/flyte v2.0.43:
flyteplugins/go/tasks/plugins/k8s/ray/ray.go) takes the task's own pod, turns its main container into the head's or the workers'
container, and merges the head's or workers' template into it. The merge appends to lists (environment, volumes, mounts,
tolerations, terms of an affinity). The task's own pod is not started: KubeRay starts the step over HTTP. So everything that all
pods share is in the task's own pod only (`base_template`), and the templates of head and workers contain only the differences
(`node_template`): an entry in both would appear twice, which the API refuses.

KubeRay (ray-project/kuberay v1.7.0: ray-operator/controllers/ray/common/pod.go) adds probes to pods that have none. Because Flyte
does not tell it the Ray version, its probes call wget, which our images do not contain. Our own probes send the same HTTP
requests, without KubeRay's initial delay of 10 s: to Ray's dashboard, which steps are submitted to, and to Ray's agent at
/api/local_raylet_healthz, which exists in every Ray that KubeRay 1.7 supports (/api/healthz only from Ray 2.53 on).
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
"""Node labels that name a node's GPUs, with their values by GPU kind: NVIDIA's feature discovery (as nvidia-smi) and GKE."""

GPU = "nvidia.com/gpu"
CHECKPOINTS = "/checkpoints"
"""Where the checkpoint claim is mounted."""

SOURCES = "/sources"
"""Where the source claim is mounted, read-only."""

AGENT_PORT = 52365
"""Port of the agent that Ray runs on each node (Ray's default)."""
DASHBOARD_PORT = 8265
"""Port of Ray's dashboard on the head (Ray's default)."""

_GROUP = 1000
"""Group of the images' user (infra/containers/Containerfile). New volumes belong to root; fsGroup lets this group write."""

THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables from which torch and numba take their number of threads."""

_OBJECT_STORE_SHARE = 0.7
"""Fraction of /dev/shm for Ray's object store; NCCL and the data loader use the rest."""

_ENVIRONMENT = "app.kubernetes.io/component"
"""Label that holds the environment's name."""


def shared_directory(home: Path) -> Path:
    """The directory that all pods of a Ray cluster share: the mounted checkpoint claim; on one machine, the home."""
    profile, mounted = profile_of_process(), Path(CHECKPOINTS)
    return mounted if profile and profile.checkpoint_claim and mounted.is_dir() else home


def pod_template(profile: Profile, machine: Machine) -> "flyte.PodTemplate":
    """The template of a pod that runs a task without a Ray cluster."""
    from kubernetes import client as k8s

    template = base_template(profile, machine)
    spec: Any = template.pod_spec
    _add_differing(spec, profile, machine)
    # by default torch and numba use as many threads as the node has processors; in a Ray cluster, Ray sets the number
    threads = [k8s.V1EnvVar(name=name, value=str(machine.size.threads)) for name in THREADS if name not in profile.pod_secrets]
    spec.containers[0].env += threads
    return template


def base_template(profile: Profile, machine: Machine) -> "flyte.PodTemplate":
    """The template with what all pods of a task share: image, variables, claims, service account and security context."""
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
        termination_grace_period_seconds=profile.grace_seconds,
        service_account_name=f"{profile.release}-tasks",
        priority_class_name=f"{profile.release}-{machine.priority}",
        # KubeRay copies the main container's security context to the init container of workers, and this one to every pod
        security_context=k8s.V1PodSecurityContext(
            run_as_non_root=True,
            fs_group=_GROUP,
            fs_group_change_policy="OnRootMismatch",
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
    )
    return flyte.PodTemplate(pod_spec=spec, primary_container_name=container.name, labels=_labels(machine))


def node_template(profile: Profile, machine: Machine, *, head: bool) -> "flyte.PodTemplate":
    """The template with what a head or worker adds to `base_template`; Flyte's plugin prescribes the container's name."""
    import flyte
    from kubernetes import client as k8s

    container = k8s.V1Container(name="ray-head" if head else "ray-worker", **_probes(head))
    spec = k8s.V1PodSpec(containers=[container])
    _add_differing(spec, profile, machine)
    return flyte.PodTemplate(pod_spec=spec, primary_container_name=container.name, labels=_labels(machine))


def ray_start_params(machine: Machine, *, head: bool, works: bool) -> dict[str, str]:
    """Options of `ray start` in a pod: it offers the pod's CPUs and GPUs for work if `works`, else none."""
    params = {
        "num-cpus": str(machine.size.threads if works else 0),
        "num-gpus": str(machine.gpus if works else 0),
        "dashboard-agent-listen-port": str(AGENT_PORT),
    }
    if machine.size.shared_memory:
        params["object-store-memory"] = str(int(_OBJECT_STORE_SHARE * in_bytes(machine.size.shared_memory)))
    return params | ({"dashboard-port": str(DASHBOARD_PORT)} if head else {})


def _probes(head: bool) -> dict[str, "k8s.V1Probe"]:
    """Probes of a Ray pod: frequent while Ray starts, because KubeRay submits the step once all pods are ready, and with long
    timeouts afterwards, because busy nodes answer late."""
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
    """Add what differs between the pods of one step: resources, shared memory, and the choice of nodes."""
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
    """Environment variables: the profile, what libraries need to reach the store, and secrets as references for the kubelet.

    Each name appears once; the profile's own secrets take precedence. Ray's processes start before any of our code, so the
    variables that our code sets for child processes are included.
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
    """Volume -> claim and mount path, for the claims that the machine mounts and the profile names."""
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
    """Require a node with one of the profile's GPU kinds, under either label; the first kind is preferred most."""
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
