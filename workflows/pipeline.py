"""The whole chain, from a corpus to a registered model."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.artifacts import Artifact, Checkpoint, ModelShape
from components.curation.config import CurationConfig
from components.scaling.config import Choices, FitConfig
from components.scaling.laws.files import law_fingerprint
from infra.flyte import environments
from workflows.alignment import (
    check_conversations,
    check_preference_pairs,
    check_tuning,
    conversations,
    dpo,
    preference_pairs,
    sft,
)
from workflows.curation import check_corpus, curation
from workflows.evaluation import check_evaluation, evaluation
from workflows.pretraining import Start, check_pretraining, pretraining, start
from workflows.recipe import Recipe
from workflows.registration import enter_registry, registration
from workflows.scaling import PlanRequest, check_plan, scaling, verdict
from workflows.steps.branching import require_same_data
from workflows.steps.step import Run, checked, obtain
from workflows.tokenizer import check_token_shards, token_shards, tokenizer


@environments.driver.task
async def pipeline(recipe: Recipe, run: Run) -> Artifact:
    """Run the stages of a recipe in order, up to `run.until`; the last stage's artifact."""
    return await last_artifact(recipe, run)


async def last_artifact(recipe: Recipe, run: Run) -> Artifact:
    """The artifact of the last stage of `chain`, or of `run.until`."""
    async for stage, artifact in chain(recipe, run):
        last = artifact.as_(Artifact)
        if stage == run.until:
            break
    return last


async def chain(recipe: Recipe, run: Run) -> AsyncIterator[tuple[str, Artifact]]:
    """Each stage with its artifact, as soon as its checks have passed."""
    limits, checks = recipe.checks, {}

    corpus = await obtain(run, curation, recipe.curation, facts={"sources": _fingerprint(recipe.curation)})
    checks["corpus"] = await checked(run, check_corpus, limits.corpus, corpus=corpus)
    yield "curation", corpus

    origin = await _origin(run, recipe.pretraining.start)
    words = await obtain(run, tokenizer, recipe.tokenizer, corpus=corpus, start=origin)
    tokens = await obtain(run, token_shards, recipe.token_shards, corpus=corpus, tokenizer=words)
    checks["token_shards"] = await checked(run, check_token_shards, limits.token_shards, token_shards=tokens, tokenizer=words)
    yield "tokenizer", tokens

    request = PlanRequest(scaling=recipe.scaling, choices=_choices(recipe, run, origin))
    facts = {"law": law_fingerprint(recipe.scaling.law)}
    plan = await obtain(run, scaling, request, facts=facts, tokenizer=words, token_shards=tokens)
    checks["plan"] = await checked(run, check_plan, limits.plan, plan=plan)
    yield "scaling", plan

    require_same_data(run, token_shards=tokens, tokenizer=words)
    learned = {"plan": plan, "token_shards": tokens, "tokenizer": words}
    base = await obtain(run, pretraining, recipe.pretraining, **learned, trunk=run.trunk, start=origin)
    checks["pretraining"] = await checked(run, check_pretraining, limits.training, checkpoint=base, token_shards=tokens)
    verdicts = {}
    if "prediction" in run.store.manifest(plan.uri).figures:
        verdicts["pretraining"] = await obtain(run, verdict, FitConfig(), plan=plan, checkpoint=base)
    yield "pretraining", base

    facts = {"sources": _fingerprint_of_files(recipe.conversations)}
    dialogues = await obtain(run, conversations, recipe.conversations, facts=facts, corpus=corpus)
    checks["conversations"] = await checked(run, check_conversations, limits.conversations, conversations=dialogues)
    tuned = await obtain(run, sft, recipe.sft, conversations=dialogues, checkpoint=base)
    checks["sft"] = await checked(run, check_tuning, limits.training, step="check_sft", checkpoint=tuned)
    yield "sft", tuned

    facts = {"sources": _fingerprint_of_files(recipe.preference_pairs)}
    pairs = await obtain(run, preference_pairs, recipe.preference_pairs, facts=facts, conversations=dialogues, checkpoint=tuned)
    checks["preference_pairs"] = await checked(run, check_preference_pairs, limits.preference_pairs, pairs=pairs)
    aligned = await obtain(run, dpo, recipe.dpo, pairs=pairs, checkpoint=tuned)
    checks["dpo"] = await checked(run, check_tuning, limits.training, step="check_dpo", checkpoint=aligned)
    yield "dpo", aligned

    models = {"base": base, "sft": tuned, "dpo": aligned}
    report = await obtain(
        run,
        evaluation,
        recipe.evaluation,
        corpus=corpus,
        token_shards=tokens,
        conversations=dialogues,
        pairs=pairs,
        checkpoints=models,
    )
    checks["evaluation"] = await checked(run, check_evaluation, limits.evaluation, report=report)
    yield "evaluation", report

    named = replace(recipe.registration, name=recipe.registration.name or recipe.name)
    model = await obtain(run, registration, named, checkpoint=aligned, report=report, checks=checks, verdicts=verdicts)
    enter_registry(run, named, model)
    yield "registration", model


def _fingerprint(config: CurationConfig) -> str:
    from components.curation.reading.sources import fingerprint

    return fingerprint(config)


def _fingerprint_of_files(config: ConversationsConfig | PreferencePairsConfig) -> str:
    from components.alignment.sources import fingerprint

    return fingerprint(config)


async def _origin(run: Run, directory: str) -> Checkpoint | None:
    """The checkpoint whose weights and tokenizer pretraining starts with, imported; None: it starts with neither."""
    if not directory:
        return None
    from components.model.origin import fingerprint

    imported: Checkpoint = await obtain(run, start, Start(directory=directory), facts={"files": fingerprint(Path(directory))})
    return imported


def _choices(recipe: Recipe, run: Run, origin: Checkpoint | None) -> Choices:
    chosen = recipe.pretraining
    given = ModelShape(**run.store.manifest(origin.uri).figures["shape"]) if origin else None
    return Choices(
        shape=chosen.shape or given,
        tokens=chosen.tokens,
        batch_size=chosen.batch_size,
        sequence_length=chosen.sequence_length,
        learning_rate=chosen.learning_rate,
        init_std=chosen.init_std,
        warmup_steps=chosen.warmup_steps,
        micro_batch_size=chosen.micro_batch_size,
        workers=chosen.workers,
        layout=chosen.layout,
        activation_checkpointing=chosen.activation_checkpointing,
        precision="fp32" if chosen.precision == "fp32" else "bf16",
    )
