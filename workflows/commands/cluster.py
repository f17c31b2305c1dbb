"""`longrun run --on cluster`, `status`, `logs` and `cancel`: runs on a cluster, submitted and followed through Flyte."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.curation.config import PYTHON_ENVIRONMENT, SHIPPED
from components.errors import ClusterError, ConfigError, EndpointError, ImageMissing, SourceError
from infra.cluster.pods import SOURCES
from infra.cluster.process_profile import adopt
from infra.cluster.profiles import IMAGE_GROUPS, Profile, read_profile
from infra.settings import Settings, usable_home
from infra.variables import keep_flyte_state
from workflows.recipe import Recipe, to_json
from workflows.steps import journal

if TYPE_CHECKING:
    from infra.flyte.runs import RunState

POLL_SECONDS = 5.0
"""Between two looks at a run that is followed."""

PATIENCE = 60
"""Looks in a row that may fail by the connection before following gives up: five minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterRun:
    """A run on a cluster, and where that is."""

    name: str
    """Flyte's name of it: r and the id that it has in the home."""
    profile: Profile


def submit(
    recipe: Recipe, settings: Settings, *, profile: str, until: str, fresh: tuple[str, ...], say: Callable[[str], None]
) -> ClusterRun:
    """Submit `recipe`, and say where it runs and how to follow it.

    Raises:
        ConfigError: there is no such profile.
        SourceError: the recipe names a file that pods do not see.
        ClusterError: Flyte cannot be reached, refuses, or an image is missing; nothing was started.
    """
    chosen = read_profile(settings.home, profile)
    require_sources(recipe, chosen)
    adopt(chosen)
    home = usable_home(settings.home)
    keep_flyte_state(home)
    with ThreadPoolExecutor(1) as beside:
        # The registry is asked while a second of imports goes by.
        images = beside.submit(require_images, chosen)
        from infra.flyte.runs import FlyteRuns
        from workflows.running import run_on_cluster

        images.result()
    record = journal.open_journal(settings.runs)
    run = ClusterRun(name=f"r{record.name}", profile=chosen)
    facts = {"recipe": recipe.name, "until": until, "fresh": list(fresh), "profile": chosen.name, "flyte": run.name}
    try:
        with journal.output_to(record.log("submit")):
            url = FlyteRuns(chosen).submit(run_on_cluster, to_json(recipe), record.name, until, list(fresh), name=run.name)
    except Exception as error:
        record.write("refused", **facts, message=str(error))
        raise
    record.write("submitted", **facts, url=url)
    for line in _next(record.name, url, chosen, settings):
        say(line)
    return run


def _next(name: str, url: str, profile: Profile, settings: Settings) -> list[str]:
    home = "" if settings.home == Path(".longrun").absolute() else f" --home {settings.home}"
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
    of_texts += [benchmark.uri for benchmark in curation.benchmarks]
    of_texts += [name for name in curation.flagged_words.values() if name != SHIPPED]
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
    """Raise `ImageMissing` for an image that its registry says it has not; one that needs credentials may well be there."""
    from infra.cluster.services import Missing, require_image

    def missing(group: str) -> str:
        try:
            require_image(profile.image(group))
        except Missing:
            return profile.image(group)
        except ClusterError:
            return ""
        return ""

    with ThreadPoolExecutor(len(IMAGE_GROUPS)) as threads:
        gone = [reference for reference in threads.map(missing, IMAGE_GROUPS) if reference]
    if gone:
        raise ImageMissing(
            f"{', '.join(gone)} not in the registry; make images, push them, and put their digests into the profile"
        )


def find_run(settings: Settings, run: str, profile: str = "") -> ClusterRun | journal.Journal:
    """The run on a cluster that `run` means, or the journal of a run of this machine.

    A run that another machine has submitted is found by its whole id and the profile.
    Raises `ConfigError` where `run` is none of this home and no id either.
    """
    try:
        record = journal.find_journal(settings.runs, run.removeprefix("r"))
    except ConfigError:
        if not journal.is_name(run.removeprefix("r")):
            raise
        return ClusterRun(name=f"r{run.removeprefix('r')}", profile=read_profile(settings.home, profile))
    sent = next((event for event in record.events() if event["event"] in {"submitted", "refused"}), None)
    if sent is None:
        return record
    if sent["event"] == "refused":
        raise ClusterError(f"run {record.name} never started: {sent['message']}")
    return ClusterRun(name=sent["flyte"], profile=read_profile(settings.home, profile or sent["profile"]))


def status(run: ClusterRun) -> "RunState":
    """The run as Flyte knows it now."""
    from infra.flyte.runs import FlyteRuns

    return FlyteRuns(run.profile).state(run.name)


def log_lines(run: ClusterRun, step: str) -> Iterator[str]:
    """What the driver or a step has printed, and prints until it ends."""
    from infra.flyte.runs import FlyteRuns

    return FlyteRuns(run.profile).log(run.name, step)


def cancel(run: ClusterRun) -> None:
    """Stop the run. Its published artifacts stay, and the next run reuses them."""
    from infra.flyte.runs import FlyteRuns

    FlyteRuns(run.profile).abort(run.name, "longrun cancel")


def follow(run: ClusterRun, say: Callable[[str], None], pause: float | None = None) -> "RunState":
    """Say what changes until the run ends; its last state.

    Raises:
        ClusterError: it ended otherwise than well, with the reason and the remedy; or it cannot be reached any more.
    """
    seen: set[str] = set()
    lost = 0
    while True:
        try:
            state, lost = status(run), 0
        except EndpointError:
            lost += 1
            if lost >= PATIENCE:
                raise
        else:
            for line in state_lines(state)[1:]:
                if line not in seen:
                    say(line)
            seen.update(state_lines(state))
            if state.done:
                break
        time.sleep(POLL_SECONDS if pause is None else pause)
    say(state_lines(state)[0])
    if state.failed:
        raise failure(state)
    return state


def failure(state: "RunState") -> ClusterError:
    """What a run ended by, as the error that it is."""
    from infra.flyte.runs import explained

    step = state.problem
    if step is None:
        return ClusterError(f"run {state.run} {state.phase}; see {state.url}")
    meaning = explained(step.problem)
    kind = meaning[0] if meaning else ClusterError
    remedy = step.remedy or f"read it with: longrun logs {state.run} {step.task}"
    return kind(f"run {state.run} {state.phase}: {step.task}: {step.problem}; {remedy}")


def state_lines(state: "RunState") -> list[str]:
    """The run in a line, then each step in one, with what stands in its way."""
    lines = [f"run {state.run} {state.phase}  {state.url}"]
    for step in state.steps:
        why = f"  {step.problem}" if step.problem else ""
        remedy = f"  -> {step.remedy}" if step.remedy else ""
        seconds = f"{step.seconds:>8.0f} s" if step.phase in {"succeeded", "failed"} else ""
        lines.append(f"{step.task:<24}{step.phase:<22}{seconds}{why}{remedy}".rstrip())
    return lines


def as_json(state: "RunState") -> dict[str, Any]:
    """The state as JSON values."""
    return {**asdict(state), "done": state.done, "failed": state.failed}
