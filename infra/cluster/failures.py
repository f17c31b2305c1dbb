"""Finds the one line that explains a failure in messages of Flyte, Kubernetes and Ray, and the remedy for it.

The messages are long: Flyte's contains the last 2 KiB of a pod's output, or the last 20,000 characters of a Ray job's
(flyteorg/flyte v2.0.43, below flyteplugins/go/tasks: pluginmachinery/flytek8s/pod_helper.go, plugins/k8s/ray/ray.go).
"""

import json
import re
from collections.abc import Iterator, Sequence

from components.errors import ClusterError, ImageMissing, QuotaExceeded, error_named, single_line

MAX_CHARACTERS = 500
"""Longest reason that is shown."""

_MEMORY = "give the step more memory ([sizes.POD] in the profile), or use a smaller batch in the recipe"

_PROBLEMS: tuple[tuple[str, type[ClusterError], str], ...] = (
    (
        r"ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|[Ff]ailed to pull image|manifest unknown",
        ImageMissing,
        "push the images (make push) and put their digests into the profile; a private registry needs images.pullSecrets",
    ),
    (
        r"(?i)exceeded quota|quota exceeded|insufficient quota|must specify limits|failed quota",
        QuotaExceeded,
        "raise quota.hard in the chart's values, or lower the profile's workers or gpus_per_worker",
    ),
    (r"OOMKilled|out of memory", ClusterError, _MEMORY),
    (
        r"[Ss]ecret \S+ not found|find key \S+ in Secret|CreateContainerConfigError",
        ClusterError,
        "create the Secret that [secrets] in the profile refers to; list them with: kubectl get secrets",
    ),
    (
        r"FailedMount|FailedAttachVolume|persistentvolumeclaim \S+ not found|unbound immediate PersistentVolumeClaims",
        ClusterError,
        "check the profile's checkpoint_claim and source_claim: longrun doctor --cluster",
    ),
    (
        r"serviceaccount \S+ not found|violates PodSecurity|no PriorityClass with name",
        ClusterError,
        "install charts/longrun with the profile's release and namespace: longrun deploy",
    ),
    (
        r"failed calling webhook",
        ClusterError,
        "an admission webhook does not answer; check that Flyte's pod runs: kubectl get pods",
    ),
    (
        r"FailedScheduling|Unschedulable|nodes are available",
        ClusterError,
        "wait until a node is free, add nodes, or see what is missing: longrun doctor --cluster",
    ),
    (
        r"KubeRay has not taken",
        ClusterError,
        "check KubeRay's operator: kubectl get pods --selector app.kubernetes.io/name=kuberay-operator",
    ),
)
"""For pods that do not start or that fail: pattern of Kubernetes' message, the error it means, and the remedy."""

_SIGNALS = {
    137: "killed (signal 9), usually because it ran out of memory",
    139: "segmentation fault",
    143: "terminated (signal 15): its pod was deleted or evicted",
}
"""Exit codes as a shell reports them, 128 + signal; Ray's job manager reports -signal instead."""

_FATAL = re.compile(r"Fatal Python error: (?P<what>.+)")
"""Printed by Python's faulthandler when a process crashes in native code; stack frames follow."""

_OF_WATCH = "longrun: "
"""Prefix of the lines that `infra.pod.watch` adds to a step's output, such as that logs could not be saved."""

_EXCEPTION = re.compile(r"(?:[\w.]+\.)?(?P<kind>[A-Za-z_]\w*)(?P<what>: .*|$)")
_FRAME = re.compile(r'\s+File ".*", line \d+')
_CODE_OF_FRAME = re.compile(r"    \S")
"""The code line of a traceback's frame: all that remains of a first frame whose start was truncated."""

_PRINTED_BY = re.compile(r"\((?:[\w.]+ )?pid=\d+[^)]*\) ?")
_CODE = re.compile(r"exit code \(?(-?\d+)\)?|exit status (\d+)")
_VAGUE = re.compile(r"exited with code -?\d+|Flyte does not know the reason yet|.*: resource not found, name .*|Error")
_WRAPPING = (
    re.compile(r"Failed to run Ray job \S+ with error: \[\w*\]"),
    re.compile(r"Job entrypoint command failed with exit code -?\d+(, last available logs \([^)]*\):|\. No logs available\.)"),
    re.compile(r"\[[^\]]*\] terminated with exit code \(-?\d+\)\. Reason \[(?P<why>\w*)\]\. Message:"),
    re.compile(r"Grace period \[\w+\] exceeded\|"),
    re.compile(r"Pod failed\. No message received from kubernetes\."),
)
"""Text that Flyte and Ray's job manager put around the reason."""


def explained(message: str) -> tuple[type[ClusterError], str] | None:
    """The error class and the remedy for a message of Kubernetes; None if the message is not a known problem."""
    return next(((kind, remedy) for pattern, kind, remedy in _PROBLEMS if re.search(pattern, message)), None)


def reason(message: str) -> str:
    """The line of a message that says why something failed, at most `MAX_CHARACTERS` long.

    Prefers an error of longrun, then the last exception, then the last output.

    Empty if the message gives no reason.
    """
    lines = [unprefixed(line) for line in message.splitlines()]
    line = _failed_event(lines) or _fatal(lines) or _exception(lines) or _ending(message)
    return single_line(line, MAX_CHARACTERS)


def reason_in_log(lines: Sequence[str]) -> str:
    """The line of a log that says why something failed: an error of longrun, else the last exception, else the last line."""
    bare = [unprefixed(line) for line in lines]
    last = next((line for line in reversed(bare) if line.strip() and not line.startswith(_OF_WATCH)), "")
    return single_line(_failed_event(bare) or _fatal(bare) or _exception(bare) or last, MAX_CHARACTERS)


def is_vague(message: str) -> bool:
    """Whether a reason says only that something ended, and not why."""
    return not message or bool(_VAGUE.fullmatch(message))


def unprefixed(line: str) -> str:
    """A line of output without the `(name pid=…)` prefix that Ray adds."""
    return _PRINTED_BY.sub("", line, count=1) if line.startswith("(") else line


def exceptions(lines: Sequence[str]) -> Iterator[str]:
    """The last line of each traceback in a log, such as `ValueError: …`."""
    in_traceback = False
    for line in lines:
        if _FRAME.match(line) or _CODE_OF_FRAME.match(line):
            in_traceback = True
        elif in_traceback and line.strip() and not line.startswith((" ", "\t")):
            in_traceback = False
            if _EXCEPTION.fullmatch(line.strip()):
                yield line.strip()


def _failed_event(lines: Sequence[str]) -> str:
    """The error in the last `failed` event of the journal that a step prints; empty if there is none."""
    for line in reversed(lines):
        if line.startswith('{"event": "failed"'):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            return f"{event['error']}: {event['message']}"
    return ""


def _fatal(lines: Sequence[str]) -> str:
    """The last crash in native code, with the innermost Python frame; empty if there is none."""
    for number in reversed(range(len(lines))):
        if (match := _FATAL.fullmatch(lines[number].strip())) is not None:
            frame = next((line.strip() for line in lines[number:] if _FRAME.match(line)), "")
            return f"{match['what'].strip().lower()}{frame and f', in {frame}'}"
    return ""


def _exception(lines: Sequence[str]) -> str:
    matches = [match for line in exceptions(lines) if (match := _EXCEPTION.fullmatch(line))]
    best = [match for match in matches if error_named(match["kind"], "")] or matches
    return f"{best[-1]['kind']}{best[-1]['what']}" if best else ""


def _ending(message: str) -> str:
    """The last line of output, with the meaning of the exit code."""
    code, why, text = 0, "", message
    if (match := _CODE.search(message)) is not None:
        code = int(match[1] or match[2])
    for pattern in _WRAPPING:
        for match in pattern.finditer(text):
            why = match.groupdict().get("why") or why
        text = pattern.sub("\n", text)
    printed = [line.strip() for line in text.splitlines() if line.strip(" .\r\t") and not line.startswith(_OF_WATCH)]
    if not code:
        return " ".join(printed)
    what = "out of memory (OOMKilled)" if why == "OOMKilled" else _SIGNALS.get(code if code > 0 else 128 - code, "")
    last = printed[-1].removesuffix(".") if printed else ""
    return ": ".join(filter(None, (what or f"exited with code {code}", last)))
