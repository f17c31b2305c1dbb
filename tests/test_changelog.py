"""The changelog: dated releases, newest first, and the version that the package has."""

import re
import tomllib

import yaml

from tests.paths import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
RELEASES = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+) — (\d{4}-\d{2}-\d{2})")


def test_every_release_has_a_version_and_a_date_and_the_newest_stands_first() -> None:
    assert RELEASES[0] == "Unreleased"
    matches = [RELEASE.fullmatch(release) for release in RELEASES[1:]]
    assert None not in matches
    versions = [(tuple(map(int, match.groups()[:3])), match[4]) for match in matches if match]
    assert versions == sorted(versions, reverse=True)


def test_package_and_chart_have_the_version_of_the_newest_release() -> None:
    newest = RELEASES[1].split()[0]
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"] == newest
    chart = yaml.safe_load((ROOT / "charts" / "longrun" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (newest, newest)


def test_a_change_is_a_line_or_two() -> None:
    changes = re.findall(r"^- .*(?:\n  .*)*", TEXT, re.MULTILINE)
    assert [change for change in changes if len(change) > 400] == []
