"""What a command prints for its reader to do next: commands that can be pasted, and example prompts that suit a model."""

from workflows.commands.hints.next_commands import TEMPERATURE, next_commands
from workflows.commands.hints.program import as_called, pasted, program
from workflows.commands.hints.prompts import CODE, OTHER, example_message, example_prompt

__all__ = ["CODE", "OTHER", "TEMPERATURE", "as_called", "example_message", "example_prompt", "next_commands", "pasted", "program"]
