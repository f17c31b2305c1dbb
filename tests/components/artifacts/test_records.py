"""The records of files and checks."""

from pathlib import Path

from components.artifacts import CheckReport, Expectation, sha256_of_file


def test_a_check_passes_unless_a_critical_expectation_fails() -> None:
    held = Expectation(name="held", observed="", passed=True)
    warned = Expectation(name="warned", observed="", passed=False, critical=False)
    failed = Expectation(name="failed", observed="", passed=False)
    assert CheckReport(name="c", expectations=(held, warned)).passed
    assert CheckReport(name="c", expectations=(held, warned, failed)).failures == (failed,)
    assert not CheckReport(name="c", expectations=(failed,)).passed


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert sha256_of_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
