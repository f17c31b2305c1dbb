"""`longrun run --on cluster`, `status`, `logs` and `cancel`: runs on a cluster, submitted and followed through Flyte."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from components.curation.config import PYTHON_ENVIRONMENT, SHIPPED
from components.errors import ClusterError, ConfigError, EndpointError, ImageMissing, SourceError
from components.files import JSON
from infra.cluster.pods import SOURCES
from infra.cluster.process_profile import adopt
from infra.cluster.profiles import IMAGE_GROUPS, Profile, read_profile
from infra.settings import Settings, usable_home
from infra.variables import keep_flyte_state
from workflows.commands.runs import AnyRun, LocalRun, Status, home_option
from workflows.recipe import Recipe, to_json
from workflows.steps.journal import find_journal, is_name, open_journal, output_to
from workflows.steps.run import RunOptions

if TYPE_CHECKING:
    from infra.flyte.runs import FlyteRuns, RunState

POLL_SECONDS = 5.0
"""Between two looks at a run that is followed."""

MAX_FAILED_POLLS = 60
"""Failed looks in a row after which following gives up: five minutes without a connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterRun:
    """A run on a cluster, and where that is."""

    name: str
    """Flyte's name of it: r and the id that it has in the home."""
    profile: Profile

    @property
    def _flyte(self) -> "FlyteRuns":
        from infra.flyte.runs import FlyteRuns

        return FlyteRuns(self.profile)

    def state(self) -> "RunState":
        """The run as Flyte knows it now."""
        return self._flyte.state(self.name)

    def status(self) -> Status:
        """Its phase, and each step with what stands in its way."""
        state = self.state()
        return Status(as_json=as_json(state), lines=state_lines(state))

    def log_lines(self, step: str) -> Iterator[str]:
        """What the driver or a step has printed, and prints until it ends."""
        return self._flyte.log(self.name, step)

    def log_json(self, step: str) -> list[str]:
        """All that the driver or a step has printed when it has ended."""
        return list(self.log_lines(step))

    def cancel(self) -> None:
        """Stop the run. Its published artifacts stay, and the next run reuses them."""
        self._flyte.abort(self.name, "longrun cancel")


def submit(recipe: Recipe, settings: Settings, options: RunOptions, *, profile: str, say: Callable[[str], None]) -> ClusterRun:
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
    journal = open_journal(settings.runs)
    run = ClusterRun(name=f"r{journal.name}", profile=chosen)
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
        absent = [reference for reference in threads.map(missing, IMAGE_GROUPS) if reference]
    if absent:
        raise ImageMissing(
            f"{', '.join(absent)} not in the registry; make images, push them, and put their digests into the profile"
        )


def find_run(settings: Settings, run: str, profile: str = "") -> AnyRun:
    """The run on a cluster or of this machine that `run` means.

    A run that another machine has submitted is found by its whole id and the profile.

    Raises:
        ConfigError: `run` is none of this home and no id either.
        ClusterError: its submission was refused.
    """
    name = run.removeprefix("r")
    try:
        journal = find_journal(settings.runs, name)
    except ConfigError:
        if not is_name(name):
            raise
        return ClusterRun(name=f"r{name}", profile=read_profile(settings.home, profile))
    submission = next((event for event in journal.events() if event["event"] in {"submitted", "refused"}), None)
    if submission is None:
        return LocalRun(journal)
    if submission["event"] == "refused":
        raise ClusterError(f"run {journal.name} never started: {submission['message']}")
    return ClusterRun(name=submission["flyte"], profile=read_profile(settings.home, profile or submission["profile"]))


def follow(run: ClusterRun, say: Callable[[str], None], pause: float | None = None) -> "RunState":
    """Say what changes until the run ends; its last state.

    Raises:
        ClusterError: it failed, with the reason and the remedy; or it cannot be reached any more.
    """
    seen: set[str] = set()
    failed_polls = 0
    while True:
        try:
            state, failed_polls = run.state(), 0
        except EndpointError:
            failed_polls += 1
            if failed_polls >= MAX_FAILED_POLLS:
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
    """The error that ended a run, with its own class."""
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


def as_json(state: "RunState") -> dict[str, JSON]:
    """The state as JSON values."""
    return {**asdict(state), "done": state.done, "failed": state.failed}
