"""Why the preflight does not ask about the other errors that a step can raise: nothing before the run decides them, or something
earlier does."""

LOADED = "a value of the recipe, refused when the recipe is loaded"
EARLIER = "reads what an earlier step of the same run wrote"
CODE = "the recipe's own code is read when the recipe is loaded; the preflight imports it"
DRAWN = "depends on the documents that all filters and deduplication keep; the preflight reads a sample of them"
TOKENS = "depends on how many tokens the documents have, which needs the tokenizer"
LENGTHS = "depends on the shape, which the plan may choose; if the recipe sets it, the preflight compares it (`values.Lengths`)"
TRAINING = "happens in training: losses, lost workers, the machine of a worker"
RESUMING = "concerns checkpoints of an earlier attempt of the same training"
LAYOUT = "layouts and batches of a recipe that sets them are refused when it is loaded; else the plan chooses them"
FITTED = "depends on the results of the run's own trainings"
COMMAND = "raised only for commands: sweeps, fits and generation"
MODEL = "depends on the trained model"

REASONS: dict[str, str] = {
    "components/alignment/batches.py:ShuffledBatches.require_workers": TOKENS,
    "components/alignment/config.py:*": LOADED,
    "components/alignment/conversations.py:make_conversations": "depends on the split of the corpus; their number is asked",
    "components/alignment/preference_pairs.py:make_preference_pairs": "depends on the SFT model and the split",
    "components/alignment/samples.py:Sampler.load": LENGTHS,
    "components/alignment/tuning.py:_items": LENGTHS,
    "components/artifacts/json_file.py:JsonFile.to_json": EARLIER,
    "components/artifacts/manifest.py:*": EARLIER,
    "components/artifacts/mixture.py:Mixture._require_shares": EARLIER,
    "components/checks/corpus.py:_budgets": LOADED,
    "components/checks/limits.py:*": LOADED,
    "components/checks/own.py:_tables": "the recipe's own check of an artifact that does not exist yet; it is imported",
    "components/checks/reading.py:_opened": EARLIER,
    "components/curation/config.py:CurationConfig._require_domains": LOADED,
    "components/curation/corpus/ledger.py:Tally.require_documents": DRAWN,
    "components/curation/corpus/mixture.py:require_languages": DRAWN,
    "components/curation/curate.py:_require_unchanged": RESUMING,
    "components/curation/curve.py:_texts_by_source": COMMAND,
    "components/curation/filtering/config.py:FilteringConfig._require_heuristics": LOADED,
    "components/curation/quality/*": DRAWN,
    "components/curation/reading/config.py:require_names": LOADED,
    "components/errors.py:require": "the function that raises the errors of values",
    "components/evaluation/benchmarks.py:*": EARLIER,
    "components/evaluation/held_out.py:ChosenDocuments.documents": EARLIER,
    "components/evaluation/held_out.py:domains": DRAWN,
    "components/evaluation/held_out.py:fitting_documents": "the preflight asks for long documents by the same limit (`held_out`)",
    "components/extensions/gathering.py:*": CODE,
    "components/extensions/imports.py:*": CODE,
    "components/extensions/installed.py:*": CODE,
    "components/extensions/value.py:_plain": LOADED,
    "components/generation/*": MODEL,
    "components/model/cache.py:KeyValueCache.positions": MODEL,
    "components/model/decoder.py:Decoder._refuse_beyond_context": MODEL,
    "components/model/huggingface.py:save": EARLIER,
    "components/ports/*": EARLIER,
    "components/pretraining/pretrain.py:outcome_of": TRAINING,
    "components/pretraining/pretrain.py:refuse_misfits": LENGTHS,
    "components/pretraining/shared_prefix.py:require_same_prefix": "compares with the run that `--from` names, when it is known",
    "components/registration/*": MODEL,
    "components/scaling/config.py:require_budget": LOADED,
    "components/scaling/fitting/*": FITTED,
    "components/scaling/laws/files.py:find_text_law": COMMAND,
    "components/scaling/laws/law.py:PowerLaw.at": TOKENS,
    "components/scaling/laws/published.py:law_values": COMMAND,
    "components/scaling/laws/text_law.py:TextLaw.vocabulary": COMMAND,
    "components/scaling/planning/planner.py:*": TOKENS,
    "components/scaling/planning/shapes.py:nearest_shape": TOKENS,
    "components/scaling/planning/verdict.py:judge": FITTED,
    "components/tokenizer/batch_encoder.py:_refuse_unless_text": EARLIER,
    "components/tokenizer/character_classes.py:CharacterClasses._learn": EARLIER,
    "components/tokenizer/chat.py:_refuse_unless_alternating": "an earlier step and the preflight read every line",
    "components/tokenizer/config.py:TokenizerConfig._refuse_beside_start": LOADED,
    "components/tokenizer/token_shards.py:*": EARLIER,
    "components/tokenizer/training.py:_quotas": DRAWN,
    "components/tokenizer/training.py:train_tokenizer": TOKENS,
    "components/training/checkpoints/*": RESUMING,
    "components/training/config.py:*": LOADED,
    "components/training/data_order.py:*": TOKENS,
    "components/training/engine.py:*": TRAINING,
    "components/training/loop.py:*": TRAINING,
    "components/training/parallel/*": LAYOUT,
    "components/training/portions.py:apportion": TOKENS,
    "components/training/resources.py:*": "measures a worker's machine; the preflight measures this one",
}
"""Reason by pattern of `module:function`."""
