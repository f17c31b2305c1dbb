"""The output of a step's pod, without the lines that Flyte and Ray print themselves.

Events of the journal, which a pod prints as JSON, are formatted as for local runs. A traceback is reduced to its last line, which
names the exception, and is dropped if an event has already reported it. Any line not known to be Flyte's or Ray's is kept.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from infra.cluster.failures import unprefixed
from workflows.commands.runs import event_lines
from workflows.steps.journal import Event

_NOISE = re.compile(
    r"""
    (\[[^]]*\]\[[^]]*\]\ )?\[flyte\]\                                      # Flyte's own logger
    | Flyte\ runtime\ (started|completed)
    | \[?\d{4}-\d\d-\d\d\ \d\d:\d\d:\d\d,\d{3}\s+(INFO|WARNING)\s+\w+\.py:\d+\ --\   # Ray in Python
    | \[\d{4}-\d\d-\d\d\ \d\d:\d\d:\d\d,\d{3}\ [IWE]\ \d+\ \d+\]           # Ray in C++
    | \((raylet|gcs_server|autoscaler|dashboard|TrainController|SplitCoordinator)\b   # processes of Ray
    | \[State\ Transition\]|\[FailurePolicy\]
    | Traceback\ \(most\ recent\ call\ last\):
    | The\ above\ exception\ was\ the\ direct\ cause|During\ handling\ of\ the\ above\ exception
    | \s*(Local\ node\ IP|Ray\ runtime\ started|Usage\ stats\ collection|Next\ steps
      |To\ (add\ another\ node|connect\ to\ this\ Ray|submit\ a\ Ray\ job
      |terminate\ the\ Ray\ runtime|view\ the\ status|monitor\ and\ debug\ Ray)
      |This\ command\ will\ now\ block\ forever|Running\ subprocesses\ are\ monitored)
    | \s*(import\ ray|ray\.init\(|ray\ (start|stop|status)\b|RAY_API_SERVER_ADDRESS=|See\ https://docs\.ray\.io
      |for\ more\ information\ on\ submitting\ Ray\ jobs|--block)
    | -{10,}$
    """,
    re.VERBOSE,
)
_TAIL_LINES = 5
"""Number of printed lines by which the end of the output so far is found in a log."""

_LOGGED_BY = re.compile(r"\[r[\w-]+\]\[\w+\] (?!\[flyte\])")
"""The prefix that Flyte's runtime puts before each logged line: run and action."""

_FRAME = re.compile(r'\s+File ".*", line \d+')
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(: |$)")


def ours(lines: Iterable[str]) -> Iterator[str]:
    """The lines without those of Flyte and Ray, as they arrive."""
    told: set[str] = set()
    in_traceback = after_traceback = False
    for printed in lines:
        line = _LOGGED_BY.sub("", printed, count=1)
        bare = unprefixed(line)
        blank, indented = not bare.strip(), bare.startswith((" ", "\t"))
        if _FRAME.match(bare) or bare.startswith("Traceback (most recent"):
            in_traceback = True
        elif (in_traceback and (blank or indented)) or (after_traceback and blank) or _NOISE.match(bare):
            continue
        elif in_traceback and _EXCEPTION.match(bare):
            in_traceback, after_traceback = False, True
            message = bare.partition(": ")[2]
            if message not in told:
                told.add(message)
                yield line
        else:
            in_traceback = after_traceback = False
            event = _event(bare)
            if event is not None:
                told.add(str(event.get("message", "")))
            yield event_lines([event])[0] if event else line


def lines_after(shown: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """The lines of a log that come after those already `shown`.

    A log that has grown beyond the size that the store keeps has lost its middle, so the last shown lines are searched for.
    """
    if list(now[: len(shown)]) == list(shown):
        return now[len(shown) :]
    tail = list(shown[-_TAIL_LINES:])
    for end in range(len(now), len(tail) - 1, -1):
        if list(now[end - len(tail) : end]) == tail:
            return now[end:]
    return now


def _event(line: str) -> Event | None:
    if not line.startswith('{"event": "'):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and {"event", "time"} <= set(event) else None
