"""`longrun run --on cluster`: a recipe is submitted to a cluster through Flyte."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from components.curation.config import PYTHON_ENVIRONMENT, SHIPPED
from components.errors import ClusterError, ImageMissing, SourceError
from infra.cluster.pods import SOURCES
from infra.cluster.process_profile import adopt
from infra.cluster.profiles import IMAGE_GROUPS, Profile, read_profile
from infra.settings import Settings, usable_home
from infra.variables import keep_flyte_state
from workflows.commands.cluster.room import require_room
from workflows.commands.cluster.runs import ClusterRun
from workflows.commands.runs import home_option
from workflows.recipe import Recipe, to_json
from workflows.steps.journal import open_journal, output_to
from workflows.steps.run import RunOptions


def submit(recipe: Recipe, settings: Settings, options: RunOptions, *, profile: str, say: Callable[[str], None]) -> ClusterRun:
    """Submit `recipe`, and say where it runs and how to follow it.

    Raises:
        ConfigError: there is no such profile, or it has no room for the recipe's training.
        SourceError: the recipe names a file that pods do not see.
        ClusterError: Flyte cannot be reached, refuses, or an image is missing; nothing was started.
    """
    chosen = read_profile(settings.home, profile)
    require_sources(recipe, chosen)
    require_room(recipe, chosen, options.until)
    adopt(chosen)
    home = usable_home(settings.home)
    keep_flyte_state(home)
    with ThreadPoolExecutor(1) as beside:
        # The registry is asked while a second of imports goes by.
        images = beside.submit(require_images, chosen)
        from infra.flyte.runs import FlyteRuns
        from workflows.running import run_on_cluster

        images.result()
    journal = open_journal(settings.runs)
    run = ClusterRun(name=f"r{journal.name}", profile=chosen, settings=settings)
    # Flyte has lists and no tuples
    fresh = list(options.fresh)
    facts = {"recipe": recipe.name, "until": options.until, "fresh": fresh, "profile": chosen.name, "flyte": run.name}
    try:
        with output_to(journal.log("submit")):
            url = FlyteRuns(chosen).submit(run_on_cluster, to_json(recipe), journal.name, options.until, fresh, name=run.name)
    except Exception as error:
        journal.write("refused", **facts, message=str(error))
        raise
    journal.write("submitted", **facts, url=url)
    for line in _next(journal.name, url, chosen, settings):
        say(line)
    return run


def _next(name: str, url: str, profile: Profile, settings: Settings) -> list[str]:
    home = home_option(settings)
    return [
        f"run {name}: {url}",
        f"  artifacts {profile.artifact_root}, records {profile.mlflow_uri}",
        "next:",
        f"  longrun status {name}{home}     # where it is, and what stands in its way",
        f"  longrun logs {name}{home}       # what the driver prints; or a step, named after the run",
        f"  longrun cancel {name}{home}     # stop it",
    ]


def require_sources(recipe: Recipe, profile: Profile) -> None:
    """Raise `SourceError` for a source that pods do not see: they have the Python environment and what the source claim holds."""
    curation = recipe.curation
    of_texts = [source.uri for source in (*curation.sources, *curation.quality.references) if source.uri != PYTHON_ENVIRONMENT]
    of_texts += [benchmark.uri for benchmark in curation.filtering.benchmarks]
    of_texts += [name for name in curation.filtering.flagged_words.values() if name != SHIPPED]
    of_texts += [recipe.pretraining.start] if recipe.pretraining.start else []
    named = [*of_texts, *recipe.conversations.sources, *recipe.preference_pairs.sources]
    unseen = [uri for uri in named if not (profile.source_claim and _inside(uri.removeprefix("file://"), SOURCES))]
    if unseen:
        where = (
            f"the claim {profile.source_claim}"
            if profile.source_claim
            else "a claim, and name that as the profile's source_claim"
        )
        raise SourceError(f"source {unseen[0]} is on this machine, where pods do not see it; put it into {where}: {SOURCES}/…")


def _inside(path: str, folder: str) -> bool:
    return os.path.normpath(path).startswith(f"{folder}/")


def require_images(profile: Profile) -> None:
    """Raise `ImageMissing` for an image that its registry does not have; one that needs credentials is taken to be there."""
    from infra.cluster.client import Missing
    from infra.cluster.services import require_image

    def missing(group: str) -> str:
        try:
            require_image(profile.image(group))
        except Missing:
            return profile.image(group)
        except ClusterError:
            return ""
        return ""

    with ThreadPoolExecutor(len(IMAGE_GROUPS)) as threads:
        absent = [reference for reference in threads.map(missing, IMAGE_GROUPS) if reference]
    if absent:
        raise ImageMissing(
            f"{', '.join(absent)} not in the registry; make images, push them, and put their digests into the profile"
        )
