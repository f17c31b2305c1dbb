"""Alignment: conversations and SFT, preference pairs and DPO, and their checks."""

from components.alignment.config import ConversationsConfig, DPOConfig, PreferencePairsConfig, SFTConfig
from components.artifacts import Checkpoint, Conversations, Corpus, PreferencePairs
from components.checks.limits import ConversationsLimits, PreferencePairsLimits, TrainingLimits
from infra.flyte import environments
from workflows.steps.checks import check
from workflows.steps.inputs import Component
from workflows.steps.step import step


def source_facts(config: ConversationsConfig | PreferencePairsConfig) -> dict[str, str]:
    """A fingerprint of the user's files and of the distributions."""
    from components.alignment.sources import fingerprint

    return {"sources": fingerprint(config)}


@step(environments.cpu, Conversations, facts=source_facts)
def conversations(config: ConversationsConfig, corpus: Corpus) -> Component:
    """Gather conversations, each in the split of the corpus that its group is in."""
    from components.alignment.conversations import make_conversations

    return make_conversations


check_conversations = check("components.checks.conversations", ConversationsLimits, Conversations)


@step(environments.train, Checkpoint)
def sft(config: SFTConfig, conversations: Conversations, checkpoint: Checkpoint) -> Component:
    """Fine-tune the base model on the conversations."""
    from components.alignment.sft import fine_tune

    return fine_tune


check_sft = check("components.checks.training", TrainingLimits, Checkpoint, name="check_sft")


@step(environments.evaluate, PreferencePairs, facts=source_facts)
def preference_pairs(config: PreferencePairsConfig, conversations: Conversations, checkpoint: Checkpoint) -> Component:
    """Pair the authors' answers with the SFT model's own, and right answers with others' answers."""
    from components.alignment.preference_pairs import make_preference_pairs

    return make_preference_pairs


check_preference_pairs = check("components.checks.preference_pairs", PreferencePairsLimits, PreferencePairs)


@step(environments.train, Checkpoint)
def dpo(config: DPOConfig, pairs: PreferencePairs, checkpoint: Checkpoint) -> Component:
    """Optimise the SFT model's preferences against its frozen self."""
    from components.alignment.dpo import optimise_preferences

    return optimise_preferences


check_dpo = check("components.checks.training", TrainingLimits, Checkpoint, name="check_dpo")
