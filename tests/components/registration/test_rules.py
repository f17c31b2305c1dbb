"""The promotion rule, and the reason it gives."""

from dataclasses import replace

import pytest

from components.errors import RegistrationRefused
from components.registration.rules import refuse_unless_promotable
from tests.components.artifacts.samples import FINDINGS, VERDICT
from tests.components.registration.conftest import FAILED, PASSED


def changed(**bits):
    """The findings with other bits per byte for `model_domain`."""
    rows = (replace(r, bits_per_byte=bits.get(f"{r.model}_{r.domain}", r.bits_per_byte)) for r in FINDINGS.bits_per_byte)
    return replace(FINDINGS, bits_per_byte=tuple(rows))


def test_a_model_that_beats_the_baseline_with_all_checks_passed_is_promoted():
    refuse_unless_promotable("dpo", FINDINGS, [PASSED])


def test_a_failed_check_is_named_with_what_was_observed():
    with pytest.raises(
        RegistrationRefused, match=r"'dpo' is not registered: check training failed: loss falls \(observed 5\.1 to 5\.3\)$"
    ):
        refuse_unless_promotable("dpo", FINDINGS, [PASSED, FAILED])


@pytest.mark.parametrize("bits", [4.4, 5.0, float("nan")])
def test_a_model_no_better_than_the_baseline_in_one_domain_is_refused_with_the_figures(bits):
    with pytest.raises(
        RegistrationRefused, match=rf"'dpo'.*{bits:.3f} bits per byte on prose is not better than byte-unigram with 4\.400"
    ):
        refuse_unless_promotable("dpo", changed(dpo_prose=bits), [PASSED])


def test_another_models_figures_do_not_matter():
    refuse_unless_promotable("dpo", changed(base_code=9.0), [PASSED])


def test_every_reason_is_given_at_once():
    with pytest.raises(RegistrationRefused, match=r"check training failed.*on code.*on prose"):
        refuse_unless_promotable("dpo", changed(dpo_code=9.0, dpo_prose=9.0), [FAILED])


def test_a_model_that_was_not_measured_is_refused():
    with pytest.raises(RegistrationRefused, match="has no result for it on code"):
        refuse_unless_promotable("other", FINDINGS, [])


def test_a_report_without_the_baseline_is_refused():
    report = replace(FINDINGS, bits_per_byte=tuple(row for row in FINDINGS.bits_per_byte if row.model != "byte-unigram"))
    with pytest.raises(RegistrationRefused, match="no byte-unigram baseline"):
        refuse_unless_promotable("dpo", report, [])


def verdict(position):
    return replace(VERDICT, low=2.0, high=2.1, actual=2.2, position=position)


def test_a_base_model_above_its_predicted_interval_is_refused_with_both():
    with pytest.raises(RegistrationRefused, match=r"2\.2000 bits per byte of the base model is above .* 2\.0000 to 2\.1000$"):
        refuse_unless_promotable("dpo", FINDINGS, [PASSED], [verdict("above")])


@pytest.mark.parametrize("position", ["inside", "below"])
def test_a_base_model_that_is_no_worse_than_predicted_is_promoted(position):
    refuse_unless_promotable("dpo", FINDINGS, [PASSED], [verdict(position)])
