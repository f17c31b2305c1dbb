"""What is left of a pod's output without Flyte's and Ray's own."""

import json
import logging
import sys
import time

import pytest

from workflows.commands.cluster.log_lines import lines_after, ours

EVENT = {"event": "failed", "time": 1767323045.0, "step": "sft", "error": "TrainingError", "message": "loss is not finite"}
AT = time.strftime("%H:%M:%S", time.localtime(EVENT["time"]))  # type: ignore[arg-type]

PRINTED = f"""\
[r20260102-030405-abcd][a0] [flyte] WARNING Flyte runtime started for action a0 with run name r20260102-030405-abcd
2026-11-30 14:05:49,123\tINFO worker.py:1942 -- Connecting to existing Ray cluster at address: 10.0.0.7:6379...
[2026-11-30 14:05:50,001 W 412 412] core_worker.cc:120: slow
(raylet) node is idle
(TrainController pid=88) [State Transition] INITIALIZING -> SCHEDULING.
(RayTrainWorker pid=412, ip=10.0.0.7) 2026-11-30 14:05:49,123\tINFO config.py:71 -- Setting up process group
Local node IP: 10.0.0.7
--------------------
Ray runtime started.
--------------------

Next steps
  To add another node to this Ray cluster, run
    ray start --address='10.0.0.7:6379'
{json.dumps(EVENT)}
[r20260102-030405-abcd][a0] WARNING a library warns
a table of the user's own, by [flyte] of all things:
    name    rows
(RayTrainWorker pid=412, ip=10.0.0.7) step 12 loss 3.2
2026-11-30 14:05:51,000\tERROR worker.py:12 -- lost a node
[r20260102-030405-abcd][a0] [flyte] ERROR Task failed with error: loss is not finite
Traceback (most recent call last):
  File "/opt/venv/lib/python3.11/site-packages/flyte/_internal/runtime/taskrunner.py", line 120, in run_task
    outputs = await task.execute(**kwargs)

    second = third
components.errors.TrainingError: loss is not finite

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/opt/venv/lib/python3.11/site-packages/flyte/_bin/runtime.py", line 300, in main
    raise error
ValueError: something else
{{"event": "made", "ti"""


def test_our_lines_are_left_with_events_as_on_this_machine_and_a_traceback_as_its_last_line() -> None:
    assert [line for line in ours(PRINTED.splitlines()) if line] == [
        f"{AT}  failed     sft  loss is not finite",
        "WARNING a library warns",
        "a table of the user's own, by [flyte] of all things:",
        "    name    rows",
        "(RayTrainWorker pid=412, ip=10.0.0.7) step 12 loss 3.2",
        "2026-11-30 14:05:51,000\tERROR worker.py:12 -- lost a node",
        "ValueError: something else",
        '{"event": "made", "ti',
    ]


def printed_by(logger: logging.Logger, formatter: logging.Formatter, level: int) -> list[str]:
    """What a logger makes of a failure."""
    try:
        raise ValueError("loss is not finite")
    except ValueError:
        record = logger.makeRecord(logger.name, level, "x.py", 1, "Task failed with error", (), sys.exc_info())
    return formatter.format(record).splitlines()


def test_of_what_flytes_own_logger_prints_the_exception_is_left() -> None:
    from flyte._logging import DEFAULT_CONSOLE_FORMAT, ContextFormatter, logger

    printed = printed_by(logger, ContextFormatter(DEFAULT_CONSOLE_FORMAT, internal_prefix=True), logging.ERROR)
    assert printed[:2] == ["[flyte] ERROR Task failed with error", "Traceback (most recent call last):"]
    assert list(ours(printed)) == ["ValueError: loss is not finite"]


@pytest.mark.ray
@pytest.mark.parametrize(("level", "kept"), [(logging.INFO, False), (logging.WARNING, False), (logging.ERROR, True)])
def test_of_what_rays_own_logger_prints_errors_are_left(level: int, kept: bool) -> None:
    from ray._private.ray_constants import LOGGER_FORMAT

    record = logging.getLogger("ray").makeRecord("ray", level, "/ray/worker.py", 12, "a message", (), None)
    line = logging.Formatter(LOGGER_FORMAT).format(record)
    assert list(ours([line])) == ([line] if kept else [])


def test_a_traceback_in_a_worker_is_its_last_line_with_the_worker() -> None:
    worker = "(RayTrainWorker pid=412) "
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1, in f', "    y[7]", "IndexError: out of range", "next"]
    assert list(ours(worker + line for line in lines)) == [worker + "IndexError: out of range", worker + "next"]


def test_lines_come_as_they_are_printed() -> None:
    printed = iter(["one", "two"])
    shown = ours(printed)
    assert next(shown) == "one"
    assert next(printed) == "two"


def test_what_a_user_prints_with_the_form_of_an_event_stays() -> None:
    assert list(ours(['{"event": "party"}', '{"event": 3}'])) == ['{"event": "party"}', '{"event": 3}']


def test_what_a_log_has_grown_by_is_shown_once_even_where_its_middle_is_left_out_meanwhile() -> None:
    shown = [str(number) for number in range(20)]
    assert lines_after([], shown[:2]) == ["0", "1"]
    assert lines_after(shown, [*shown, "20"]) == ["20"]
    assert lines_after(shown, ["0", "… 40 bytes left out …", *shown[12:], "20", "21"]) == ["20", "21"]
    assert lines_after(shown, ["another"]) == ["another"]
