"""Text that is already on the machine: code, docstrings, descriptions and functions of installed distributions.

Reads only the files that a distribution records as its own, and never imports or runs them.
"""

from components.python_environment.distributions import Distribution, PackageFile, distributions, locate
from components.python_environment.functions import Function, functions
from components.python_environment.modules import ModuleText, split_module

__all__ = [
    "Distribution",
    "Function",
    "ModuleText",
    "PackageFile",
    "distributions",
    "functions",
    "locate",
    "split_module",
]
