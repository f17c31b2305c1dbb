"""The page of a run stands alone, escapes what it shows, and links each incident to its documents."""

from html.parser import HTMLParser

from components.artifacts import CheckReport, Expectation
from components.run_report.page import MAX_ROWS, render
from components.run_report.values import MarkedStep, RunReport, SeenTokens, StepCost
from tests.components.run_report.test_charts import curves

HOSTILE = '<script>alert("x")</script>'


class Elements(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def values(self, attribute: str) -> list[str]:
        """All values of an attribute."""
        return [value for _, attributes in self.tags if (value := attributes.get(attribute)) is not None]


def report(**changes: object) -> RunReport:
    """A run with something in each section."""
    incident = MarkedStep(step=2, reason=f"loss 9, a spike {HOSTILE}", documents=(("code", ("d1", HOSTILE)),))
    expectation = Expectation(name="a share", passed=False, critical=False, observed=f"0.78 of {HOSTILE}")
    values = {
        "run": "20260101-000000-aaaa",
        "recipe": HOSTILE,
        "state": "failed",
        "started": "2026-01-01 00:00",
        "seconds": 5.0,
        "failure": f"no text in {HOSTILE}",
        "changes": (f"sft.epochs={HOSTILE}",),
        "warnings": (("curation", HOSTILE),),
        "notes": (("scaling", HOSTILE),),
        "trainings": (curves([{"loss": 2.0, "loss/<b>": 2.0}] * 3, incidents=(incident,)),),
        "seen": (SeenTokens(source=HOSTILE, domain="code", language="", tokens=100.0, bytes=10),),
        "checks": ((HOSTILE, CheckReport(name="corpus", expectations=(expectation,))),),
        "times": (StepCost(step="curation", state="cached", seconds=None, when_made=4.0, memory_bytes=2e9),),
        "figures": {"result": HOSTILE},
    }
    return RunReport(**{**values, **changes})  # type: ignore[arg-type]


def test_no_text_of_a_run_becomes_markup() -> None:
    page = Elements(render(report()))
    assert {tag for tag, _ in page.tags} & {"script", "b" + "r", "img", "iframe", "link", "object"} == set()
    assert sum(HOSTILE in text for text in page.texts) >= 10


def test_the_page_asks_for_nothing_from_anywhere() -> None:
    page = Elements(render(report()))
    policies = [attributes.get("content") for tag, attributes in page.tags if tag == "meta" and "http-equiv" in attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert page.values("src") == []
    assert all(link.startswith("#") for link in page.values("href"))
    assert "url(" not in render(report())


def test_every_link_leads_to_something_on_the_page_and_a_spike_to_its_documents() -> None:
    page = Elements(render(report()))
    targets = page.values("id")
    assert len(targets) == len(set(targets))
    assert {link.removeprefix("#") for link in page.values("href")} <= set(targets)
    assert "#pretraining-2" in page.values("href")
    assert any("longrun batch 20260101-000000-aaaa 2" in text for text in page.texts)
    assert f"d1 {HOSTILE}" in page.texts


def test_a_failed_run_says_why_first_and_a_finished_one_has_no_such_card() -> None:
    page = render(report())
    assert page.index("Why it failed") < page.index("Pretraining".lower()) < page.index('id="data"')
    assert "Why it" not in render(report(failure="", state="finished"))


def test_a_run_that_has_only_begun_has_no_empty_sections() -> None:
    page = Elements(render(report(trainings=(), seen=(), checks=(), times=(), warnings=(), notes=(), changes=(), failure="")))
    assert [tag for tag, _ in page.tags if tag in ("h2", "table", "svg")] == []


def test_a_check_with_an_unmet_expectation_that_is_not_critical_is_a_warning() -> None:
    outcome = [attributes.get("class") for tag, attributes in Elements(render(report())).tags if tag == "td"]
    assert "words state warning" in outcome


def test_what_exceeds_the_rows_of_a_table_is_summed_in_the_last_one() -> None:
    seen = tuple(
        SeenTokens(source=f"s{number:02}", domain="code", language="en", tokens=1.0, bytes=1) for number in range(MAX_ROWS + 5)
    )
    texts = Elements(render(report(seen=seen))).texts
    assert "5 others" in texts
    assert "s34" not in texts


def test_equal_reports_give_equal_bytes() -> None:
    assert render(report()) == render(report())
