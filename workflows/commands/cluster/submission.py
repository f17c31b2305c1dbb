"""`longrun run --on cluster` and `longrun sweep --on cluster`: submit a recipe or a sweep to a cluster through Flyte."""

import shlex
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from components.errors import ClusterError, ConfigError, ImageMissing
from components.file_names import file_names
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
from workflows.commands.hints import CODE, OTHER, TEMPERATURE, program
from workflows.commands.runs import home_option
from workflows.preflight import require_submittable
from workflows.recipe import Recipe, to_json
from workflows.steps.branching import share_of
from workflows.steps.journal import Journal, find_journal, is_name, listening, open_journal, output_to, show
from workflows.steps.journals import journals
from workflows.steps.labels import Labels
from workflows.steps.run import RunOptions

if TYPE_CHECKING:
    from workflows.sweeps.sweep import Sweep

MAX_PARENTS = 20
"""Maximum number of runs that the driver considers for `--from latest`."""

Say = Callable[[str], None]

Config = TypeVar("Config", bound="Recipe | Sweep")


@dataclass(frozen=True, kw_only=True, slots=True)
class Parents:
    """The runs that a run on a cluster may branch off."""

    runs: tuple[str, ...]
    """Ids of runs, newest first."""
    at: str
    """Fraction of that run's training steps, such as 80% or 0.8."""


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
    """Submit `recipe`, and print where it runs and how to follow it.

    With `parents`, pretraining branches off one of these runs. Local files are uploaded, at most `max_upload` bytes.

    Raises:
        ConfigError: there is no such profile, or its Ray clusters are too small for the recipe.
        LongrunError: the preflight found a problem; `PreflightError` or `RecipeRefused` for several.
        SourceError: the recipe names files that pods cannot read and that are not uploaded, or are too large to be.
        ClusterError: Flyte cannot be reached or refuses the run, or an image is missing; nothing was started.
    """
    chosen = read_profile(settings.home, profile)
    require_room(recipe, chosen, options.until)
    # Flyte has lists and no tuples
    fresh, runs = list(options.fresh), list(parents.runs) if parents else []
    at = parents.at if parents else ""
    changes = list(options.changes)
    facts: dict[str, JSON] = {"recipe": recipe.name, "until": options.until, "fresh": fresh, "changes": changes}
    facts |= {**options.labels.facts(), **({"from": runs, "at": at} if runs else {})}

    def inputs(seen: Recipe, name: str) -> tuple[Any, ...]:
        return to_json(seen), name, options.until, fresh, runs, at, changes, to_json(options.labels)

    return _submitted(recipe, settings, chosen, "run_on_cluster", inputs, facts, say, max_upload)


def submit_sweep(
    sweep: "Sweep", settings: Settings, labels: Labels, *, profile: str, say: Say, max_upload: int = 0
) -> ClusterRun:
    """Submit a sweep as `submit` submits a recipe, with the same errors."""

    def inputs(seen: "Sweep", name: str) -> tuple[Any, ...]:
        return to_json(seen), name, to_json(labels)

    facts = {"recipe": sweep.name, **labels.facts()}
    chosen = read_profile(settings.home, profile)
    return _submitted(sweep, settings, chosen, "sweep_on_cluster", inputs, facts, say, max_upload)


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
    """Submit the task named `task` in `workflows.running`, with the inputs that `inputs` makes of the config and the run's id."""
    home = usable_home(settings.home)
    local = {file.uri for file in unseen(config, chosen)}
    elsewhere = {file.uri for file in file_names(config)} - local
    require_submittable(config, home, elsewhere, str(facts.get("until", "")))
    config = _seen_by_pods(config, chosen, max_upload)
    adopt(chosen)
    keep_flyte_state(home)
    with ThreadPoolExecutor(1) as beside:
        # Ask the registry during the imports below, which take about a second.
        images = beside.submit(require_images, chosen)
        import workflows.running
        from infra.flyte.runs import FlyteRuns

        images.result()
    journal = open_journal(settings.runs)
    run = ClusterRun(name=f"r{journal.name}", profile=chosen, settings=settings)
    noted = {"run": journal.name, **facts, "profile": chosen.name, "artifact_root": chosen.artifact_root, "flyte": run.name}
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
    """The config with locations that pods can read: local files are uploaded, or refused if `max_upload` is 0."""
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
        f"  artifacts {profile.artifact_root}, MLflow {profile.mlflow_uri}",
        "next:",
        f"  {program()} status {name}{home}     # its steps, and what they are waiting for",
        f"  {program()} logs {name}{home}       # the output of the driver, or of a step: longrun logs RUN STEP",
        f"  {program()} cancel {name}{home}     # cancel it",
    ]


def commands_about_model(recipe: Recipe, profile: Profile, settings: Settings) -> list[str]:
    """The commands to inspect the model that a finished run of `recipe` has registered."""
    model, options = recipe.registration.name or recipe.name, f" --profile {profile.name}{home_option(settings)}"
    return [
        "after the run has finished:",
        f"  {program()} models{options}",
        f"  {program()} lineage {model}{options}",
        f"  {program()} verify {model}{options}",
        f"  {program()} generate {model} {shlex.quote(_opening(recipe))} --raw --temperature {TEMPERATURE}{options}",
    ]


def _opening(recipe: Recipe) -> str:
    """A text for the recipe's model to continue; the corpus of the run does not exist yet."""
    from components.curation.text.document import CODE_DOMAINS, domain_matches

    largest = max(recipe.curation.sources, key=lambda source: source.weight)
    return CODE if domain_matches(largest.domain, CODE_DOMAINS) else OTHER


def command_about_law(run: ClusterRun, settings: Settings) -> str:
    """The command that prints the law of a finished sweep."""
    name, profile = run.name.removeprefix("r"), run.profile.name
    return f"after the sweep has finished:\n  {program()} law {name} --profile {profile}{home_option(settings)}"


def parents_of(settings: Settings, run: str, at: str, profile: Profile) -> Parents:
    """The runs on the cluster to which `--from RUN` refers; the driver takes the first that has finished pretraining.

    Raises:
        ConfigError: there is no such run, it ran on this machine or with another store, or `at` is not a fraction.
    """
    share_of(at)
    if run == "latest":
        runs = [journal.name for journal in journals(settings) if _submission(journal, profile)]
        if not runs:
            raise ConfigError(
                f"--from latest: this home has submitted no run with artifact_root {profile.artifact_root}; name a run by its id"
            )
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
            f"--from {run}: the artifacts of run {journal.name} are not in {profile.artifact_root}, from which a run on this "
            "cluster reads the training state to start from; run its recipe with --on cluster first"
        )
    return Parents(runs=(journal.name,), at=at)


def _submission(journal: Journal, profile: Profile) -> bool:
    """Whether the run of a journal was submitted to a cluster with the same artifact store as the profile."""
    events = [event for event in journal.events() if event["event"] == "submitted"]
    return any(event.get("artifact_root", profile.artifact_root) == profile.artifact_root for event in events)


def require_images(profile: Profile) -> None:
    """Raise `ImageMissing` if a registry does not have an image; a registry that requires credentials is assumed to have it."""
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
            f"not in the registry: {', '.join(absent)}; push the images with make push, and copy their "
            "digests from .longrun/images.toml to the profile"
        )
