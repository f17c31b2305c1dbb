"""Loads recipes and sweeps, and sets values inside them; errors suggest what was probably meant."""

from workflows.loading.files import folder_of, load
from workflows.loading.overrides import apply_override, as_text, leaves

__all__ = ["apply_override", "as_text", "folder_of", "leaves", "load"]
