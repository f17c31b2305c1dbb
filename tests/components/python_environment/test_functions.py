"""Documented functions are found with their signature, docstring and code."""

from components.python_environment import distributions, functions
from tests.components.python_environment.conftest import Install

SOURCE = '''
def area(width: float, height: float = 1.0) -> float:
    """Area of a rectangle.

    In square metres.
    """
    return width * height


class Box:
    """A box."""

    async def open(self, *, gently=True):
        "Open it."

    def _hidden(self):
        """Not for others."""


def undocumented():
    def inner():
        """Nested."""


def _private():
    """Private."""
'''


def test_public_documented_functions_and_methods_are_given_with_their_signature(install: Install) -> None:
    install("shop", {"shop/__init__.py": "", "shop/boxes.py": SOURCE}, metadata="License: MIT")
    area, opening = functions(distributions(["shop"])[0])
    assert area.name == "shop.boxes.area"
    assert area.signature == "def area(width: float, height: float=1.0) -> float"
    assert area.docstring == "Area of a rectangle.\n\nIn square metres."
    assert area.code == f"{area.signature}:\n    return width * height"
    assert (area.distribution, area.licence, area.uri) == ("shop", "MIT", "python-environment:shop/shop/boxes.py#2")
    assert (opening.name, opening.signature) == ("shop.boxes.Box.open", "async def open(self, *, gently=True)")
    assert opening.code == "async def open(self, *, gently=True):\n    ..."


def test_tests_and_files_that_cannot_be_read_are_passed_over(install: Install) -> None:
    files = {
        "shop/tests/test_a.py": SOURCE,
        "shop/conftest.py": SOURCE,
        "shop/latin.py": b"def f():\n    '\xe9'\n",
        "shop/bad.py": "def (",
    }
    install("shop", files)
    assert list(functions(distributions(["shop"])[0])) == []


def test_the_same_environment_gives_the_same_functions_in_the_same_order() -> None:
    (distribution,) = distributions(["mpmath"])
    first = list(functions(distribution))
    assert first == list(functions(distribution))
    assert len(first) > 100
