"""Pods of tasks on Kubernetes: resources, shared memory, GPU kinds, priority, spread, secrets by reference."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.cluster.process_profile import CARRIER, profile_of_process
from infra.cluster.profiles import Profile, to_toml

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

_ENVIRONMENT = "app.kubernetes.io/component"
"""Label with the environment's name."""


def shared_directory(home: Path) -> Path:
    """The directory whose files all pods of a Ray cluster see: the mounted checkpoint claim, on one machine the home."""
    profile, mounted = profile_of_process(), Path(CHECKPOINTS)
    return mounted if profile and profile.checkpoint_claim and mounted.is_dir() else home


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What one pod of an environment asks for; its limits are the same, so that it is never pushed out for using its own."""

    environment: str
    """Name of the environment, for labels."""
    image: str
    """Dependency group whose image it runs."""
    cpu: str
    """Cores, as text: an int fails when it is serialised for Ray."""
    memory: str
    shared_memory: str = ""
    """Size of /dev/shm, within `memory`, for Ray's object store and NCCL; empty: the runtime's 64 MiB."""
    gpus: int = 0
    priority: str = "training"
    """Priority class of the chart: training pushes evaluation out, which pushes nobody out."""
    checkpoints: bool = False
    """Whether it mounts the checkpoint claim."""
    sources: bool = False
    """Whether it mounts the source claim, to read."""
    spread: bool = False
    """Whether pods of the environment go to different nodes where they can."""


def pod_template(profile: Profile, machine: Machine, container: str = "primary") -> "flyte.PodTemplate":
    """The template of a pod whose main container is named `container`."""
    import flyte
    from kubernetes import client as k8s

    labels = {"app.kubernetes.io/part-of": "longrun", _ENVIRONMENT: machine.environment}
    spec = k8s.V1PodSpec(
        containers=[_container(profile, machine, container)],
        volumes=_volumes(profile, machine) or None,
        service_account_name=f"{profile.release}-tasks",
        priority_class_name=f"{profile.release}-{machine.priority}",
        affinity=_affinity(profile) if machine.gpus else None,
        tolerations=[k8s.V1Toleration(key=GPU, operator="Exists", effect="NoSchedule")] if machine.gpus else None,
        topology_spread_constraints=[_spread(machine)] if machine.spread else None,
        security_context=k8s.V1PodSecurityContext(
            run_as_non_root=True, seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault")
        ),
    )
    return flyte.PodTemplate(pod_spec=spec, primary_container_name=container, labels=labels)


def _container(profile: Profile, machine: Machine, name: str) -> "k8s.V1Container":
    from kubernetes import client as k8s

    amounts = {"cpu": machine.cpu, "memory": machine.memory} | ({GPU: str(machine.gpus)} if machine.gpus else {})
    mounts = {"shared-memory": "/dev/shm"} if machine.shared_memory else {}  # noqa: S108 a mount, not a file of ours
    return k8s.V1Container(
        name=name,
        image=profile.image(machine.image),
        env=_environment(profile),
        resources=k8s.V1ResourceRequirements(requests=amounts, limits=amounts),
        volume_mounts=[
            *(k8s.V1VolumeMount(name=volume, mount_path=path) for volume, path in mounts.items()),
            *(
                k8s.V1VolumeMount(name=volume, mount_path=path, read_only=(path == SOURCES) or None)
                for volume, (_, path) in _claims(profile, machine).items()
            ),
        ]
        or None,
        security_context=k8s.V1SecurityContext(allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])),
    )


def _environment(profile: Profile) -> list[Any]:
    """The profile itself, and secrets as references that the kubelet resolves: no value passes through here."""
    from kubernetes import client as k8s

    def reference(secret: str, key: str) -> k8s.V1EnvVarSource:
        return k8s.V1EnvVarSource(secret_key_ref=k8s.V1SecretKeySelector(name=secret, key=key))

    secrets = [k8s.V1EnvVar(name=name, value_from=reference(*where)) for name, where in profile.pod_secrets.items()]
    return [k8s.V1EnvVar(name=CARRIER, value=to_toml(profile)), *secrets]


def _volumes(profile: Profile, machine: Machine) -> list[Any]:
    from kubernetes import client as k8s

    volumes = []
    if machine.shared_memory:
        memory = k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit=machine.shared_memory)
        volumes.append(k8s.V1Volume(name="shared-memory", empty_dir=memory))
    for name, (claim, path) in _claims(profile, machine).items():
        source = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=claim, read_only=(path == SOURCES) or None)
        volumes.append(k8s.V1Volume(name=name, persistent_volume_claim=source))
    return volumes


def _claims(profile: Profile, machine: Machine) -> dict[str, tuple[str, str]]:
    """Volume -> claim and where it is mounted, for those that the machine mounts and the profile names."""
    known = {
        "checkpoints": (machine.checkpoints, profile.checkpoint_claim, CHECKPOINTS),
        "sources": (machine.sources, profile.source_claim, SOURCES),
    }
    return {name: (claim, path) for name, (wanted, claim, path) in known.items() if wanted and claim}


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
