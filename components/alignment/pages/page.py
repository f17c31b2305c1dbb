"""Renders conversations or preference pairs as one self-contained HTML page without scripts.

The texts are untrusted: they are escaped, the page's content security policy forbids scripts, and characters that would hide or
reorder text are shown as their code points.
"""

from jinja2 import Environment, StrictUndefined

from components.alignment.pages.overview import AlignmentOverview
from components.alignment.pages.template import PAGE
from components.page_texts import differences, shown


def render(overview: AlignmentOverview, name: str, config: str = "") -> str:
    """The HTML page of an artifact called `name`; `config` is its configuration as JSON. Equal artifacts give equal bytes."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "shown": shown,
        "share": lambda value: f"{100 * value:.1f} %",
        "number": lambda value: f"{value:,.0f}",
    }
    environment.globals["differences"] = lambda before, after: list(differences(before, after))
    return environment.from_string(PAGE).render(overview=overview, name=name, config=config)
