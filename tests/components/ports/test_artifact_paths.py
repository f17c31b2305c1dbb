"""Where artifacts are below the root of a store, and what is taken for one."""

from components.artifacts import Making, Manifest
from components.ports.artifact_paths import (
    artifact_uri,
    attempt_uri,
    attempts_uri,
    candidates,
    in_order,
    pointer_to,
    uris_of,
)

KEY = "0123456789abcdef" * 4
CONTENT = "fedcba9876543210"


def manifest(started: str = "") -> Manifest:
    return Manifest(
        step="curation",
        kind="Corpus",
        cache_key=KEY,
        config={},
        code_digest="",
        environment_digest="",
        making=Making(started=started),
    )


def test_an_artifact_is_below_its_step_its_key_and_its_content_and_its_attempts_are_beside_it() -> None:
    made = manifest()
    uri = artifact_uri(made)
    assert uri == f"artifacts/curation/{KEY[:16]}/{made.content_digest[:16]}"
    assert attempts_uri(made.at(uri)) == f"artifacts/curation/{KEY[:16]}/attempts/{made.content_digest[:16]}"
    assert attempt_uri(made) == f"{attempts_uri(made.at(uri))}/{made.digest[:16]}.json"


def test_what_points_to_a_content_is_looked_at_before_where_format_1_has_an_artifact() -> None:
    key = f"artifacts/curation/{KEY[:16]}"
    assert candidates("curation", KEY, pointer_to(manifest()).encode()) == [artifact_uri(manifest()), key]
    for data in (None, b"", b"{", b'{"content_digest": "../../elsewhere/x"}', b'{"content_digest": null}', b"3"):
        assert candidates("curation", KEY, data) == [key]


def test_manifests_of_both_formats_are_those_of_artifacts_and_no_others() -> None:
    names = [
        f"artifacts/curation/{KEY[:16]}/{CONTENT}/manifest.json",
        "artifacts/curation/0000000000000000/manifest.json",
        f"artifacts/curation/{KEY[:16]}/current.json",
        f"artifacts/curation/{KEY[:16]}/{CONTENT}/checkpoint/manifest.json",
        "artifacts/training_state/0000000000000000/checkpoint/manifest.json",
        f"artifacts/curation/{KEY[:16]}/attempts/{CONTENT}/0000000000000000.json",
        "elsewhere/curation/0000000000000000/manifest.json",
    ]
    assert uris_of(names) == ["artifacts/curation/0000000000000000", f"artifacts/curation/{KEY[:16]}/{CONTENT}"]


def test_attempts_are_in_the_order_in_which_they_were_started() -> None:
    first, second = manifest("2026-11-30T10:00:00.000000Z"), manifest("2026-11-30T11:00:00.000000Z")
    assert in_order([second, first]) == (first, second)
