"""Fields of recipes that were renamed: errors about an old name give the new one."""

RENAMED: dict[str, str] = {
    "curation.quality.refused_share": "curation.quality.max_refused_share",
    "curation.quality.least_documents": "curation.quality.min_documents",
    "curation.flagged_words_ratio": "curation.filtering.max_flagged_words_ratio",
    "curation.flagged_words_least": "curation.filtering.min_flagged_words",
    "curation.heuristic_limits": "curation.filtering.heuristic_thresholds",
    "curation.read_attempts": "curation.reading.max_read_attempts",
    "curation.epoch_limit": "curation.corpus.max_epochs",
    "curation.epoch_limits": "curation.corpus.max_epochs_by_domain",
    "curation.line_words": "curation.passages.min_line_words",
    "curation.line_documents": "curation.passages.max_line_documents",
    "curation.substring_words": "curation.passages.min_substring_words",
    "curation.language_model": "curation.reading.language_model",
    "curation.max_bad_lines": "curation.reading.max_bad_lines",
    "curation.max_document_bytes": "curation.reading.max_document_bytes",
    "curation.max_read_attempts": "curation.reading.max_read_attempts",
    "curation.min_characters": "curation.filtering.min_characters",
    "curation.max_characters": "curation.filtering.max_characters",
    "curation.max_repeated_lines": "curation.filtering.max_repeated_lines",
    "curation.heuristics": "curation.filtering.heuristics",
    "curation.heuristic_thresholds": "curation.filtering.heuristic_thresholds",
    "curation.personal_data": "curation.filtering.personal_data",
    "curation.flagged_words": "curation.filtering.flagged_words",
    "curation.max_flagged_words_ratio": "curation.filtering.max_flagged_words_ratio",
    "curation.min_flagged_words": "curation.filtering.min_flagged_words",
    "curation.benchmarks": "curation.filtering.benchmarks",
    "curation.benchmark_gram": "curation.filtering.benchmark_gram",
    "curation.near_duplicate_threshold": "curation.duplicates.near_duplicate_threshold",
    "curation.shingle_size": "curation.duplicates.shingle_size",
    "curation.shingle_words": "curation.duplicates.shingle_words",
    "curation.permutations": "curation.duplicates.permutations",
    "curation.duplicate_passages": "curation.passages.kinds",
    "curation.passage_action": "curation.passages.action",
    "curation.passages_in_code": "curation.passages.in_code",
    "curation.min_line_words": "curation.passages.min_line_words",
    "curation.max_line_documents": "curation.passages.max_line_documents",
    "curation.min_substring_words": "curation.passages.min_substring_words",
    "curation.validation_share": "curation.corpus.validation_share",
    "curation.mixture_temperature": "curation.corpus.mixture_temperature",
    "curation.max_epochs": "curation.corpus.max_epochs",
    "curation.max_epochs_by_domain": "curation.corpus.max_epochs_by_domain",
    "curation.language_shares": "curation.corpus.language_shares",
    "curation.language_temperature": "curation.corpus.language_temperature",
    "tokenizer.measured_bytes": "tokenizer.max_measured_bytes",
    "conversations.number": "conversations.max_conversations",
    "conversations.validation_number": "conversations.max_validation_conversations",
    "conversations.max_bad_lines": "checks.conversations.max_omitted_share",
    "preference_pairs.max_bad_lines": "checks.preference_pairs.max_omitted_share",
    "conversations.per_distribution": "conversations.max_instructions_per_distribution",
    "pretraining.validation_bytes": "pretraining.max_validation_bytes",
    "sft.validation_conversations": "sft.max_validation_conversations",
    "preference_pairs.number": "preference_pairs.max_pairs_per_kind",
    "preference_pairs.validation_number": "preference_pairs.max_validation_pairs_per_kind",
    "dpo.validation_pairs": "dpo.max_validation_pairs_per_kind",
    "evaluation.bytes_per_domain": "evaluation.max_bytes_per_domain",
    "evaluation.items": "evaluation.max_items_per_task",
    "evaluation.context_characters": "evaluation.max_context_characters",
    "evaluation.answer_characters": "evaluation.max_answer_characters",
    "checks.corpus.median_bytes": "checks.corpus.min_median_bytes and checks.corpus.max_median_bytes",
    "checks.corpus.longest_bytes": "checks.corpus.max_document_bytes",
    "checks.corpus.domain_share": "checks.corpus.min_domain_share and checks.corpus.max_domain_share",
    "checks.corpus.validation_documents": "checks.corpus.min_validation_documents",
    "checks.corpus.refused_share": "checks.corpus.max_refused_share",
    "checks.corpus.set_aside_files": "checks.corpus.max_set_aside_files",
    "checks.corpus.duplicate_share": "checks.corpus.max_duplicate_share",
    "checks.corpus.duplicate_shares": "checks.corpus.max_duplicate_share_by_source",
    "checks.corpus.low_quality_share": "checks.corpus.max_low_quality_share",
    "checks.corpus.cluster_share": "checks.corpus.max_cluster_share",
    "checks.corpus.cluster_documents": "checks.corpus.min_cluster_documents",
    "checks.corpus.removal_precision": "checks.corpus.min_removal_precision",
    "checks.token_shards.bytes_per_token": "checks.token_shards.min_bytes_per_token and checks.token_shards.max_bytes_per_token",
    "checks.token_shards.round_trip_failures": "checks.token_shards.max_round_trip_failures",
    "checks.token_shards.split_tokens": "checks.token_shards.min_tokens_per_split",
    "checks.plan.warmup_share": "checks.plan.max_warmup_share",
    "checks.plan.learning_rate": "checks.plan.max_learning_rate",
    "checks.plan.memory_bytes": "checks.plan.max_memory_bytes",
    "checks.plan.law_ratio": "checks.plan.max_law_ratio",
    "checks.conversations.split_conversations": "checks.conversations.min_conversations_per_split",
    "checks.conversations.longest_characters": "checks.conversations.max_characters_per_role",
    "checks.conversations.median_answer_characters": "checks.conversations.min_median_answer_characters and "
    "checks.conversations.max_median_answer_characters",
    "checks.preference_pairs.split_pairs": "checks.preference_pairs.min_pairs_per_split",
    "checks.preference_pairs.equal_length_share": "checks.preference_pairs.max_equal_length_share",
    "checks.preference_pairs.length_ratio": "checks.preference_pairs.min_length_ratio and "
    "checks.preference_pairs.max_length_ratio",
    "checks.evaluation.models": "checks.evaluation.min_models",
    "checks.evaluation.baselines": "checks.evaluation.min_baselines",
    "checks.evaluation.bits_per_byte": "checks.evaluation.min_bits_per_byte and checks.evaluation.max_bits_per_byte",
    "checks.evaluation.domain_documents": "checks.evaluation.min_documents_per_domain",
    "checks.evaluation.document_bytes": "checks.evaluation.min_document_bytes",
    "checks.evaluation.task_items": "checks.evaluation.min_items_per_task",
    "checks.evaluation.above_clean": "checks.evaluation.max_above_clean",
    "checks.evaluation.contaminated_share": "checks.evaluation.max_contaminated_share",
}
RENAMED |= {
    f"{owner}.{old}": f"{owner}.training.{new}"
    for owner in ("pretraining", "sft", "dpo")
    for old, new in {
        "schedule": "schedule",
        "optimizer": "optimizer",
        "precision": "precision",
        "compile": "compile",
        "activation_checkpointing": "activation_checkpointing",
        "layout": "layout",
        "deterministic": "deterministic",
        "workers": "workers",
        "min_workers": "min_workers",
        "micro_batch_size": "micro_batch_tokens",
        "micro_batch_tokens": "micro_batch_tokens",
        "validation_steps": "validation_steps",
        "checkpoint_seconds": "checkpoints.seconds",
        "checkpoint_steps": "checkpoints.steps",
        "keep_checkpoints": "checkpoints.keep",
        "permanent_checkpoints": "checkpoints.permanent",
        "upload_checkpoints": "checkpoints.upload",
        "non_finite": "incidents.non_finite",
        "spike_deviations": "incidents.spike_deviations",
        "on_spike": "incidents.on_spike",
    }.items()
}
RENAMED |= {
    f"checks.training.{old}": " and ".join(f"checks.{check}.{new}" for check in checks)
    for new, checks in {
        "max_not_finite_steps": ("pretraining", "sft", "dpo"),
        "max_gradient_norm": ("pretraining", "sft", "dpo"),
        "max_loss_ratio": ("pretraining", "sft", "dpo"),
        "max_mixture_deviation": ("pretraining",),
        "max_omitted_share": ("sft", "dpo"),
        "own_checks": ("pretraining", "sft", "dpo"),
    }.items()
    for old in dict.fromkeys((new, new.removeprefix("max_")))
}
"""Renamed fields of recipes: old path -> new path, or several joined by "and". Errors about an old name give the new."""


def new_name_of(path: str) -> str:
    """The new path of a renamed field, or of a field inside a renamed one; empty if it was not renamed."""
    for old, new in RENAMED.items():
        if path == old or path.startswith(f"{old}."):
            return new + path.removeprefix(old)
    return ""


def hint_for(field: str) -> str:
    """A hint about the new name of a field given without its path, as in Python's own errors; empty if it was not renamed."""
    renamed = [(old.rpartition(".")[0], new) for old, new in RENAMED.items() if old.rpartition(".")[2] == field]
    names = sorted({path.removeprefix(f"{owner}.") for owner, new in renamed for path in new.split(" and ")})
    return f"{field} was renamed to {' or '.join(names)}" if names else ""
