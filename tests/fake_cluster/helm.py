"""A fake helm that logs its calls, fails for a chosen release, and tells a fake cluster what it uninstalls."""

import json
import sys
from pathlib import Path

import pytest

from tests.fake_cluster.api_server import ApiServer

PROGRAM = f"""#!{sys.executable}
import json, os, sys, urllib.error, urllib.request
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls"), "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
name = sys.argv[2] if sys.argv[1] == "uninstall" else sys.argv[3]
if name == os.environ.get("HELM_REFUSES"):
    sys.exit("level=WARN msg=ignored\\nError: UPGRADE FAILED: context deadline exceeded")
if sys.argv[1] == "uninstall":
    try:
        urllib.request.urlopen(f"{{os.environ['HELM_CLUSTER']}}/helm/uninstall/{{name}}")
    except urllib.error.HTTPError as error:
        sys.exit(error.read().decode())
print("STATUS: deployed\\nNOTES:\\nnotes of " + name)
"""

UNINSTALL = "/helm/uninstall/"
"""URL path at which it reports what it uninstalls."""

FLYTES, KUBERAYS = "flyte.org/plugin-finalizer", "ray.io/rayjob-finalizer"
"""flyte v2.0.43, executor/pkg/controller/taskaction_controller.go; kuberay v1.7.0, controllers/ray/utils/constant.go."""


def uninstall(server: ApiServer, release: str) -> str:
    """Do what `helm uninstall` does to a cluster; returns its error message if it fails.

    Deployment and resource definition of Flyte are deleted together: then nobody takes the finalizers off its actions, and the
    definition waits for them. KubeRay's definitions are no part of its release.
    """
    deployment, finalizer = {"flyte": ("flyte", FLYTES), "kuberay": ("kuberay-operator", KUBERAYS)}.get(release, ("", ""))
    server.objects.pop(("deployments", "longrun", deployment), None)
    server.serving.discard(finalizer)
    if release == "flyte":
        for action in server.of("taskactions"):
            server.handle("DELETE", f"/apis/flyte.org/v1/namespaces/longrun/taskactions/{action['metadata']['name']}")
        if server.of("taskactions"):
            return "Error: failed to delete release: flyte: context deadline exceeded"
        server.served.discard("taskactions")
    return ""


def on_path(folder: Path, cluster: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make it the only program on the PATH; returns the file with its calls. `cluster` is the URL of a fake cluster."""
    program = folder / "bin" / "helm"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("HELM_CLUSTER", cluster)
    return program.with_name("calls")


def recorded(calls: Path) -> list[list[str]]:
    """The calls in order."""
    return [json.loads(line) for line in calls.read_text().splitlines()] if calls.is_file() else []


def refuse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it fail for a release; for none if the name is empty."""
    monkeypatch.setenv("HELM_REFUSES", name)
