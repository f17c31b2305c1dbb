"""Reads text that is already on the machine: code, docstrings, descriptions and functions of installed distributions.

It reads only files that a distribution records as its own, and never imports or runs them.
"""

from components.python_environment.distributions import (
    Distribution,
    PackageFile,
    description,
    distributions,
    installation_stamp,
    locate,
    require_installed,
)
from components.python_environment.functions import Function, functions, module_name
from components.python_environment.modules import Docstring, ModuleText, split_module

__all__ = [
    "Distribution",
    "Docstring",
    "Function",
    "ModuleText",
    "PackageFile",
    "description",
    "distributions",
    "functions",
    "installation_stamp",
    "locate",
    "module_name",
    "require_installed",
    "split_module",
]
