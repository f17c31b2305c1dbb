"""Releases and the commands that install them; a helm that refuses."""

import shlex
import sys
from pathlib import Path

import pytest

from components.errors import ClusterError, ConfigError
from infra.cluster import helm
from tests.infra.conftest import sample_profile


def test_releases_come_in_the_order_in_which_they_need_one_another_each_of_a_pinned_version() -> None:
    own, kuberay, flyte = helm.releases(sample_profile(release="longrun"), ["production"], [])
    assert [release.name for release in (own, kuberay, flyte)] == ["longrun", "kuberay", "flyte"]
    assert kuberay.version
    assert flyte.version
    assert (own.repository, own.version) == ("", "")


def test_values_come_before_single_settings_which_go_over_them() -> None:
    own = helm.releases(sample_profile(), ["trial"], [])[0]
    command = helm.upgrade(own, sample_profile(), program="/opt/helm")
    assert command[:3] == ["/opt/helm", "upgrade", "--install"]
    assert command.index("--values") < command.index("--set-string")
    assert command[-3:] == ["--wait", "--timeout", helm.TIMEOUT]
    assert "--kube-context" not in command


def test_a_template_needs_no_cluster_and_waits_for_nothing() -> None:
    own = helm.releases(sample_profile(), ["trial"], [])[0]
    command = helm.template(own, sample_profile())
    assert command[:4] == ["helm", "template", "longrun", str(helm.CHARTS / "longrun")]
    assert "--wait" not in command


def test_values_of_the_users_own_say_themselves_where_images_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("{}")
    own = helm.releases(sample_profile(), ["trial", str(path)], [])[0]
    assert own.settings == ()
    assert own.values == (helm.CHARTS / "longrun" / "ci" / "trial-values.yaml", path)


@pytest.mark.parametrize(("values", "message"), [([], "--values is missing"), (["absent.yaml"], r"no values file absent\.yaml")])
def test_values_that_are_missing_are_named(values: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        helm.releases(sample_profile(), values, [])


def test_a_command_that_fails_is_one_line_with_what_was_printed_last() -> None:
    own = helm.releases(sample_profile(), ["trial"], [])[0]
    program = "import sys; print('notes'); sys.exit('level=WARN\\nError: no such chart' if sys.argv[1] == 'upgrade' else 0)"
    assert helm.run([sys.executable, "-c", program, "template"], own) == "notes\n"
    with pytest.raises(ClusterError, match=r"^helm .* longrun: Error: no such chart; .*: helm status longrun$"):
        helm.run([sys.executable, "-c", program, "upgrade"], own)


def test_without_helm_on_the_path_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"install helm 3\.14"):
        helm.helm()


def test_flytes_values_are_refused_for_a_namespace_that_they_do_not_fit() -> None:
    elsewhere = sample_profile(namespace="team")
    with pytest.raises(ConfigError, match="--flyte-values"):
        helm.releases(elsewhere, ["trial"], [])


def test_images_of_a_shape_are_those_of_the_profile() -> None:
    own, _, _ = helm.releases(sample_profile(), ["trial"], [])
    assert own.settings[:2] == (
        "images.core.repository=registry.example.org:5000/longrun/core",
        f"images.core.digest=sha256:{'0' * 64}",
    )


def test_kuberay_has_the_priority_class_that_the_release_before_it_makes(tmp_path: Path) -> None:
    more = tmp_path / "flyte.yaml"
    more.touch()
    own, kuberay, _ = helm.releases(sample_profile(release="lr"), ["trial"], [str(more)])
    assert own.name == "lr"
    assert kuberay.settings == ("priorityClassName=lr-services",)


def test_a_name_with_a_blank_stays_one_argument() -> None:
    release = helm.releases(sample_profile(context="my cluster; rm -rf /"), ["trial"], [])[0]
    command = helm.upgrade(release, sample_profile(context="my cluster; rm -rf /"))
    assert command[command.index("--kube-context") + 1] == "my cluster; rm -rf /"
    assert shlex.split(shlex.join(command)) == command
