"""The check, before submission, that the Ray clusters of a profile have enough GPUs or cores for a recipe."""

from components.errors import ConfigError
from infra.cluster.machines import RayMachines, machines
from infra.cluster.profiles import Profile
from workflows.recipe import Recipe
from workflows.steps.stages import STAGES, last_stage


def require_room(recipe: Recipe, profile: Profile, until: str = "") -> None:
    """Raise `ConfigError` if a training in a stage up to `until` has more workers than a Ray cluster of the profile has room for.

    Each training worker takes one GPU, or without GPUs one core; elastic training runs start with their `min_workers`.
    """
    if lacking := shortage(recipe, profile, until):
        raise ConfigError(
            f"{lacking}; decrease training.workers of that stage, or increase workers or {_raised(profile)} in the profile"
        )


def shortage(recipe: Recipe, profile: Profile, until: str = "") -> str:
    """The first training that does not fit into a Ray cluster of the profile, in words; empty if all fit."""
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
            return f"recipe {recipe.name} runs {stage} on {needed} workers, and {there}"
    return ""


def _raised(profile: Profile) -> str:
    return "gpus_per_worker" if profile.gpus else "sizes.train.cores"
