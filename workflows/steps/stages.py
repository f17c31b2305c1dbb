"""Names the stages and their steps, as the command line uses them."""

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
"""Stage -> its steps, both in order. The name `alignment` stands for sft and dpo together."""


ENDS = ("conversations", "preference_pairs")
"""Steps after whose check a run can end, although their stage continues."""


def last_stage(name: str) -> str:
    """The last stage of which `--until name` runs something. Raises `ConfigError` for an unknown stage or step."""
    if name in STAGES:
        return name
    last = steps_of(name)[-1]
    return next(stage for stage, steps in STAGES.items() if last in steps)


def last_end(name: str) -> str:
    """Where `--until name` ends the run: one of `ENDS`, or the end of a stage. Raises `ConfigError` for an unknown name."""
    stage, step = last_stage(name), name.removeprefix("check_")
    return step if step in ENDS else stage


def stage_of(step: str) -> str:
    """The stage of a step; the step itself if it belongs to no stage, as in sweeps."""
    return next((stage for stage, steps in STAGES.items() if step in steps), step)


def steps_of(name: str) -> tuple[str, ...]:
    """The steps that `--fresh name` executes again: those of a stage, or one step. Raises `ConfigError` for an unknown name."""
    if name == "alignment":
        return (*STAGES["sft"], *STAGES["dpo"])
    if name in STAGES:
        return STAGES[name]
    steps = [step for group in STAGES.values() for step in group]
    if name not in steps:
        raise ConfigError(unknown("stage or step", name, [*STAGES, "alignment", *(s for s in steps if s not in STAGES)]))
    return (name,)
