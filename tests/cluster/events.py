"""Reads the journal's events of a run's steps from `longrun logs`; pods print one event per line."""

import json
from collections.abc import Sequence
from itertools import pairwise

from tests.cluster.site import Json, Site

_START = '{"event": "'


def driver_events(site: Site, run: str) -> list[Json]:
    """Events of a run's driver: what it reused, and how it ended."""
    return events_of(site.on_site("logs", run, "--all", "--json").json)


def step_events(site: Site, run: str, step: str) -> list[Json]:
    """Events of a step's own process: when it started, and what it made."""
    return events_of(site.on_site("logs", run, step, "--all", "--json").json)


def events_of(lines: Sequence[str]) -> list[Json]:
    """The events among the lines of a log, without the prefixes that Ray adds."""
    events = []
    for line in lines:
        _, start, rest = line.partition(_START)
        try:
            event = json.loads(start + rest)
        except ValueError:
            continue
        events.append(event)
    return events


def digests(site: Site, run: str, step: str) -> set[str]:
    """Content digests of the artifacts that a run made or reused in a step."""
    events = driver_events(site, run)
    known = {event["content"] for event in events if event["event"] in {"made", "cached"} and event.get("step") == step}
    made = any(other["task"] == step for other in site.on_site("status", run, "--json").json["steps"])
    if made and not known:
        known = {event["content"] for event in step_events(site, run, step) if event["event"] == "made"}
    return known


def idle_times(site: Site, run: str, steps: Sequence[str]) -> dict[str, float]:
    """Step -> seconds from the end of the previous step to the start of its work, for steps that waited for the previous one."""
    spans = {}
    for step in steps[1:]:
        events = {event["event"]: event["time"] for event in step_events(site, run, step)}
        if {"started", "made"} <= set(events):
            spans[step] = (events["started"], events["made"])
    ordered = sorted(spans.items(), key=lambda span: span[1][0])
    return {step: round(start - ended, 1) for (_, (_, ended)), (step, (start, _)) in pairwise(ordered) if start >= ended}
