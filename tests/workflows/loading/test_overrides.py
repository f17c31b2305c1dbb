"""What `--set` reaches inside a recipe, and how it helps with a wrong name or value."""

import re
import shlex
from dataclasses import replace

import pytest

from components.curation.config import Source
from components.errors import ConfigError
from workflows.loading import apply_override, as_text, leaves
from workflows.recipe import BUILT_IN, Recipe, load_recipe

TINY = load_recipe("tiny")


def with_source(name: str) -> Recipe:
    """`tiny` with one more source, of that name."""
    source = Source(name=name, uri="texts.jsonl", domain="web", weight=1.0)
    return replace(TINY, curation=replace(TINY.curation, sources=(*TINY.curation.sources, source)))


def refusal(recipe: Recipe, override: str) -> str:
    """The message about an override that is wrong."""
    with pytest.raises(ConfigError) as caught:
        apply_override(recipe, override)
    return str(caught.value)


def example_in(message: str) -> str:
    """The override that a message ends with."""
    ending = re.search(r"such as --set (.*)$", message)
    assert ending, message
    (override,) = shlex.split(ending[1])
    return override


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_value_of_a_recipe_is_reached_by_its_path(name: str) -> None:
    recipe = load_recipe(name)
    for path, value in leaves(recipe):
        assert apply_override(recipe, f"{path}={as_text(value)}") == recipe, path


def test_a_wrong_value_of_any_field_is_answered_with_an_override_that_works() -> None:
    for path, value in leaves(TINY):
        if not isinstance(value, str):
            example = example_in(refusal(TINY, f'{path}=[["wrong"]]'))
            assert example.startswith(path)
            apply_override(TINY, example)


@pytest.mark.parametrize(
    "override",
    [
        "curation.sources=5",
        "curation.sources.0.weight=-1",
        "pretraining=5",
        "pretraining.training.optimizer.beta2=7",
        "evaluation.tasks=3",
        "conversations.sources.0=chats.jsonl",
        "tokenizer.start=directory",
        "checks.corpus.max_domain_share=much",
    ],
)
def test_a_value_that_a_list_a_section_or_a_config_refuses_is_answered_with_one_that_works(override: str) -> None:
    apply_override(TINY, example_in(refusal(TINY, override)))


@pytest.mark.parametrize("name", ["2024", "web-jsonl", "web.v1.2", "web"])
def test_an_element_of_a_list_is_reached_by_its_number_or_its_name_even_with_dots(name: str) -> None:
    recipe = with_source(name)
    for element in ("3", name):
        changed = apply_override(recipe, f"curation.sources.{element}.weight=3")
        assert [source.weight for source in changed.curation.sources] == [*(s.weight for s in TINY.curation.sources), 3.0]


def test_the_longest_name_that_fits_is_taken() -> None:
    recipe = with_source("code-python-environment.weight")
    changed = apply_override(recipe, "curation.sources.code-python-environment.weight.weight=3")
    assert changed.curation.sources[-1].weight == 3.0


def test_a_key_of_a_mapping_is_reached_whether_it_is_there_or_new_and_with_dots() -> None:
    field = "checks.corpus.max_duplicate_share_by_source"
    recipe = apply_override(with_source("web.v1"), f"{field}.web.v1 (web)=0.5")
    assert apply_override(recipe, f"{field}.web.v1 (web)=0.6").checks.corpus.max_duplicate_share_by_source == {
        "web.v1 (web)": 0.6
    }
    shares = apply_override(TINY, "curation.corpus.language_shares.code.en=1.0").curation.corpus.language_shares
    assert shares == {"code": {"en": 1.0}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("curation.sources.9.weight=3", "unknown element '9'.*allowed: 0, 1, 2, code-python-environment"),
        ("curation.sources.cod-python-environment.weight=3", "did you mean 'code-python-environment'"),
        ("curation.sources.0.wait=3", "unknown field 'wait'.*did you mean 'weight'"),
        ("curation.sources.0.weight.x=3", "weight is 0.6, which has no fields; set weight itself"),
        ("curation.sources.0.weight=much", "wrong type; allowed: a number; such as"),
        ("evaluation.tasks.0.values.x=1", "tasks is an empty list; set tasks itself, such as --set 'evaluation.tasks="),
        ("sft.learning_rte=1", r"did you mean 'learning_rate'\?"),
        ("learning_rate=1", r"did you mean pretraining\.learning_rate or sft\.learning_rate or dpo\.learning_rate\?"),
        ("sft.clip=1", r"did you mean sft\.training\.optimizer\.clip\?"),
        ("pretraining", "not of the form section.field=value, such as pretraining.learning_rate=0.001"),
    ],
)
def test_what_an_override_cannot_reach_is_said_with_what_was_probably_meant(override: str, message: str) -> None:
    assert re.search(message, refusal(TINY, override))


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ('curation.sources=[{"uri": "a.jsonl", "domain": "web", "weight": 1, "text_feild": "body"}]', "text_field"),
        ('sft={"epoch": 3}', "epochs"),
        ('pretraining.training={"optimizer": {"bta1": 0.9}}', "beta1"),
    ],
)
def test_a_misspelt_field_inside_a_json_value_is_refused_with_the_right_name(override: str, field: str) -> None:
    assert f"did you mean '{field}'?" in refusal(TINY, override)


@pytest.mark.parametrize("stage", ["pretraining", "sft", "dpo"])
def test_set_reaches_how_each_stage_trains_and_leaves_the_others_as_they_are(stage: str) -> None:
    overrides = [f"{stage}.training.optimizer.clip=0.5", f"{stage}.training.checkpoints.seconds=null"]
    changed = load_recipe("tiny", overrides)
    training = getattr(changed, stage).training
    assert (training.optimizer.clip, training.checkpoints.seconds) == (0.5, None)
    assert training.schedule == getattr(TINY, stage).training.schedule
    assert {name for name in ("pretraining", "sft", "dpo") if getattr(changed, name) != getattr(TINY, name)} == {stage}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pretraining.optimizer.clip=1", r"renamed to pretraining\.training\.optimizer\.clip"),
        ("pretraining.checkpoint_seconds=9", r"renamed to pretraining\.training\.checkpoints\.seconds"),
        (
            "sft.training.layout.zero_stage=3",
            r"SFTConfig\.training\.layout\.zero_stage is 3; allowed: 1: in SFT and DPO each worker holds",
        ),
        ("dpo.training.checkpoints.permanent=[0.5]", r"DPOConfig\.training\.checkpoints\.permanent is \(0\.5,\); allowed: \(\)"),
    ],
)
def test_how_a_stage_does_not_train_is_refused(override: str, message: str) -> None:
    assert re.search(message, refusal(TINY, override))
