"""Alignment: conversations and SFT, preference pairs and DPO, and their checks."""

from components.alignment.config import ConversationsConfig, DPOConfig, PreferencePairsConfig, SFTConfig
from components.artifacts import Check, Checkpoint, Conversations, Corpus, PreferencePairs
from components.checks.limits import ConversationsLimits, PreferencePairsLimits, TrainingLimits
from infra.flyte import environments
from workflows.steps.step import Order, Run, make, obtain


async def obtain_conversations(run: Run, config: ConversationsConfig, corpus: Corpus) -> Conversations:
    """The conversations of a config, made again where a file of the user or a distribution has changed."""
    made: Conversations = await obtain(run, conversations, config, facts=_source_facts(config), corpus=corpus)
    return made


async def obtain_preference_pairs(
    run: Run, config: PreferencePairsConfig, conversations: Conversations, checkpoint: Checkpoint
) -> PreferencePairs:
    """The preference pairs of a config, made again where a file of the user has changed."""
    facts = _source_facts(config)
    pairs: PreferencePairs = await obtain(
        run, preference_pairs, config, facts=facts, conversations=conversations, checkpoint=checkpoint
    )
    return pairs


def _source_facts(config: ConversationsConfig | PreferencePairsConfig) -> dict[str, str]:
    from components.alignment.sources import fingerprint

    return {"sources": fingerprint(config)}


@environments.cpu.task
async def conversations(order: Order, config: ConversationsConfig, corpus: Corpus) -> Conversations:
    """Gather conversations, each in the split of the corpus that its group is in."""
    from components.alignment.conversations import make_conversations

    return make(
        order,
        Conversations,
        config,
        lambda work: make_conversations(config, corpus=work.local(corpus), output=work.output),
        corpus=corpus,
    )


@environments.cpu.task
async def check_conversations(order: Order, limits: ConversationsLimits, conversations: Conversations) -> Check:
    """Check the conversations by their metrics table."""
    from components.checks.conversations import check

    return make(
        order,
        Check,
        limits,
        lambda work: work.report(check(limits, artifact=work.local(conversations), output=work.output)),
        conversations=conversations,
    )


@environments.train.task
async def sft(order: Order, config: SFTConfig, conversations: Conversations, checkpoint: Checkpoint) -> Checkpoint:
    """Fine-tune the base model on the conversations."""
    from components.alignment.sft import fine_tune

    return make(
        order,
        Checkpoint,
        config,
        lambda work: fine_tune(
            config,
            conversations=work.local(conversations),
            checkpoint=work.local(checkpoint),
            output=work.output,
            scratch=work.scratch,
            launcher=work.launcher,
            metrics=work,
            uploads=work.remote_scratch,
        ),
        conversations=conversations,
        checkpoint=checkpoint,
    )


@environments.evaluate.task
async def preference_pairs(
    order: Order, config: PreferencePairsConfig, conversations: Conversations, checkpoint: Checkpoint
) -> PreferencePairs:
    """Pair the authors' answers with the SFT model's own, and right answers with others' answers."""
    from components.alignment.preference_pairs import make_preference_pairs

    return make(
        order,
        PreferencePairs,
        config,
        lambda work: make_preference_pairs(
            config,
            conversations=work.local(conversations),
            checkpoint=work.local(checkpoint),
            output=work.output,
            metrics=work,
        ),
        conversations=conversations,
        checkpoint=checkpoint,
    )


@environments.cpu.task
async def check_preference_pairs(order: Order, limits: PreferencePairsLimits, pairs: PreferencePairs) -> Check:
    """Check the pairs by their metrics table."""
    from components.checks.preference_pairs import check

    return make(
        order,
        Check,
        limits,
        lambda work: work.report(check(limits, artifact=work.local(pairs), output=work.output)),
        pairs=pairs,
    )


@environments.train.task
async def dpo(order: Order, config: DPOConfig, pairs: PreferencePairs, checkpoint: Checkpoint) -> Checkpoint:
    """Optimise the SFT model's preferences against its frozen self."""
    from components.alignment.dpo import optimise_preferences

    return make(
        order,
        Checkpoint,
        config,
        lambda work: optimise_preferences(
            config,
            pairs=work.local(pairs),
            checkpoint=work.local(checkpoint),
            output=work.output,
            scratch=work.scratch,
            launcher=work.launcher,
            metrics=work,
            uploads=work.remote_scratch,
        ),
        pairs=pairs,
        checkpoint=checkpoint,
    )


@environments.cpu.task
async def check_tuning(order: Order, limits: TrainingLimits, checkpoint: Checkpoint) -> Check:
    """Check that training stayed finite and fell."""
    from components.checks.training import check

    return make(
        order,
        Check,
        limits,
        lambda work: work.report(check(limits, artifact=work.local(checkpoint), output=work.output)),
        checkpoint=checkpoint,
    )
