"""Every pod of every task, as Flyte and KubeRay make it at the size of a trial."""

import functools

from tests.charts import helm
from tests.fake_cluster import admission
from tests.infra.conftest import sample_profile
from tests.infra.flyte.test_environments import serialised


@functools.cache
def task_pods() -> dict[str, list[helm.Document]]:
    """By environment and task; a Ray cluster is one pod. Serialised once in a process, which takes seconds."""
    profile = sample_profile(size="trial", gpus=(), workers=0, checkpoint_claim="")
    return {name: admission.pods(task) for name, task in serialised(profile)["tasks"].items()}
