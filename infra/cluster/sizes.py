"""Defines the resources of pods: named sizes, and a profile's changes to them for each kind of pod.

A request is what a node must have free for a pod to start there; a limit is what the pod may use. In `default` and `gpu` both are
equal, so that no pod is evicted for using its resources. In `trial` requests are what a small recipe really uses, because
services, driver and a step share one node.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from components.errors import ConfigError, require

PODS = ("driver", "cpu", "data", "train", "evaluate", "data-head", "train-head")
"""Kinds of pods: those that do the work, by environment, and the heads of Ray clusters that have worker pods."""

_CORES = re.compile(r"\d+(\.\d{1,3})?|\d+m")
_BYTES = re.compile(r"(\d+)(Ki|Mi|Gi|Ti)")
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """The resource limits and requests of one pod."""

    cores: str
    """CPU limit, such as 4 or 500m; Ray and the libraries in the pod use as many threads."""
    memory: str
    """Memory limit, such as 16Gi."""
    shared_memory: str = ""
    """Size of /dev/shm for Ray's object store and NCCL, counted in `memory`; empty: the container runtime's default of 64 MiB."""
    request_cores: str = ""
    """CPU request: cores that the node must have free; empty: `cores`."""
    request_memory: str = ""
    """Memory request: memory that the node must have free; empty: `memory`."""

    def __post_init__(self) -> None:
        for name in ("cores", "request_cores"):
            value = getattr(self, name)
            require(bool(_CORES.fullmatch(value)) or (not value and name != "cores"), self, name, value, "such as 4, 0.5 or 500m")
        for name in ("memory", "shared_memory", "request_memory"):
            value = getattr(self, name)
            require(bool(_BYTES.fullmatch(value)) or (not value and name != "memory"), self, name, value, "such as 512Mi or 16Gi")
        require(cores(self.cores) > 0, self, "cores", self.cores, "more than 0")
        asked = cores(self.request_cores or self.cores)
        require(asked <= cores(self.cores), self, "request_cores", self.request_cores, f"at most cores ({self.cores})")
        wanted = in_bytes(self.request_memory or self.memory)
        require(wanted <= in_bytes(self.memory), self, "request_memory", self.request_memory, f"at most memory ({self.memory})")
        shared = in_bytes(self.shared_memory or "0Ki")
        require(
            2 * shared <= in_bytes(self.memory),
            self,
            "shared_memory",
            self.shared_memory,
            f"at most half of memory ({self.memory})",
        )

    @property
    def requests(self) -> dict[str, str]:
        """Resource requests of a container, by Kubernetes' names."""
        return {"cpu": self.request_cores or self.cores, "memory": self.request_memory or self.memory}

    @property
    def limits(self) -> dict[str, str]:
        """Resource limits of a container, by Kubernetes' names."""
        return {"cpu": self.cores, "memory": self.memory}

    @property
    def threads(self) -> int:
        """Whole cores, at least 1: how many Ray tasks or threads work in the pod at once."""
        return max(1, int(cores(self.cores)))


def cores(text: str) -> float:
    """Number of cores of a Kubernetes quantity, such as 4 or 500m."""
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


def in_bytes(text: str) -> int:
    """Bytes of a Kubernetes quantity, such as 512Mi or a plain number. Raises `ConfigError` for anything else."""
    if text.isdigit():
        return int(text)
    matched = _BYTES.fullmatch(text)
    if matched is None:
        raise ConfigError(f"{text!r} is not an amount of memory; allowed: such as 512Mi or 16Gi")
    return int(matched[1]) * _UNITS[matched[2]]


SIZES: dict[str, dict[str, Size]] = {
    # Fits a node of 2 cores and 8 GiB together with Kubernetes itself (0.95 cores on kind) and the services of the trial.
    # `smoke` uses 3.2 GB on one machine, including Ray, the driver and MLflow's client.
    "trial": {
        "driver": Size(cores="1", memory="2Gi", request_cores="50m", request_memory="512Mi"),
        "cpu": Size(cores="2", memory="3Gi", request_cores="100m", request_memory="1Gi"),
        "data": Size(cores="2", memory="5Gi", shared_memory="512Mi", request_cores="100m", request_memory="2560Mi"),
        "train": Size(cores="2", memory="5Gi", shared_memory="512Mi", request_cores="100m", request_memory="2560Mi"),
        "evaluate": Size(cores="2", memory="4Gi", request_cores="100m", request_memory="2Gi"),
        "data-head": Size(cores="1", memory="3Gi", shared_memory="512Mi", request_cores="100m", request_memory="1536Mi"),
        "train-head": Size(cores="1", memory="3Gi", shared_memory="512Mi", request_cores="100m", request_memory="1536Mi"),
    },
    "default": {
        "driver": Size(cores="1", memory="2Gi"),
        "cpu": Size(cores="2", memory="8Gi"),
        "data": Size(cores="4", memory="16Gi", shared_memory="5Gi"),
        "train": Size(cores="4", memory="16Gi", shared_memory="5Gi"),
        "evaluate": Size(cores="4", memory="16Gi", shared_memory="5Gi"),
        "data-head": Size(cores="2", memory="8Gi", shared_memory="2Gi"),
        "train-head": Size(cores="2", memory="8Gi", shared_memory="2Gi"),
    },
    # A node with eight GPUs usually has at least 96 cores and 1 TiB; 10 cores and 100 GiB per GPU leave some for the node itself.
    # `train` is for one GPU; `size_of` multiplies it by the profile's gpus_per_worker.
    "gpu": {
        "driver": Size(cores="1", memory="2Gi"),
        "cpu": Size(cores="2", memory="8Gi"),
        "data": Size(cores="16", memory="64Gi", shared_memory="20Gi"),
        "train": Size(cores="10", memory="100Gi", shared_memory="30Gi"),
        "evaluate": Size(cores="4", memory="16Gi", shared_memory="5Gi"),
        "data-head": Size(cores="4", memory="16Gi", shared_memory="5Gi"),
        "train-head": Size(cores="4", memory="16Gi", shared_memory="5Gi"),
    },
}
"""Name of a size -> kind of pod -> its resources."""


def size_of(name: str, pod: str, changes: Mapping[str, Mapping[str, str]], gpus: int) -> Size:
    """The resources of a kind of pod with `gpus` GPUs in the size `name`, with the profile's own `changes`.

    Raises:
        ConfigError: a change names an unknown field, or the changed size is invalid.
    """
    named = SIZES[name][pod]
    values = {field.name: str(getattr(named, field.name)) for field in fields(Size)}
    if name == "gpu" and pod == "train":
        values |= {"cores": str(10 * gpus), "memory": f"{100 * gpus}Gi", "shared_memory": f"{30 * gpus}Gi"}
    own = changes.get(pod, {})
    if unknown := sorted(set(own) - set(values)):
        raise ConfigError(f"sizes.{pod}: unknown key {unknown[0]!r}; allowed: {', '.join(values)}")
    try:
        return Size(**{**values, **own})
    except ConfigError as error:
        raise ConfigError(f"sizes.{pod}: {error}") from error
