"""`longrun run --on cluster`, and `sweep`: a recipe or a sweep is submitted to a cluster through Flyte."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from components.errors import ClusterError, ConfigError, ImageMissing
from components.files import JSON
from infra.cluster.process_profile import adopt
from infra.cluster.profiles import IMAGE_GROUPS, Profile, read_profile
from infra.outside import STORE, reached
from infra.settings import Settings, usable_home
from infra.variables import keep_flyte_state
from workflows.commands.cluster.room import require_room
from workflows.commands.cluster.runs import ClusterRun
from workflows.commands.cluster.sources import STEP as UPLOAD
from workflows.commands.cluster.sources import require_seen, unseen, uploaded
from workflows.commands.display import Display, steady_console
from workflows.commands.runs import home_option
from workflows.recipe import Recipe, to_json
from workflows.steps.branching import share_of
from workflows.steps.journal import Journal, find_journal, is_name, listening, open_journal, output_to, show
from workflows.steps.journals import journals
from workflows.steps.run import RunOptions

if TYPE_CHECKING:
    from workflows.sweeps.sweep import Sweep

MAX_PARENTS = 20
"""Runs that the driver looks at for `--from latest`."""

Say = Callable[[str], None]

Config = TypeVar("Config")


@dataclass(frozen=True, kw_only=True, slots=True)
class Parents:
    """Where a run on a cluster branches from."""

    runs: tuple[str, ...]
    """Ids of runs, newest first."""
    at: str
    """The share of that run's training."""


def submit(
    recipe: Recipe,
    settings: Settings,
    options: RunOptions,
    *,
    profile: str,
    say: Say,
    parents: Parents | None = None,
    max_upload: int = 0,
) -> ClusterRun:
    """Submit `recipe`, and say where it runs and how to follow it.

    `parents` are runs on the cluster of which one is branched from. Files of this machine are sent along, at most `max_upload`
    bytes of them.

    Raises:
        ConfigError: there is no such profile, or it has no room for the recipe's training.
        SourceError: the recipe names files that pods do not see, or too large ones.
        ClusterError: Flyte cannot be reached, refuses, or an image is missing; nothing was started.
    """
    chosen = read_profile(settings.home, profile)
    require_room(recipe, chosen, options.until)
    # Flyte has lists and no tuples
    fresh, runs = list(options.fresh), list(parents.runs) if parents else []
    at = parents.at if parents else ""
    facts = {"recipe": recipe.name, "until": options.until, "fresh": fresh} | ({"from": runs, "at": at} if runs else {})

    def inputs(seen: Recipe, name: str) -> tuple[Any, ...]:
        return to_json(seen), name, options.until, fresh, runs, at

    return _submitted(recipe, settings, chosen, "run_on_cluster", inputs, facts, say, max_upload)


def submit_sweep(sweep: "Sweep", settings: Settings, *, profile: str, say: Say, max_upload: int = 0) -> ClusterRun:
    """Submit a sweep as `submit` submits a recipe. Raises what `submit` raises."""

    def inputs(seen: "Sweep", name: str) -> tuple[Any, ...]:
        return to_json(seen), name

    return _submitted(
        sweep, settings, read_profile(settings.home, profile), "sweep_on_cluster", inputs, {"recipe": sweep.name}, say, max_upload
    )


def _submitted(
    config: Config,
    settings: Settings,
    chosen: Profile,
    task: str,
    inputs: Callable[[Config, str], tuple[Any, ...]],
    facts: Mapping[str, JSON],
    say: Say,
    max_upload: int,
) -> ClusterRun:
    """Submit the task of that name in `workflows.running`, of the inputs that the config and the run's id make."""
    config = _seen_by_pods(config, chosen, max_upload)
    adopt(chosen)
    home = usable_home(settings.home)
    keep_flyte_state(home)
    with ThreadPoolExecutor(1) as beside:
        # The registry is asked while a second of imports goes by.
        images = beside.submit(require_images, chosen)
        import workflows.running
        from infra.flyte.runs import FlyteRuns

        images.result()
    journal = open_journal(settings.runs)
    run = ClusterRun(name=f"r{journal.name}", profile=chosen, settings=settings)
    noted = {**facts, "profile": chosen.name, "artifact_root": chosen.artifact_root, "flyte": run.name}
    try:
        with output_to(journal.log("submit")):
            url = FlyteRuns(chosen).submit(getattr(workflows.running, task), *inputs(config, journal.name), name=run.name)
    except Exception as error:
        journal.write("refused", **noted, message=str(error))
        raise
    journal.write("submitted", **noted, url=url)
    for line in _next(journal.name, url, chosen, settings):
        say(line)
    return run


def _seen_by_pods(config: Config, profile: Profile, max_upload: int) -> Config:
    """The config with files that pods see: those of this machine are sent, if that is wanted, or refused."""
    if not max_upload or not unseen(config, profile):
        require_seen(config, profile)
        return config
    with reached(profile, (STORE,)) as outside, Display(steady_console()) as display, listening(display):
        show("started", step=UPLOAD)
        return uploaded(config, outside, max_upload)


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


def commands_about_model(recipe: Recipe, profile: Profile, settings: Settings) -> list[str]:
    """The commands that look at what a finished run of `recipe` has registered."""
    model, options = recipe.registration.name or recipe.name, f" --profile {profile.name}{home_option(settings)}"
    return [
        "when it has ended:",
        f"  longrun models{options}",
        f"  longrun lineage {model}{options}",
        f"  longrun verify {model}{options}",
        f'  longrun generate {model} "def parse_args(" --raw{options}',
    ]


def command_about_law(run: ClusterRun, settings: Settings) -> str:
    """The command that shows what a finished sweep has fitted."""
    name, profile = run.name.removeprefix("r"), run.profile.name
    return f"when it has ended:\n  longrun law {name} --profile {profile}{home_option(settings)}"


def parents_of(settings: Settings, run: str, at: str, profile: Profile) -> Parents:
    """The runs on the cluster that `--from RUN --at SHARE` means there: the driver takes the first that has finished pretraining.

    Raises:
        ConfigError: no such run, one of this machine, one on another store, or no share.
    """
    share_of(at)
    if run == "latest":
        runs = [journal.name for journal in journals(settings) if _submission(journal, profile)]
        if not runs:
            raise ConfigError(f"--from latest: no run of this home was submitted to {profile.artifact_root}; name one by its id")
        return Parents(runs=tuple(runs[:MAX_PARENTS]), at=at)
    name = run.removeprefix("r")
    try:
        journal = find_journal(settings.runs, name)
    except ConfigError:
        if not is_name(name):
            raise
        return Parents(runs=(name,), at=at)
    if not _submission(journal, profile):
        raise ConfigError(
            f"--from {run}: run {journal.name} is not one whose artifacts are in {profile.artifact_root}, where a cluster's run "
            "finds the training state that it begins with; run its recipe with --on cluster first"
        )
    return Parents(runs=(journal.name,), at=at)


def _submission(journal: Journal, profile: Profile) -> bool:
    """Whether a journal is that of a run that was submitted to a cluster with the profile's store."""
    events = [event for event in journal.events() if event["event"] == "submitted"]
    return any(event.get("artifact_root", profile.artifact_root) == profile.artifact_root for event in events)


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
