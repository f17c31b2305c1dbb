"""Writes the notes of a plan: what to know before spending the compute."""

from collections.abc import Mapping

from components.artifacts import Mixture, Plan, portion_name
from components.flops import scale_of
from components.scaling.laws.law import Law
from components.scaling.laws.published import LAWS

USUAL_RANGE = (1e17, 1e25)
"""FLOPs; outside this range, a law that states no range of its own is assumed to extrapolate."""

FAR_BEYOND = 1e25
"""FLOPs: ten times those of the largest model that was planned with the law (the paper's 67B, 9.94e23)."""

WARMUP_SHARE = 0.05
"""Maximum warm-up without a note, as a fraction of the steps; a longer one shortens the schedule noticeably."""

TOLERANCE = 0.1
"""Relative difference from the law up to which no note is written."""

SCALE_NAMES = {
    "non_embedding_flops_per_token": "FLOPs per token",
    "parameters": "parameters",
    "non_embedding_parameters": "parameters without embeddings",
}
"""Words for the model scale of a law, by the name in `Law.scale`."""

_LAW_FIELDS = {"batch size": "batch_tokens", "learning rate": "learning_rate"}


def budget_notes(plan: Plan, law: Law, budget: float | None) -> tuple[str, ...]:
    """Notes on where the law extrapolates, and where the plan differs from the law."""
    scale = scale_of(plan.shape, plan.sequence_length, law.scale)
    batch_tokens = plan.batch_size * plan.sequence_length
    return (
        *_range_notes(plan.compute, law),
        *_borrowed_notes(plan.compute, law),
        *_difference("FLOPs", plan.compute, budget, "the budget"),
        *_difference(SCALE_NAMES[law.scale], scale, plan.law[law.scale], "the law's optimum"),
        *_difference("learning rate", plan.learning_rate, plan.law["learning_rate"], "the law's"),
        *_difference("tokens in a batch", batch_tokens, plan.law["batch_tokens"], "the law's"),
        *_length_notes(plan),
    )


def epoch_notes(tokens: int, mixture: Mixture, available: Mapping[str, int]) -> tuple[str, ...]:
    """Notes on the epochs that the mixture takes of each domain, and of each language with a share of its own.

    Args:
        tokens: number of training tokens.
        mixture: target shares and epoch limits.
        available: tokens in an epoch of each domain and portion, by name.
    """
    notes = []
    for domain, share in sorted(mixture.shares.items()):
        limit = mixture.epoch_limits[domain]
        notes.append(_epoch_note(domain, tokens * share, available, limit, "the other domains"))
        for language, of_domain in mixture.languages(domain).items():
            if language:
                name, wanted = portion_name(domain, language), tokens * share * of_domain
                notes.append(_epoch_note(name, wanted, available, limit, f"the other languages of {domain}"))
    return tuple(notes)


def _epoch_note(name: str, wanted: float, available: Mapping[str, int], limit: float, others: str) -> str:
    held = available.get(name, 0)
    if not held:
        return f"{name}: no training tokens, though the mixture gives it a share"
    epochs = wanted / held
    beyond = f", more than its limit of {limit:g}: the surplus goes to {others}" if epochs > limit else ""
    return f"{name}: {epochs:.2f} epochs of {held} tokens{beyond}"


def _range_notes(compute: float, law: Law) -> tuple[str, ...]:
    low, high = law.fitted or USUAL_RANGE
    if low <= compute <= high:
        return ()
    fitted = f"the law {law.name} was fitted from {low:.0e} to {high:.0e} FLOPs"
    if law.fitted is None:
        fitted = f"the law {law.name} states no range; laws are usually fitted within {low:.0e} to {high:.0e} FLOPs"
    if compute < low:
        return (
            f"{fitted}; at {compute:.2e} it is extrapolated, and embeddings and head cost a larger share than the law assumes",
        )
    if compute > FAR_BEYOND:
        return (f"{fitted}; at {compute:.2e} it is extrapolated far beyond any model that was planned with it",)
    return (f"{fitted}; at {compute:.2e} it is extrapolated, as the paper's 7B and 67B were",)


def _borrowed_notes(compute: float, law: Law) -> tuple[str, ...]:
    """A note on values that the law does not give and DeepSeek's law supplies."""
    lacking = [name for name in ("batch size", "learning rate") if getattr(law, _LAW_FIELDS[name]) is None]
    if not lacking:
        return ()
    usual = LAWS["deepseek"]
    low, high = usual.fitted or USUAL_RANGE
    beyond = "" if low <= compute <= high else f", extrapolated from {low:.0e} to {high:.0e} FLOPs"
    return (f"the law {law.name} gives no {' and no '.join(lacking)}; {usual.name}'s is used instead{beyond}",)


def _difference(what: str, value: float, reference: float | None, whose: str) -> tuple[str, ...]:
    if reference is None or abs(value / reference - 1) <= TOLERANCE:
        return ()
    return (f"{what}: {value:.3g}, {value / reference:.2g} times {whose} {reference:.3g}",)


def _length_notes(plan: Plan) -> tuple[str, ...]:
    notes = []
    if plan.law["batch_tokens"] > plan.tokens:
        notes.append(f"the law's batch of {plan.law['batch_tokens']:.3g} tokens is larger than the run of {plan.tokens}")
    if plan.warmup_steps > WARMUP_SHARE * plan.steps:
        notes.append(f"a warm-up of {plan.warmup_steps} steps is more than {WARMUP_SHARE:.0%} of the {plan.steps} steps")
    return tuple(notes)
