"""The one line that tells why something failed or does not start, out of all that Flyte, Kubernetes and Ray say."""

import json

import pytest

from components.errors import ClusterError, ImageMissing, QuotaExceeded
from infra.cluster.failures import MAX_CHARACTERS, explained, is_vague, reason, reason_in_log
from tests.fake_cluster.flyte_service import pod_failure, ray_failure

TRACEBACK = """\
[r1][a0] [flyte] ERROR Task failed with error: loss is not finite
Traceback (most recent call last):
  File "/opt/venv/lib/python3.11/site-packages/flyte/_internal/runtime/taskrunner.py", line 120, in run_task
    outputs = await task.execute(**kwargs)
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/root/code/workflows/steps/step.py", line 150, in make
    figures = call(work)
components.errors.TrainingError: loss is not finite at step 3; lower the learning rate

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/opt/venv/lib/python3.11/site-packages/flyte/_bin/runtime.py", line 300, in main
    raise error
flyte.errors.RuntimeUserError: task failed
[r1][a0] [flyte] WARNING Flyte runtime completed for action a0 with run name r1
"""
OURS = "TrainingError: loss is not finite at step 3; lower the learning rate"
WRAPPINGS = {"a pod": pod_failure(1, TRACEBACK), "a Ray job": ray_failure(TRACEBACK), "nothing": TRACEBACK}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_of_two_hundred_lines_our_own_error_is_left(wrapping: str) -> None:
    assert reason(WRAPPINGS[wrapping]) == OURS


def test_the_end_of_a_traceback_whose_beginning_is_cut_off_is_read_too() -> None:
    assert reason(pod_failure(1, TRACEBACK[300:])) == OURS


def test_the_failure_that_a_step_has_written_into_its_journal_is_the_best_word() -> None:
    event = json.dumps({"event": "failed", "time": 1.0, "step": "sft", "error": "CheckFailed", "message": "too few rows"})
    assert reason(ray_failure(f"{event}\n{TRACEBACK}")) == "CheckFailed: too few rows"
    assert reason(ray_failure(f'{{"event": "failed", "ti\n{TRACEBACK}')) == OURS


def test_a_bug_is_named_by_its_exception_and_so_is_one_in_a_worker() -> None:
    worker = "(RayTrainWorker pid=412, ip=10.0.0.7) "
    lines = ['  File "/root/code/components/x.py", line 3, in f', "    y[7]", "IndexError: list index out of range"]
    assert reason("\n".join(lines)) == "IndexError: list index out of range"
    assert reason("\n".join(worker + line for line in lines)) == "IndexError: list index out of range"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (pod_failure(1), "exited with code 1"),
        (pod_failure(1, "bash: a0: command not found"), "exited with code 1: bash: a0: command not found"),
        (pod_failure(137, "step 12", reason="OOMKilled"), "out of memory (OOMKilled): step 12"),
        (pod_failure(137), "killed (signal 9), usually because it ran out of memory"),
        (ray_failure("step 9\n", -11), "segmentation fault: step 9"),
        (ray_failure("Fatal: torn down", 139), "segmentation fault: Fatal: torn down"),
        ("[AppFailed] Job entrypoint command failed with exit code 1. No logs available.", "exited with code 1: [AppFailed]"),
        ("Grace period [3m0s] exceeded|[ImagePullBackOff]: Back-off", "[ImagePullBackOff]: Back-off"),
        ("vocabulary is too small", "vocabulary is too small"),
        ("two\n  lines", "two lines"),
        ("", ""),
    ],
)
def test_without_an_exception_the_exit_code_and_what_was_printed_last_are_left(message: str, expected: str) -> None:
    assert reason(message) == expected


def test_a_crash_in_native_code_is_told_with_the_innermost_frame_and_not_by_what_its_watch_says_after_it() -> None:
    printed = """\
step 12
Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/opt/venv/torch/autograd.py", line 20 in backward
  File "/root/code/components/training/loop.py", line 70 in train

Extension modules: numpy.core._multiarray_umath (total: 1)
longrun: logs could not be saved: StoreError: no answer
"""
    expected = 'segmentation fault, in File "/opt/venv/torch/autograd.py", line 20 in backward'
    assert reason(ray_failure(printed, 139)) == reason_in_log(printed.splitlines()) == expected
    assert (
        reason(pod_failure(137, "step 12\nlongrun: logs could not be saved"))
        == "killed (signal 9), usually because it ran out of memory: step 12"
    )


def test_a_reason_is_short_and_one_that_says_nothing_is_known_as_vague() -> None:
    assert len(reason("x" * 10 * MAX_CHARACTERS)) == MAX_CHARACTERS
    assert [is_vague(reason(pod_failure(1))), is_vague(""), is_vague(OURS)] == [True, True, False]


@pytest.mark.parametrize(
    ("message", "kind", "remedy"),
    [
        ("Back-off pulling image: ImagePullBackOff", ImageMissing, "push the images"),
        ("manifest unknown", ImageMissing, "push the images"),
        ('pods "x" is forbidden: exceeded quota: longrun', QuotaExceeded, "raise quota.hard"),
        ("failed quota: longrun: must specify limits.cpu", QuotaExceeded, "raise quota.hard"),
        ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu", ClusterError, "wait until a node is free"),
        ("out of memory (OOMKilled)", ClusterError, "the step more memory"),
        ('secret "object-store" not found', ClusterError, "kubectl get secrets"),
        ('persistentvolumeclaim "texts" not found', ClusterError, "check the profile's checkpoint_claim"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', ClusterError, "longrun deploy"),
    ],
)
def test_what_kubernetes_says_of_pods_that_do_not_start_has_a_remedy(message: str, kind: type[ClusterError], remedy: str) -> None:
    meaning = explained(message)
    assert meaning is not None
    assert meaning[0] is kind
    assert remedy in meaning[1]


def test_any_other_message_is_not_explained() -> None:
    assert explained("Started container primary") is None
