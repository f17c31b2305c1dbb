"""The stages by name, and the steps that each is made of: the words of the command line."""

from components.errors import ConfigError, unknown

STAGES: dict[str, tuple[str, ...]] = {
    "curation": ("curation", "check_corpus"),
    "tokenizer": ("start", "tokenizer", "token_shards", "check_token_shards"),
    "scaling": ("scaling", "check_plan"),
    "pretraining": ("pretraining", "check_pretraining", "verdict"),
    "sft": ("conversations", "check_conversations", "sft", "check_sft"),
    "dpo": ("preference_pairs", "check_preference_pairs", "dpo", "check_dpo"),
    "evaluation": ("evaluation", "check_evaluation"),
    "registration": ("registration",),
}
"""Stages in order, with their steps in order. `alignment` means sft and dpo together."""


def last_stage(name: str) -> str:
    """The stage that `--until name` ends with. Raises `ConfigError` for an unknown one."""
    if name == "alignment":
        return "dpo"
    if name not in STAGES:
        raise ConfigError(unknown("stage", name, [*STAGES, "alignment"]))
    return name


def steps_of(name: str) -> tuple[str, ...]:
    """The steps that `--fresh name` makes again: those of a stage, or one step. Raises `ConfigError` for neither."""
    if name == "alignment":
        return (*STAGES["sft"], *STAGES["dpo"])
    if name in STAGES:
        return STAGES[name]
    steps = [step for group in STAGES.values() for step in group]
    if name not in steps:
        raise ConfigError(unknown("stage or step", name, [*STAGES, "alignment", *(s for s in steps if s not in STAGES)]))
    return (name,)
