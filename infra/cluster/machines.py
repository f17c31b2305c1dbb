"""The machines of a cluster: what kinds of pods the steps run in, and what they ask a cluster for.

Kept apart from Flyte's environments, which are made of them, so that `doctor` can ask without serialising anything.
"""

from dataclasses import dataclass, replace

from infra.cluster.profiles import Profile
from infra.cluster.sizes import SIZES, Size, cores, in_bytes

_WHOLE = "evaluate"
"""What reads the text of this Python environment, a corpus of the recipes that come with longrun, must find all of it: the driver
takes its fingerprint, shard work and `conversations` read it. `evaluate` is the image that holds every runtime lock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """One kind of pod."""

    environment: str
    """Name of the environment, for labels."""
    image: str
    """Dependency group whose image it runs."""
    size: Size
    gpus: int = 0
    priority: str = "training"
    """Priority class of the chart: training stands before evaluation where both wait for the same nodes."""
    checkpoints: bool = False
    """Whether it mounts the checkpoint claim."""
    sources: bool = False
    """Whether it mounts the source claim, to read."""
    spread: bool = False
    """Whether pods of the environment go to different nodes where they can."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RayMachines:
    """The pods of one step's Ray cluster."""

    head: Machine
    """It starts the step, and does its work where there are no workers."""
    worker: Machine | None
    workers: int
    """Pods of `worker`."""

    @property
    def works(self) -> bool:
        """Whether the head takes work."""
        return not self.workers

    @property
    def threads(self) -> int:
        """Processors that Ray gives to work, in all pods together."""
        return self.head.size.threads if self.worker is None else self.workers * self.worker.size.threads

    @property
    def gpus(self) -> int:
        """GPUs that Ray gives to work, in all pods together."""
        return self.head.gpus if self.worker is None else self.workers * self.worker.gpus


def machines(profile: Profile | None) -> dict[str, Machine | RayMachines]:
    """What each environment runs in, by its name; without a profile as in size `default`, each of one pod."""
    gpus = profile.gpus_per_worker if profile and profile.gpus else 0
    return {
        "driver": Machine(environment="driver", image=_WHOLE, size=_size(profile, "driver"), sources=True),
        "cpu": Machine(environment="cpu", image=_WHOLE, size=_size(profile, "cpu"), sources=True),
        "data": _ray_machines(profile, _working(profile, "data", _WHOLE, sources=True)),
        "train": _ray_machines(profile, _working(profile, "train", "train", gpus=gpus)),
        "evaluate": Machine(
            environment="evaluate",
            image="evaluate",
            size=_size(profile, "evaluate"),
            gpus=1 if gpus else 0,
            priority="evaluation",
            spread=True,
        ),
    }


def _size(profile: Profile | None, pod: str) -> Size:
    return profile.size_of(pod) if profile else SIZES["default"][pod]


def _working(profile: Profile | None, environment: str, image: str, *, gpus: int = 0, sources: bool = False) -> Machine:
    """The pod that does the work of a Ray cluster."""
    size = _size(profile, environment)
    return Machine(environment=environment, image=image, size=size, gpus=gpus, checkpoints=True, sources=sources, spread=True)


def _ray_machines(profile: Profile | None, working: Machine) -> RayMachines:
    workers = profile.workers if profile else 0
    if not workers:
        return RayMachines(head=working, worker=None, workers=0)
    size = _size(profile, f"{working.environment}-head")
    return RayMachines(head=replace(working, size=size, gpus=0, spread=False), worker=working, workers=workers)


@dataclass(frozen=True, kw_only=True, slots=True)
class PodRequest:
    """What pods of one kind ask a cluster's nodes for."""

    pod: str
    """A kind of `infra.cluster.sizes.PODS`."""
    count: int
    cores: float
    """Of each."""
    memory: int
    """Bytes of each."""
    gpus: int
    """Of each."""

    def fits(self, cores: float, memory: int, gpus: int) -> bool:
        """Whether a node that has so much for pods has room for one of these."""
        return self.cores <= cores and self.memory <= memory and self.gpus <= gpus

    def __str__(self) -> str:
        return f"asks for {self.cores:g} cores, {self.memory / 2**30:.1f} GiB" + (f", {self.gpus} GPUs" if self.gpus else "")


def requests(profile: Profile) -> dict[str, tuple[PodRequest, ...]]:
    """The pods that are there at the same time while a step of an environment runs: the driver's, and its own.

    None submits a step to its Ray cluster: KubeRay does so over HTTP (charts/values/flyte.yaml).
    """
    known = machines(profile)
    driver = _asked("driver", 1, known["driver"])
    return {name: (driver, *_requests(name, machine)) for name, machine in known.items() if name != "driver"}


def _requests(name: str, machine: Machine | RayMachines) -> tuple[PodRequest, ...]:
    if isinstance(machine, Machine):
        return (_asked(name, 1, machine),)
    if machine.worker is None:
        return (_asked(name, 1, machine.head),)
    return _asked(f"{name}-head", 1, machine.head), _asked(name, machine.workers, machine.worker)


def _asked(pod: str, count: int, machine: Machine | RayMachines) -> PodRequest:
    made = machine if isinstance(machine, Machine) else machine.head
    asked = made.size.requests
    return PodRequest(pod=pod, count=count, cores=cores(asked["cpu"]), memory=in_bytes(asked["memory"]), gpus=made.gpus)
