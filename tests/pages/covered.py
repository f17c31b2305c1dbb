"""Which test runs each command that a page shows.

A command of `longrun` that no list here names is run by `test_commands.py` as it stands, with `tiny` in place of `smoke`.
Everything else is run by another test, or is an exception with its reason. Commands are patterns of `fnmatch`.
"""

_CHAIN, _SWEEP, _CLUSTERS = "end_to_end/test_chain.py", "end_to_end/test_sweep.py", "infra/test_clusters.py"
_PLANNING = "workflows/commands/timed/test_planning.py"
_BACKUP = f"{_CLUSTERS}::test_what_was_backed_up_is_there_after_everything_was_lost"
_LADDER = f"{_SWEEP}::test_it_ends_with_a_law_a_prediction_and_a_verdict"

ELSEWHERE = {
    "longrun run mine.py": "end_to_end/test_own_data.py::test_the_readme_s_recipe_trains_on_all_files_and_asks_the_benchmark",
    "longrun run smoke --json*": "end_to_end/test_scripts.py::"
    "test_json_prints_only_documented_events_and_ends_with_how_the_run_ended",
    "longrun run recipes/own.py": "end_to_end/test_own_code.py::test_the_page_s_task_is_in_report_and_card_of_a_model",
    "longrun run * --from latest --at 80%": f"{_CHAIN}::test_a_branch_goes_on_from_another_runs_first_stage_and_says_so",
    "longrun run * --set pretraining.start=*": f"{_CHAIN}::test_pretraining_starts_with_a_model_that_is_there_and_its_tokenizer",
    "longrun generate smoke*": f"{_CHAIN}::test_the_registered_model_answers",
    "longrun verify smoke": f"{_CHAIN}::test_verify_finds_nothing_and_after_a_flipped_byte_names_the_file",
    "longrun gc": f"{_CHAIN}::test_gc_deletes_only_what_no_registered_model_needs",
    "longrun run* --artifact-root s3://*": "end_to_end/test_remote_record.py::"
    "test_one_version_is_registered_and_points_into_the_bucket",
    "longrun dedup-curve *": "end_to_end/test_dedup_curve.py::test_one_command_measures_the_curve_and_the_next_finds_it",
    "longrun compare-corpora *": "end_to_end/test_compare_corpora.py::"
    "test_each_corpus_gets_a_law_and_the_next_time_nothing_is_trained",
    "longrun plan --minutes 30": f"{_PLANNING}::test_minutes_here_give_the_training_for_that_time_on_this_machine",
    "longrun plan smoke --minutes 30": f"{_PLANNING}::test_a_recipe_gives_its_stages_and_its_name_to_the_command",
    "longrun sweep python-text": f"{_SWEEP}::test_a_sweep_in_two_vocabularies_ends_with_the_law_of_the_text_and_a_verdict",
    "longrun law latest": _LADDER,
    "longrun law latest --output *": "workflows/commands/test_sweep.py::"
    "test_a_law_is_copied_to_a_file_with_the_trainings_beside_it",
    "longrun sweep mine.py": "workflows/sweeps/test_sweep.py::test_a_sweep_of_ones_own_is_a_function_in_a_file",
    "longrun run smoke --set scaling.law=law.json": f"{_SWEEP}::test_a_recipe_planned_by_the_law_of_a_sweep_is_judged_by_it",
    "pg_*": _BACKUP,
    "python -c *copy_files*": _BACKUP,
    "helm *": f"{_CLUSTERS}::test_the_order_installs_the_pinned_versions_with_our_values",
}
"""Command -> the test, below `tests`, that runs it or its tiny form."""

NOT_RUN = {
    "make *": "builds, installs, measures or runs tests; test_commands.py checks that the target exists",
    "PIP_FIND_LINKS=* make run": "installs; test_commands.py checks that the target exists",
    "infra/install.sh": "installs what the tests run in",
    "python -m pytest *": "the tests themselves",
    "python -m pip *": "builds and installs; test_wheel.py does both",
    "source .venv/bin/activate": "changes the shell of the reader",
    "export *": "changes the shell of the reader",
    "mlflow ui *": "a server that runs until it is stopped",
    "kind *": "needs a container engine",
    "kubectl *": "needs a cluster",
    "longrun run * --on cluster *": "needs a cluster; a simulated one in tests/workflows/commands/cluster/test_submission.py",
    "longrun doctor --cluster *": "needs a cluster; a simulated one in tests/workflows/commands/cluster/test_doctor.py",
    "longrun deploy *": "needs a cluster; a simulated one in tests/workflows/commands/cluster/test_deploy.py",
    "longrun cancel *": "needs a cluster; a simulated one in tests/workflows/commands/cluster/test_runs.py",
    "longrun * --profile site": "needs a cluster; a simulated one in tests/cluster/test_dry_run.py",
}
"""Command -> why no test runs it. The command line reads those of longrun all the same: they exist, and so do their options."""

_TO_SCALING = " --until scaling"
_WORKERS = "--set pretraining.training.workers"

SMALLER = {
    "longrun run": ("longrun run", "longrun run tiny"),
    "longrun run *.learning_rate=0.001": (".learning_rate=0.001", f".learning_rate=0.001{_TO_SCALING}"),
    "longrun run smoke *.clip=0.5": (".clip=0.5", ".clip=0.5 --until sft"),
    "longrun fit *": (" --report report", " --rounds 100"),
    # What these change needs many workers, a long training or a recipe of another size: the recipe is loaded with it.
    "longrun run * --set checks.*": ("longrun run", "longrun show"),
    "longrun run * --set *.on_spike=stop": ("longrun run", "longrun show"),
    "longrun run * --set *.max_share=0.2": ("longrun run", "longrun show"),
    f"longrun run mine.py {_WORKERS}=*": (
        "longrun run mine.py",
        "longrun show mine.py --set pretraining.batch_size=16 --set pretraining.shape.n_layer=4",
    ),
}
"""Command -> what of it is replaced by what, where `tiny` for `smoke` is not enough to make it short."""
