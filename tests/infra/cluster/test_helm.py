"""Releases and the commands that install them; a helm that refuses."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from components.errors import ClusterError, ConfigError
from infra.cluster import helm
from infra.cluster.helm import Release, Sources
from infra.cluster.service_images import CHARTS
from tests.infra.conftest import sample_profile


def planned(*values: str, **sources: Any) -> list[Release]:
    return helm.releases(sample_profile(), Sources(values=values, **sources))


def test_releases_come_in_the_order_in_which_they_need_one_another_each_of_a_pinned_version() -> None:
    own, kuberay, flyte = planned("production")
    assert [release.name for release in (own, kuberay, flyte)] == ["longrun", "kuberay", "flyte"]
    assert kuberay.version
    assert flyte.version
    assert (own.repository, own.version) == ("", "")


def test_values_come_before_single_settings_which_go_over_them() -> None:
    own = planned("trial")[0]
    command = helm.upgrade(own, sample_profile(), program="/opt/helm")
    assert command[:3] == ["/opt/helm", "upgrade", "--install"]
    assert command.index("--values") < command.index("--set-string")
    assert command[-3:] == ["--wait", "--timeout", helm.TIMEOUT]
    assert "--kube-context" not in command


def test_a_template_needs_no_cluster_and_waits_for_nothing() -> None:
    own = planned("trial")[0]
    command = helm.template(own, sample_profile())
    assert command[:4] == ["helm", "template", "longrun", str(CHARTS / "longrun")]
    assert "--wait" not in command


def test_values_of_the_users_own_say_themselves_where_images_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("{}")
    own = planned("trial", str(path))[0]
    assert own.settings == ()
    assert own.values == (CHARTS / "longrun" / "ci" / "trial-values.yaml", path)


@pytest.mark.parametrize(("values", "message"), [([], "--values is missing"), (["absent.yaml"], r"absent\.yaml does not exist")])
def test_values_that_are_missing_are_named(values: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        planned(*values)


def test_a_command_that_fails_is_one_line_with_what_was_printed_last() -> None:
    own = planned("trial")[0]
    program = "import sys; print('notes'); sys.exit('level=WARN\\nError: no such chart' if sys.argv[1] == 'upgrade' else 0)"
    assert helm.run([sys.executable, "-c", program, "template"], own.name) == "notes\n"
    with pytest.raises(ClusterError, match=r"^helm .* longrun failed: Error: no such chart; .*: helm status longrun$"):
        helm.run([sys.executable, "-c", program, "upgrade"], own.name)


def test_without_helm_on_the_path_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"install helm 3\.14"):
        helm.helm()


def test_flytes_values_are_refused_for_a_namespace_that_they_do_not_fit() -> None:
    elsewhere = sample_profile(namespace="team")
    with pytest.raises(ConfigError, match="--flyte-values"):
        helm.releases(elsewhere, Sources(values=["trial"]))


def test_images_of_a_shape_are_those_of_the_profile() -> None:
    own, _, _ = planned("trial")
    assert {
        "images.core.repository=registry.example.org:5000/longrun/core",
        f"images.core.digest=sha256:{'0' * 64}",
        "images.tracking.repository=registry.example.org:5000/longrun/tracking",
    } <= set(own.settings)
    assert not [setting for setting in own.settings if "postgres" in setting]


def test_a_name_with_a_blank_stays_one_argument() -> None:
    release = planned("trial")[1]
    command = helm.upgrade(release, sample_profile(context="my cluster; rm -rf /"))
    assert command[command.index("--kube-context") + 1] == "my cluster; rm -rf /"
    assert shlex.split(shlex.join(command)) == command


def chart(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n")
    return folder / name


def test_charts_come_from_a_folder_an_archive_an_oci_registry_or_a_mirror(tmp_path: Path) -> None:
    kuberay = chart(tmp_path, "kuberay-operator")
    flyte = tmp_path / "flyte-binary-v2.0.43.tgz"
    flyte.touch()
    _, first, second = planned("trial", charts=[str(tmp_path)])
    assert (first.chart, first.repository, first.version) == (str(kuberay), "", "")
    assert (second.chart, second.repository, second.version) == (str(flyte), "", "")
    _, first, second = planned("trial", charts=["oci://mirror.example.com/charts/", f"kuberay={kuberay}"])
    assert (first.chart, second.chart) == (str(kuberay), "oci://mirror.example.com/charts/flyte-binary")
    command = helm.upgrade(second, sample_profile())
    assert command[command.index("--version") + 1] == "v2.0.43"
    assert "--repo" not in command
    _, first, _ = planned("trial", charts=["kuberay=https://mirror.example.com/charts"])
    assert (first.chart, first.repository) == ("kuberay-operator", "https://mirror.example.com/charts")


@pytest.mark.parametrize(
    ("charts", "message"),
    [
        ("absent", r"--charts absent: contains neither kuberay-operator nor kuberay-operator-1\.7\.0\.tgz"),
        ("ray=oci://x", r"--charts ray=oci://x: unknown chart 'ray'; allowed: PLACE, kuberay=PLACE, flyte=PLACE"),
    ],
)
def test_places_without_charts_are_named(charts: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        planned("trial", charts=[charts])


def test_kuberay_gets_the_priority_class_of_the_release_that_comes_before_it() -> None:
    own, kuberay, _ = helm.releases(sample_profile(release="team"), Sources(values=["trial"], flyte_values=["trial"]))
    assert own.name == "team"
    assert "priorityClassName=team-services" in kuberay.settings


def test_what_is_uninstalled_need_not_be_there() -> None:
    command = helm.uninstall("flyte", sample_profile(context="site"))
    assert command[:6] == ["helm", "uninstall", "flyte", "--namespace", "longrun", "--kube-context"]
    assert "--ignore-not-found" in command
