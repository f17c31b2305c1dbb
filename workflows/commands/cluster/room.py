"""Whether the Ray clusters of a profile have room for what a recipe asks of them."""

from components.errors import ConfigError
from infra.cluster.machines import RayMachines, machines
from infra.cluster.profiles import Profile
from workflows.recipe import Recipe
from workflows.steps.stages import STAGES, last_stage


def require_room(recipe: Recipe, profile: Profile, until: str = "") -> None:
    """Raise `ConfigError` for a training in a stage up to `until` that has more workers than a Ray cluster has room for.

    Each training worker takes a GPU, or without GPUs at least one processor; elastic trainings start with their `min_workers`.
    """
    if lacking := shortage(recipe, profile, until):
        raise ConfigError(f"{lacking}; lower it, or raise the profile's workers or what {_raised(profile)} says")


def shortage(recipe: Recipe, profile: Profile, until: str = "") -> str:
    """What a recipe asks for that the profile's Ray clusters do not have; empty: there is room."""
    stages = list(STAGES)
    last = stages.index(last_stage(until)) if until else len(stages)
    cluster = machines(profile)["train"]
    has = (cluster.gpus or cluster.threads) if isinstance(cluster, RayMachines) else 0
    what = "GPUs" if profile.gpus else "cores"
    trainings = {"pretraining": recipe.pretraining.training, "sft": recipe.sft.training, "dpo": recipe.dpo.training}
    for stage, training in trainings.items():
        needed = training.min_workers or training.workers
        if needed > has and stages.index(stage) <= last:
            there = f"a Ray cluster of the profile has {has} {what} for them"
            return f"recipe {recipe.name} trains {stage} on {needed} workers, and {there}"
    return ""


def _raised(profile: Profile) -> str:
    return "gpus_per_worker" if profile.gpus else "sizes.train.cores"
