"""Every error of ours that a step can raise is asked by the preflight, or has a reason why it is not."""

from fnmatch import fnmatch
from pathlib import Path

from tests.workflows.preflight import raises
from tests.workflows.preflight.raises import Definition, asked, definitions_in, raising, step_functions
from tests.workflows.preflight.unasked import REASONS
from workflows.steps.stages import STAGES


def matching(definition: Definition) -> list[str]:
    return [pattern for pattern in REASONS if fnmatch(str(definition), pattern)]


def test_every_error_that_a_step_can_raise_is_asked_or_has_a_reason() -> None:
    known = asked()
    assert [str(each) for each in raising() if each not in known and not matching(each)] == []


def test_every_reason_is_of_an_error_that_is_not_asked() -> None:
    known = asked()
    used = {pattern for each in raising() if each not in known for pattern in matching(each)}
    assert sorted(REASONS.keys() - used) == []


def test_what_the_questions_call_counts_as_asked() -> None:
    names = set(map(str, asked()))
    assert "components/alignment/jsonl.py:JsonlSource.rows" in names
    assert "components/curation/reading/readers.py:_read_parquet" in names
    assert "components/tokenizer/imported.py:_special_tokens" in names
    assert "components/alignment/conversations.py:make_conversations" not in names


def test_all_steps_are_looked_at() -> None:
    steps = {step for stage in STAGES.values() for step in stage}
    assert steps <= step_functions().keys()


def test_each_way_to_raise_an_error_of_ours_is_found(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text(
        "from components.errors import SourceError, require\n"
        "class Config:\n"
        "    def __post_init__(self):\n"
        "        require(True, self, 'a', 1, 'b')\n"
        "    def later(self):\n"
        "        require(True, self, 'a', 1, 'b')\n"
        "def made() -> SourceError:\n"
        "    return SourceError('x')\n"
        "def first():\n"
        "    raise SourceError('x')\n"
        "def second():\n"
        "    raise made() from None\n"
        "def other():\n"
        "    raise ValueError('x')\n"
    )
    errors_of = {each.name: set(each.errors) for each in definitions_in("new.py", tmp_path) if each.errors}
    assert errors_of == {"Config.later": {"require"}, "first": {"SourceError"}, "second": {"made"}}
    assert {"SourceError", "PreflightError"} < raises.OURS
