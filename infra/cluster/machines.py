"""The kinds of pods that steps run in, and the resources that they request.

Flyte's environments are built from these. They are separate so that `doctor` can use them without serialising tasks.
"""

from dataclasses import dataclass, replace

from infra.cluster.profiles import Profile
from infra.cluster.sizes import SIZES, Size, cores, in_bytes

_WHOLE = "evaluate"
"""Image of every step that reads the text of this Python environment, a corpus of the built-in recipes: the driver fingerprints
it, shard work and `conversations` read it. All must see the same packages, and `evaluate` is the image with every runtime
lock."""


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
    """Priority class of the chart: `training` is scheduled before `evaluation`."""
    checkpoints: bool = False
    """Whether it mounts the checkpoint claim."""
    sources: bool = False
    """Whether it mounts the source claim, read-only."""
    spread: bool = False
    """Whether pods of the environment are spread over nodes where possible."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RayMachines:
    """The pods of one step's Ray cluster."""

    head: Machine
    """Runs the step's entry point; without workers it also does the work."""
    worker: Machine | None
    """Kind of the worker pods; None: the head is the only pod."""
    workers: int
    """Number of worker pods."""

    @property
    def works(self) -> bool:
        """Whether the head runs Ray tasks itself, because there are no workers."""
        return not self.workers

    @property
    def threads(self) -> int:
        """CPUs that Ray can schedule work on, in all pods together."""
        return self.head.size.threads if self.worker is None else self.workers * self.worker.size.threads

    @property
    def gpus(self) -> int:
        """GPUs that Ray can schedule work on, in all pods together."""
        return self.head.gpus if self.worker is None else self.workers * self.worker.gpus


def machines(profile: Profile | None) -> dict[str, Machine | RayMachines]:
    """The pods of each environment, by its name; without a profile: size `default` and single pods."""
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
    """The kind of pod that does the work of a Ray cluster."""
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
    """The resources that pods of one kind request."""

    pod: str
    """A kind of `infra.cluster.sizes.PODS`."""
    count: int
    """Number of these pods."""
    cores: float
    """CPU cores of each pod."""
    memory: int
    """Bytes of memory of each pod."""
    gpus: int
    """GPUs of each pod."""

    def fits(self, cores: float, memory: int, gpus: int) -> bool:
        """Whether a node with so many cores, bytes of memory and GPUs for pods has room for one of these."""
        return self.cores <= cores and self.memory <= memory and self.gpus <= gpus

    def __str__(self) -> str:
        return f"requests {self.cores:g} cores, {self.memory / 2**30:.1f} GiB" + (f", {self.gpus} GPUs" if self.gpus else "")


def requests(profile: Profile) -> dict[str, tuple[PodRequest, ...]]:
    """The pods that exist at the same time while a step runs, by its environment: the driver's and the step's own.

    There is no submitter pod: KubeRay submits steps to their Ray clusters over HTTP (charts/values/flyte.yaml).
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
