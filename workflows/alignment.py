"""The stages sft and dpo: steps for conversations, SFT, preference pairs and DPO, and their checks."""

from typing import Annotated

from components.alignment.config import ConversationsConfig, DPOConfig, PreferencePairsConfig, SFTConfig
from components.artifacts import Checkpoint, Conversations, Corpus, GroupSplits, PreferencePairs
from components.checks.limits import ConversationsLimits, DPOLimits, PreferencePairsLimits, SFTLimits
from components.model.configuration import MODEL
from infra.flyte import environments
from workflows.steps.checks import check
from workflows.steps.inputs import Component, only
from workflows.steps.step import step

TABLES = only("metrics/*")
"""The files that the checks of these stages read."""


def source_facts(config: ConversationsConfig | PreferencePairsConfig) -> dict[str, str]:
    """A fingerprint of the user's files and of the installed packages that are read."""
    from components.alignment.sources import fingerprint

    return {"sources": fingerprint(config)}


@step(environments.cpu, Conversations, facts=source_facts)
def conversations(config: ConversationsConfig, corpus: Annotated[Corpus, only(GroupSplits.NAME)]) -> Component:
    """Collect conversations, each in the split of the corpus to which its group belongs."""
    from components.alignment.conversations import make_conversations

    return make_conversations


check_conversations = check("components.checks.conversations", ConversationsLimits, Annotated[Conversations, TABLES])


@step(environments.train, Checkpoint)
def sft(
    config: SFTConfig,
    conversations: Annotated[Conversations, only("*.jsonl")],
    checkpoint: Annotated[Checkpoint, only(*MODEL)],
) -> Component:
    """Fine-tune the base model on the conversations."""
    from components.alignment.sft import fine_tune

    return fine_tune


check_sft = check("components.checks.training", SFTLimits, Annotated[Checkpoint, TABLES], name="check_sft")


@step(environments.evaluate, PreferencePairs, facts=source_facts)
def preference_pairs(
    config: PreferencePairsConfig,
    conversations: Annotated[Conversations, only("*.jsonl")],
    checkpoint: Annotated[Checkpoint, only(*MODEL)],
) -> Component:
    """Make preference pairs: authors' answers against the SFT model's own, and right answers against answers of others."""
    from components.alignment.preference_pairs import make_preference_pairs

    return make_preference_pairs


check_preference_pairs = check("components.checks.preference_pairs", PreferencePairsLimits, Annotated[PreferencePairs, TABLES])


@step(environments.train, Checkpoint)
def dpo(
    config: DPOConfig, pairs: Annotated[PreferencePairs, only("*.jsonl")], checkpoint: Annotated[Checkpoint, only(*MODEL)]
) -> Component:
    """Train the SFT model on preference pairs, with a frozen copy of itself as the reference."""
    from components.alignment.dpo import optimise_preferences

    return optimise_preferences


check_dpo = check("components.checks.training", DPOLimits, Annotated[Checkpoint, TABLES], name="check_dpo")
