"""The whole chain, from a corpus to a registered model."""

from collections.abc import AsyncIterator

from components.artifacts import Artifact
from infra.flyte import environments
from workflows import alignment, curation, evaluation, pretraining, registration, scaling
from workflows import tokenizer as tokenization
from workflows.recipe import Recipe
from workflows.steps.branching import require_same_data
from workflows.steps.run import Run
from workflows.steps.step import checked, obtain


@environments.driver.task
async def pipeline(recipe: Recipe, run: Run) -> Artifact:
    """Run the stages of a recipe in order, up to `run.options.until`; returns the last stage's artifact."""
    return await last_artifact(recipe, run)


async def last_artifact(recipe: Recipe, run: Run) -> Artifact:
    """Run `chain` up to `run.options.until`, or to its end; returns the last artifact."""
    async for stage, artifact in chain(recipe, run):
        last = artifact.as_(Artifact)
        if stage == run.options.until:
            break
    return last


async def chain(recipe: Recipe, run: Run) -> AsyncIterator[tuple[str, Artifact]]:
    """Run the stages in order; yields the name and the artifact of each stage, and of each step in `ENDS`, after its check."""
    limits, checks = recipe.checks, {}

    corpus = await obtain(run, curation.curation, recipe.curation)
    checks["corpus"] = await checked(run, curation.check_corpus, limits.corpus, corpus)
    yield "curation", corpus

    start = await pretraining.obtain_start(run, recipe.pretraining)
    tokenizer = await obtain(run, tokenization.tokenizer, recipe.tokenizer, corpus=corpus, start=start)
    shards = await obtain(run, tokenization.token_shards, recipe.token_shards, corpus=corpus, tokenizer=tokenizer)
    checks["token_shards"] = await checked(run, tokenization.check_token_shards, limits.token_shards, shards, tokenizer=tokenizer)
    yield "tokenizer", shards

    tokens = {"token_shards": shards, "tokenizer": tokenizer}
    plan = await scaling.obtain_plan(run, recipe.scaling, recipe.pretraining, start, **tokens)
    checks["plan"] = await checked(run, scaling.check_plan, limits.plan, plan)
    yield "scaling", plan

    require_same_data(run, **tokens)
    base = await obtain(run, pretraining.pretraining, recipe.pretraining, plan=plan, **tokens, trunk=run.trunk, start=start)
    checks["pretraining"] = await checked(run, pretraining.check_pretraining, limits.pretraining, base, token_shards=shards)
    verdicts = await scaling.obtain_verdicts(run, plan, base)
    yield "pretraining", base

    conversations = await obtain(run, alignment.conversations, recipe.conversations, corpus=corpus)
    checks["conversations"] = await checked(run, alignment.check_conversations, limits.conversations, conversations)
    yield "conversations", conversations
    sft = await obtain(run, alignment.sft, recipe.sft, conversations=conversations, checkpoint=base)
    checks["sft"] = await checked(run, alignment.check_sft, limits.sft, sft)
    yield "sft", sft

    pairs = await obtain(run, alignment.preference_pairs, recipe.preference_pairs, conversations=conversations, checkpoint=sft)
    checks["preference_pairs"] = await checked(run, alignment.check_preference_pairs, limits.preference_pairs, pairs)
    yield "preference_pairs", pairs
    dpo = await obtain(run, alignment.dpo, recipe.dpo, pairs=pairs, checkpoint=sft)
    checks["dpo"] = await checked(run, alignment.check_dpo, limits.dpo, dpo)
    yield "dpo", dpo

    held_out = {"corpus": corpus, "token_shards": shards, "conversations": conversations, "pairs": pairs}
    models = {"base": base, "sft": sft, "dpo": dpo}
    report = await obtain(run, evaluation.evaluation, recipe.evaluation, **held_out, checkpoints=models)
    checks["evaluation"] = await checked(run, evaluation.check_evaluation, limits.evaluation, report)
    yield "evaluation", report

    config = recipe.registered
    evidence = {"report": report, "plan": plan, "checks": checks, "verdicts": verdicts}
    model = await obtain(run, registration.registration, config, checkpoint=dpo, **evidence)
    registration.enter_registry(run, config, model)
    yield "registration", model
