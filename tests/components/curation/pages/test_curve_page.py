"""The page of the curve shows its figures, is self-contained and reproducible."""

from pathlib import Path
from typing import Any

import pytest

from components.curation.pages.curve_page import write_page


def point(sources: int, rate: float, last: str) -> dict[str, Any]:
    documents, removed = 1000 * sources, round(1000 * sources * rate)
    rates = {"removal_rate": rate, "removal_rate_of_bytes": rate / 2, "removal_rate_apart": 0.1}
    return {"sources": sources, "last": last, "documents": documents, "removed_documents": removed, **rates}


POINTS = [point(1, 0.2, "first"), point(2, 0.45, "<b>second</b>")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("curve")
    write_page(POINTS, directory)
    return directory


def test_every_point_is_a_row_and_the_last_one_the_sentence(written: Path) -> None:
    html = (written / "curve.html").read_text()
    assert "2,000 documents from 2 sources" in html
    for text in ("<td>900</td>", "<td>45.00 %</td>", "<td>22.50 %</td>", "<td>20.00 %</td>", "<td>10.00 %</td>"):
        assert text in html
    assert "&lt;b&gt;second&lt;/b&gt;" in html
    assert "<b>" not in html


def test_the_plot_is_inside_the_page_and_beside_it(written: Path) -> None:
    assert "data:image/svg+xml;base64," in (written / "curve.html").read_text()
    assert (written / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_bytes_are_the_same_each_time(written: Path, tmp_path: Path) -> None:
    write_page(POINTS, tmp_path)
    for name in ("curve.html", "curve.png"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()
