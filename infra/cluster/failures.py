"""What Flyte, Kubernetes and Ray say of a failure, or of a pod that does not start: the one line that tells why, and what to do.

What they say is long: Flyte's message holds the last 2 KiB that a pod has printed, or the last 20,000 characters of a Ray job
(flyteorg/flyte v2.0.43, below flyteplugins/go/tasks: pluginmachinery/flytek8s/pod_helper.go, plugins/k8s/ray/ray.go).
"""

import json
import re
from collections.abc import Iterator, Sequence

from components import errors
from components.errors import ClusterError, ImageMissing, QuotaExceeded, single_line

MAX_CHARACTERS = 500
"""Of one reason."""

_MEMORY = "give the step's environment more memory in the profile, or lower the recipe's batch"

_PROBLEMS: tuple[tuple[str, type[ClusterError], str], ...] = (
    (
        r"ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|[Ff]ailed to pull image|manifest unknown",
        ImageMissing,
        "make images, push them, and put their digests into the profile; private registries need the chart's images.pullSecrets",
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
        "make the Secret that the profile's [secrets] name: kubectl get secrets",
    ),
    (
        r"FailedMount|FailedAttachVolume|persistentvolumeclaim \S+ not found|unbound immediate PersistentVolumeClaims",
        ClusterError,
        "look at the claims that the profile names: longrun doctor --cluster",
    ),
    (
        r"serviceaccount \S+ not found|violates PodSecurity|no PriorityClass with name",
        ClusterError,
        "install charts/longrun under the profile's release and namespace: longrun deploy",
    ),
    (
        r"failed calling webhook",
        ClusterError,
        "a webhook does not answer; look at Flyte's pod: kubectl get pods",
    ),
    (
        r"FailedScheduling|Unschedulable|nodes are available",
        ClusterError,
        "wait until nodes are free, add some, or see what is lacking: longrun doctor --cluster",
    ),
    (
        r"KubeRay has not taken",
        ClusterError,
        "look at its operator: kubectl get pods --selector app.kubernetes.io/name=kuberay-operator",
    ),
)
"""What Kubernetes says of pods that do not start or end early, what that is, and what to do."""

_SIGNALS = {
    137: "killed (signal 9), most often for want of memory",
    139: "segmentation fault",
    143: "ended from outside (signal 15): its pod was deleted or evicted",
}
"""Exit codes of a shell; Ray's job manager says the signal as a negative number instead."""

_OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.LongrunError)}
_FATAL = re.compile(r"Fatal Python error: (?P<what>.+)")
"""What Python's fault handler prints of a process that ends in the middle of native code; a frame follows."""

_OF_WATCH = "longrun: "
"""What `infra.pod.watch` says beside the step, such as that logs were not kept."""

_EXCEPTION = re.compile(r"(?:[\w.]+\.)?(?P<kind>[A-Za-z_]\w*)(?P<what>: .*|$)")
_FRAME = re.compile(r'\s+File ".*", line \d+')
_CODE_OF_FRAME = re.compile(r"    \S")
"""What is left of the first frame of a traceback whose beginning is cut off."""

_PRINTED_BY = re.compile(r"\((?:[\w.]+ )?pid=\d+[^)]*\) ?")
_CODE = re.compile(r"exit code \(?(-?\d+)\)?|exit status (\d+)")
_VAGUE = re.compile(r"ended with exit code -?\d+|Flyte has no reason for it yet|.*: resource not found, name .*|Error")
_WRAPPING = (
    re.compile(r"Failed to run Ray job \S+ with error: \[\w*\]"),
    re.compile(r"Job entrypoint command failed with exit code -?\d+(, last available logs \([^)]*\):|\. No logs available\.)"),
    re.compile(r"\[[^\]]*\] terminated with exit code \(-?\d+\)\. Reason \[(?P<why>\w*)\]\. Message:"),
    re.compile(r"Grace period \[\w+\] exceeded\|"),
    re.compile(r"Pod failed\. No message received from kubernetes\."),
)
"""What stands around the reason in what Flyte and Ray's job manager say."""


def explained(message: str) -> tuple[type[ClusterError], str] | None:
    """What a message of Kubernetes means, and the remedy; None where it is none of those that have one."""
    return next(((kind, remedy) for pattern, kind, remedy in _PROBLEMS if re.search(pattern, message)), None)


def reason(message: str) -> str:
    """The line that says why, `MAX_CHARACTERS` at most: our own error, else the last exception, else what was printed last.

    Empty where the message says no more than that something has failed.
    """
    lines = [unprefixed(line) for line in message.splitlines()]
    line = _failed_event(lines) or _fatal(lines) or _exception(lines) or _ending(message)
    return single_line(line, MAX_CHARACTERS)


def reason_in_log(lines: Sequence[str]) -> str:
    """The same of a log: our own error, else the last exception, else the last line that is not empty."""
    bare = [unprefixed(line) for line in lines]
    last = next((line for line in reversed(bare) if line.strip() and not line.startswith(_OF_WATCH)), "")
    return single_line(_failed_event(bare) or _fatal(bare) or _exception(bare) or last, MAX_CHARACTERS)


def is_vague(message: str) -> bool:
    """Whether a reason says that something has ended, and not why."""
    return not message or bool(_VAGUE.fullmatch(message))


def unprefixed(line: str) -> str:
    """A printed line without the process that Ray names before it."""
    return _PRINTED_BY.sub("", line, count=1) if line.startswith("(") else line


def exceptions(lines: Sequence[str]) -> Iterator[str]:
    """The last line of each traceback, which names the exception."""
    in_traceback = False
    for line in lines:
        if _FRAME.match(line) or _CODE_OF_FRAME.match(line):
            in_traceback = True
        elif in_traceback and line.strip() and not line.startswith((" ", "\t")):
            in_traceback = False
            if _EXCEPTION.fullmatch(line.strip()):
                yield line.strip()


def _failed_event(lines: Sequence[str]) -> str:
    """The failure that a step has printed into its journal before it ended."""
    for line in reversed(lines):
        if line.startswith('{"event": "failed"'):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            return f"{event['error']}: {event['message']}"
    return ""


def _fatal(lines: Sequence[str]) -> str:
    """The last crash in native code, with the innermost frame of Python."""
    for number in reversed(range(len(lines))):
        if (match := _FATAL.fullmatch(lines[number].strip())) is not None:
            frame = next((line.strip() for line in lines[number:] if _FRAME.match(line)), "")
            return f"{match['what'].strip().lower()}{frame and f', in {frame}'}"
    return ""


def _exception(lines: Sequence[str]) -> str:
    matches = [match for line in exceptions(lines) if (match := _EXCEPTION.fullmatch(line))]
    best = [match for match in matches if match["kind"] in _OURS] or matches
    return f"{best[-1]['kind']}{best[-1]['what']}" if best else ""


def _ending(message: str) -> str:
    """What was printed last, with what the exit code means."""
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
    return ": ".join(filter(None, (what or f"ended with exit code {code}", last)))
