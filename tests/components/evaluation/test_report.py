"""The report's files: self-contained, escaped, complete, and equal for equal findings."""

import dataclasses
import html.parser
import json

import pyarrow.parquet as pq
import pytest

from components.evaluation import findings as f
from components.evaluation import report

BITS = {"base": (1.9, 2.4), "sft": (2.0, 2.5), "dpo": (2.1, 2.45), "byte-unigram": (4.6, 4.5), "zlib-9": (1.97, 3.9)}
NASTY = 'a <script>alert("x")</script>\n```\n| {{ braces }} & 中文'


def findings() -> f.Findings:
    return f.Findings(
        domain_shares={"code": 0.75, "prose": 0.25},
        bits_per_byte=tuple(
            f.BitsPerByte(model=model, domain=domain, bits_per_byte=value, documents=12, bytes=34567)
            for model, values in BITS.items()
            for domain, value in zip(("code", "prose"), values, strict=True)
        ),
        tasks=tuple(
            f.TaskResult(model=model, task=task, metric=metric, value=0.4, items=20, chance=0.25)
            for model in ("base", "sft", "dpo")
            for task, metric in (("answer-choice", "acc"), ("answer-choice", "acc_norm"), ("final-word", "exact_match"))
        ),
        alignment=(f.Alignment(measure="loss", kind="answers", before=3.5, after=2.5),),
        repetition=tuple(f.Repetition(model=model, repetition_ratio=0.125, prompts=8) for model in ("base", "sft", "dpo")),
        samples=tuple(f.Sample(prompt=NASTY, model=model, answer=NASTY if model == "dpo" else "") for model in ("base", "dpo")),
        origins=(f.Origin(source="test:", domain="code", language="code", licence="MIT", documents=3, bytes=400),),
    )


class Page(html.parser.HTMLParser):
    """Collects tags, what they load, and text; and whether every tag is closed."""

    def __init__(self):
        super().__init__()
        self.tags, self.loads, self.text, self.open = [], [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def written(tmp_path):
    report.write(findings(), tmp_path)
    return tmp_path


def test_the_page_loads_nothing_and_closes_every_tag(written):
    page = Page()
    text = (written / "report.html").read_text(encoding="utf-8")
    page.feed(text)
    assert page.loads == []
    assert page.open == []
    assert "url(" not in text
    assert "@import" not in text


def test_what_a_model_wrote_is_shown_and_never_interpreted(written):
    page = Page()
    page.feed((written / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert NASTY in page.text
    assert "```" not in [line for line in (written / "report.md").read_text(encoding="utf-8").splitlines() if line[:1] == "`"]


def test_every_model_and_baseline_has_a_bar_in_every_domain(written):
    page = Page()
    page.feed((written / "report.html").read_text(encoding="utf-8"))
    bits, tasks = len(BITS) * 2, 3 * 2
    assert page.tags.count("rect") == bits + tasks
    assert page.tags.count("line") == 2


def test_the_aggregate_weighs_domains_by_their_fixed_shares():
    assert findings().aggregate["base"] == pytest.approx(0.75 * 1.9 + 0.25 * 2.4)


def test_the_metrics_tables_hold_one_row_for_each_figure(written):
    expected = {"bits_per_byte": 10, "tasks": 9, "alignment": 1}
    tables = {name: pq.read_table(written / f"metrics/{name}.parquet") for name in expected}
    assert {name: table.num_rows for name, table in tables.items()} == expected
    assert tables["bits_per_byte"].column_names == ["model", "domain", "bits_per_byte", "documents", "bytes"]
    assert tables["tasks"].column_names == ["model", "task", "metric", "value", "items", "chance"]
    assert tables["alignment"].column_names == ["measure", "kind", "before", "after"]


def test_the_markdown_has_the_figures_and_escapes_bars(written):
    text = (written / "report.md").read_text(encoding="utf-8")
    assert "| base | 1.900 | 2.400 | 2.025 |" in text
    assert "| answer-choice | acc_norm | 40.0% | 40.0% | 40.0% | 25.0% | 20 |" in text
    assert report.table(["a|b"], []) == "| a\\|b |\n| --- |"


def test_report_json_can_be_read_back(written):
    read = json.loads((written / "report.json").read_text(encoding="utf-8"))
    assert read["aggregate"]["byte-unigram"] == pytest.approx(4.575)
    assert read["samples"][1]["answer"] == NASTY
    assert {row["model"] for row in read["bits_per_byte"]} == set(BITS)


def test_a_figure_that_is_not_a_number_is_not_written(tmp_path):
    broken = dataclasses.replace(findings(), alignment=(f.Alignment(measure="loss", kind="", before=float("nan"), after=1.0),))
    with pytest.raises(ValueError, match="JSON"):
        report.write(broken, tmp_path)


def test_equal_findings_give_equal_bytes(written, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    report.write(findings(), again)
    names = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert len(names) == 7
    assert all((again / name).read_bytes() == (written / name).read_bytes() for name in names)


def test_without_items_and_alignment_the_report_is_still_whole(tmp_path):
    report.write(dataclasses.replace(findings(), tasks=(), alignment=(), samples=()), tmp_path)
    assert "Bits per byte" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_headlines_are_few_and_flat():
    headlines = findings().headlines()
    assert headlines["bits_per_byte/dpo"] == pytest.approx(2.1875)
    assert headlines["answer-choice/dpo"] == 0.4
    assert headlines["repetition_ratio/sft"] == 0.125
