"""Tells the user's own program or URL that a run has ended.

The environment variable `LONGRUN_HOOK` names it. No recipe, journal or message contains its value, since a URL may be a secret.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from components.errors import ConfigError
from components.files import JSON
from infra.variables import variable

HOOK = "LONGRUN_HOOK"
"""Variable with the path of a program, which gets the facts as JSON on standard input, or a URL, to which they are posted."""


def require_hook() -> None:
    """Raise `ConfigError` if the hook is a program that cannot be executed; whether a URL answers is not asked."""
    target = variable(HOOK) or ""
    if target and not _is_url(target) and shutil.which(Path(target).expanduser()) is None:
        raise ConfigError(f"${HOOK} names no executable file; set it to the path of one, or to a URL, or unset it")


def call_hook(facts: Mapping[str, JSON], seconds: float) -> str:
    """Pass `facts` to the hook, if there is one, and wait at most `seconds`.

    Returns why it failed, in one line; empty if it succeeded or if there is no hook.
    """
    target = variable(HOOK) or ""
    if not target:
        return ""
    return _posted(target, facts, seconds) if _is_url(target) else _executed(target, facts, seconds)


def _is_url(target: str) -> bool:
    return target.startswith(("http://", "https://"))


def _executed(program: str, facts: Mapping[str, JSON], seconds: float) -> str:
    """Run the program directly, without a shell, so that nothing in the facts or the path is interpreted."""
    text = json.dumps(facts)
    try:
        ended = subprocess.run(
            [Path(program).expanduser()], input=text, text=True, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the program in ${HOOK} did not end within {seconds:g} s and was killed"
    except OSError as error:
        return f"the program in ${HOOK} cannot be executed ({error.strerror}); set it to the path of an executable file, or a URL"
    return f"the program in ${HOOK} ended with exit code {ended.returncode}" if ended.returncode else ""


def _posted(url: str, facts: Mapping[str, JSON], seconds: float) -> str:
    import httpx

    try:
        answer = httpx.post(url, json=dict(facts), timeout=seconds)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"the URL in ${HOOK} cannot be reached ({type(error).__name__})"
    return "" if answer.is_success else f"the URL in ${HOOK} answered with status {answer.status_code}"
