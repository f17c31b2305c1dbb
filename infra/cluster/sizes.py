"""What pods ask for: named sizes, and how a profile changes them pod by pod.

A request is what a node must have free before a pod starts there; a limit is what the pod may take. `default` and `gpu` request
what they may take, so that no pod is pushed out for using its own; `trial` requests what a small recipe really uses, because its
services, the driver and a step share one node.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from components.errors import ConfigError, require

PODS = ("driver", "cpu", "data", "train", "evaluate", "data-head", "train-head")
"""Kinds of pods: those that work, by environment, and the heads of Ray clusters that have pods of workers beside them."""

_CORES = re.compile(r"\d+(\.\d{1,3})?|\d+m")
_BYTES = re.compile(r"(\d+)(Ki|Mi|Gi|Ti)")
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What one pod may take, and what it asks for."""

    cores: str
    """Processors it may take, such as 4 or 500m; Ray and the libraries in it use as many threads."""
    memory: str
    """Memory it may take, such as 16Gi."""
    shared_memory: str = ""
    """Size of /dev/shm, within `memory`, for Ray's object store and NCCL; empty: the container runtime's 64 MiB."""
    request_cores: str = ""
    """Processors that its node must have free; empty: `cores`."""
    request_memory: str = ""
    """Memory that its node must have free; empty: `memory`."""

    def __post_init__(self) -> None:
        for name in ("cores", "request_cores"):
            value = getattr(self, name)
            require(bool(_CORES.fullmatch(value)) or (not value and name != "cores"), self, name, value, "such as 4, 0.5 or 500m")
        for name in ("memory", "shared_memory", "request_memory"):
            value = getattr(self, name)
            require(bool(_BYTES.fullmatch(value)) or (not value and name != "memory"), self, name, value, "such as 512Mi or 16Gi")
        require(cores(self.cores) > 0, self, "cores", self.cores, "more than 0")
        asked = cores(self.request_cores or self.cores)
        require(asked <= cores(self.cores), self, "request_cores", self.request_cores, f"cores {self.cores} or less")
        wanted = in_bytes(self.request_memory or self.memory)
        require(wanted <= in_bytes(self.memory), self, "request_memory", self.request_memory, f"memory {self.memory} or less")
        shared = in_bytes(self.shared_memory or "0Ki")
        require(
            2 * shared <= in_bytes(self.memory),
            self,
            "shared_memory",
            self.shared_memory,
            f"half of memory {self.memory} or less",
        )

    @property
    def requests(self) -> dict[str, str]:
        """As Kubernetes names them."""
        return {"cpu": self.request_cores or self.cores, "memory": self.request_memory or self.memory}

    @property
    def limits(self) -> dict[str, str]:
        """As Kubernetes names them."""
        return {"cpu": self.cores, "memory": self.memory}

    @property
    def threads(self) -> int:
        """Whole processors: how many tasks of Ray, or threads, work in the pod at once."""
        return max(1, int(cores(self.cores)))


def cores(text: str) -> float:
    """Processors of a quantity of Kubernetes, such as 4 or 500m."""
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


def in_bytes(text: str) -> int:
    """Bytes of a quantity of Kubernetes, such as 512Mi, or of a plain number. Raises `ConfigError` for what is none."""
    if text.isdigit():
        return int(text)
    matched = _BYTES.fullmatch(text)
    if matched is None:
        raise ConfigError(f"{text!r} is no amount of memory; allowed: such as 512Mi or 16Gi")
    return int(matched[1]) * _UNITS[matched[2]]


SIZES: dict[str, dict[str, Size]] = {
    # A node of 2 cores and 8 GiB, beside Kubernetes itself (0.95 cores on kind) and the services of the trial. `smoke` takes
    # 3.2 GB on one machine, with Ray, driver and MLflow's client.
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
    # Of an eight-GPU node's usual 96 cores and 1 TiB and more, 10 cores and 100 GiB a GPU leave room for the node's own: `train`
    # is for one GPU, and grows with the profile's gpus_per_worker.
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
"""Named sizes: what each kind of pod asks for."""


def size_of(name: str, pod: str, changes: Mapping[str, Mapping[str, str]], gpus: int) -> Size:
    """The size of a kind of pod that has `gpus` GPUs, in the named size, with the profile's own `changes`.

    Raises:
        ConfigError: the changes make no size, or name no kind of pod or no field of a size.
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
