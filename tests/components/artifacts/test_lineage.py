"""A lineage as a file: a graph, also where an older longrun wrote a tree."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import CheckReport, Expectation, Lineage, LineageNode, RawSource
from components.errors import DamagedArtifact, MissingArtifact, NewerFormat

TREE = Path(__file__).with_name("lineage-format-1.json")
"""What longrun 0.4.0 wrote: five artifacts as a tree of fourteen."""


def node(step: str, *, raw: tuple[RawSource, ...] = (), **inputs: str) -> LineageNode:
    check = CheckReport(name=step, expectations=(Expectation(name="has rows", observed="3", passed=True),), report="page.html")
    return LineageNode(
        step=step,
        kind="Corpus",
        content_digest=f"content-of-{step}",
        evidence_digest=f"digest-of-{step}",
        uri=f"artifacts/{step}/1",
        config={"type": "Config", "seed": 0, "resume": True, "start": None, "rates": [0.5, 1]},
        code_digest="code",
        environment_digest="environment",
        figures={"bytes": {"mine": 3}, "notes": ["small"], "share": 0.25},
        checks=(check,),
        inputs={name: f"digest-of-{digest}" for name, digest in inputs.items()},
        raw=raw,
    )


def graph(*nodes: LineageNode) -> Lineage:
    return Lineage(root=nodes[0].evidence_digest, artifacts={node.evidence_digest: node for node in nodes})


RAW = RawSource(source="mine", files=2, bytes=12, sha256=64 * "a")
DIAMOND = graph(
    node("registration", checkpoint="dpo", tokenizer="tokenizer"),
    node("dpo", corpus="curation", tokenizer="tokenizer"),
    node("tokenizer", corpus="curation"),
    node("curation", raw=(RAW,)),
)


def test_a_lineage_is_the_same_after_it_was_written_and_read(tmp_path: Path) -> None:
    DIAMOND.write(tmp_path)
    assert Lineage.read(tmp_path) == DIAMOND
    written = json.loads((tmp_path / "lineage.json").read_text())
    assert (written["format_version"], written["root"]) == (2, "digest-of-registration")
    assert len(written["artifacts"]) == 4


def test_each_artifact_of_a_diamond_comes_once_and_the_root_first() -> None:
    assert [node.step for node in DIAMOND.nodes()] == ["registration", "dpo", "tokenizer", "curation"]


def test_a_deep_graph_of_diamonds_grows_with_its_artifacts_and_not_with_its_paths() -> None:
    steps = [node(str(level), first=str(level + 1), second=str(level + 1)) for level in range(200)]
    assert len(list(graph(*steps, node("200")).nodes())) == 201


def test_without_uris_a_lineage_says_nothing_of_where_artifacts_are() -> None:
    text = DIAMOND.without_uris().to_json()
    assert "uri" not in text
    assert "artifacts/" not in text
    assert [node.step for node in DIAMOND.without_uris().nodes()] == [node.step for node in DIAMOND.nodes()]


def test_a_tree_that_an_older_longrun_wrote_is_read_as_a_graph(tmp_path: Path) -> None:
    lineage = Lineage.from_bytes(TREE.read_bytes(), str(TREE))
    steps = {node.step: node for node in lineage.nodes()}
    assert list(steps) == ["pretraining", "scaling", "token_shards", "tokenizer", "curation"]
    assert TREE.read_text().count('"step"') == 14
    assert (
        steps["pretraining"].content_digest
        == steps["pretraining"].evidence_digest
        == lineage.root
        == json.loads(TREE.read_text())["digest"]
    )
    assert steps["pretraining"].inputs.keys() == {"plan", "token_shards", "tokenizer"}
    assert steps["pretraining"].config == {"type": "CheckpointConfig", "seed": 0, "resume": True, "start": None}
    assert steps["scaling"].figures == {"tokens": 1000, "notes": ["small"]}
    (raw,) = steps["curation"].raw
    assert (raw.source, raw.files, raw.bytes) == ("file:mine", 2, 12)
    lineage.write(tmp_path)
    assert Lineage.read(tmp_path) == lineage


def changed(**values: Any) -> bytes:
    return json.dumps({**json.loads(DIAMOND.to_json()), **values}).encode()


def tree(**values: Any) -> bytes:
    return json.dumps({**json.loads(TREE.read_text()), **values}).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "neither a graph \\(format 2\\) nor a tree \\(format 1\\)"),
        (tree(inputs=[]), "neither a graph \\(format 2\\) nor a tree \\(format 1\\)"),
        (tree(inputs={"plan": None}), "neither a graph \\(format 2\\) nor a tree \\(format 1\\)"),
        (tree(digest=None), "neither a graph \\(format 2\\) nor a tree \\(format 1\\)"),
        (tree(figures=None), "figures is None"),
        (changed(root="other"), "artifact other is an input but is not listed"),
        (changed(artifacts={}), "artifact digest-of-re is an input but is not listed"),
        (changed(artifacts=[]), "artifacts is"),
        (changed(format_version="2"), "format version is '2'"),
    ],
)
def test_what_is_no_lineage_is_damaged_and_says_why(data: bytes, message: str) -> None:
    with pytest.raises(DamagedArtifact, match=f"there: .*{message}.*written by the step registration: run that again"):
        Lineage.from_bytes(data, "there")


def test_an_artifact_under_another_digest_than_its_own_is_damage() -> None:
    data = json.loads(DIAMOND.to_json())
    data["artifacts"]["digest-of-curation"]["evidence_digest"] = "digest-of-another"
    with pytest.raises(DamagedArtifact, match="artifact digest-of-cu has the evidence digest digest-of-an"):
        Lineage.from_bytes(json.dumps(data).encode(), "there")


def test_a_lineage_of_a_later_longrun_is_refused_and_a_missing_one_named(tmp_path: Path) -> None:
    with pytest.raises(NewerFormat, match="there: format version 3; this longrun reads up to 2: upgrade it"):
        Lineage.from_bytes(changed(format_version=3), "there")
    with pytest.raises(MissingArtifact, match=r"lineage\.json: missing"):
        Lineage.read(tmp_path)


def test_a_circle_that_no_digest_can_make_does_not_hold_up_a_walk() -> None:
    first, second = node("first", other="second"), node("second", other="first")
    assert [each.step for each in dataclasses.replace(graph(first, second)).nodes()] == ["first", "second"]
