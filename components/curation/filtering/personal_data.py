"""Replaces personal data by marks: addresses and numbers that have the right form and, where one is defined, a valid checksum.

Numbers that only look similar stay. Card numbers must pass Luhn's check (ISO/IEC 7812-1, annex B), IBANs the check modulo 97 (ISO
13616-1), and Chinese identity numbers ISO 7064 MOD 11-2 (GB 11643-1999). IP addresses must be public (FineWeb, arXiv 2406.17557,
appendix A, replaces e-mail and public IP addresses). The marks are StarCoder's (arXiv 2305.06161, section 4).

Not recognised: phone numbers with spaces but without a country code (`020 7946 0958`), and e-mail addresses whose domain is in
another script. In `::ffff:8.8.8.8` only the IPv4 address is replaced.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from components.curation.filtering.config import PERSONAL_DATA


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of personal data."""

    needs: re.Pattern[str]
    """A pattern that occurs in every text that matches `form`: a cheap test that rules out most texts. It starts with a fixed
    character or class, which `re` finds faster than the lookbehinds of the forms."""
    form: re.Pattern[str]
    """The pattern that is replaced, if `is_real` accepts the match."""
    is_real: Callable[[str], bool]
    """Checks what a pattern cannot, such as a checksum."""

    def replaced(self, text: str, mark: str) -> tuple[str, int]:
        """The text with each occurrence replaced by `mark`, and the number of replacements."""
        if not self.needs.search(text):
            return text, 0
        count = 0

        def mark_of(match: re.Match[str]) -> str:
            nonlocal count
            if not self.is_real(match[0]):
                return match[0]
            count += 1
            return mark

        return self.form.sub(mark_of, text), count


def luhn(digits: str) -> bool:
    """Whether the digits pass Luhn's check."""
    total = sum(map(int, digits[-1::-2])) + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return total % 10 == 0


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits)


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def _is_chinese_identity(text: str) -> bool:
    remainder = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, text, strict=False)) % 11
    if text[17].upper() != "10X98765432"[remainder]:
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return 1900 <= born.year <= 2100


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _always(text: str) -> bool:
    return True


def _is_phone(text: str) -> bool:
    digits = sum(character.isdigit() for character in text)
    # ITU-T E.164: at most 15 digits; a national number has at least 7 digits besides the prefix.
    return 9 <= digits <= 15


def _form(*alternatives: str) -> re.Pattern[str]:
    # With re.ASCII, Chinese characters are not word characters: they are often adjacent to a number without a space.
    return re.compile("|".join(alternatives), re.ASCII)


_LONG_NUMBER = re.compile(r"\d(?:[ .()-]{0,2}\d){8}", re.ASCII)
"""Nine digits close together, as in phone numbers, cards and identity numbers: a cheap pattern to search for first."""

_END = r"(?![\w-]|\.\d)"

KINDS: Mapping[str, Kind] = {
    "email": Kind(
        _form(r"@(?<=[\w.+-]@)[A-Za-z0-9]"),
        _form(
            r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@"
            r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
        ),
        _always,
    ),
    "ipv6": Kind(
        _form(r":[0-9A-Fa-f]{1,4}:"), _form(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:{1,2}){2,7}[0-9A-Fa-f]{1,4}(?![\w:.])"), _is_public
    ),
    "iban": Kind(
        _form(r"[A-Z]{2}\d{2}[ A-Z0-9]{8}"),
        _form(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)"),
        _is_iban,
    ),
    "chinese-identity": Kind(_LONG_NUMBER, _form(r"(?<![\w.])[1-9]\d{5}(?:19|20)\d{9}[\dXx](?!\w)"), _is_chinese_identity),
    "card": Kind(
        _LONG_NUMBER,
        _form(
            rf"(?<![\w.,-])[3-6]\d{{3}}(?:[ -]?\d{{4}}){{2}}[ -]?\d{{1,7}}{_END}",
            rf"(?<![\w.,-])3[47]\d{{2}}[ -]?\d{{6}}[ -]?\d{{5}}{_END}",
        ),
        _is_card,
    ),
    "ipv4": Kind(_form(r"\.\d{1,3}\.\d"), _form(rf"(?<![\w.-])(?<![vV]ersion )(?:\d{{1,3}}\.){{3}}\d{{1,3}}{_END}"), _is_public),
    "phone": Kind(
        _LONG_NUMBER,
        _form(
            rf"(?<![\w.+-])\+\d{{1,3}}[ .-]?(?:\(\d{{1,4}}\)[ .-]?)?\d{{1,4}}(?:[ .-]?\d{{2,4}}){{2,4}}{_END}",
            rf"(?<![\w.+-])(?:1-)?(?:\(\d{{3}}\) ?\d{{3}}[ .-]\d{{4}}|\d{{3}}([-.])\d{{3}}\1\d{{4}}){_END}",
            rf"(?<![\w.+-])(?:1[3-9]\d(?:-?\d{{4}}){{2}}|0\d{{2,3}}-\d{{7,8}}){_END}",
        ),
        _is_phone,
    ),
}
"""The kinds, in the order in which they are replaced: a card number may contain what looks like a phone number."""

IN_CODE = frozenset({"email", "ipv6", "ipv4", "iban", "card"})
"""Kinds that are replaced in code. Phone and identity numbers are not: in code, digits are more often a constant."""


def mark_of(kind: str) -> str:
    """The mark that replaces personal data of this kind, such as `<EMAIL>`."""
    return f"<{kind.upper().replace('-', '_')}>"


def without_personal_data(text: str, kinds: Sequence[str], *, code: bool) -> tuple[str, Counter[str]]:
    """The text with the given kinds of personal data replaced by marks, and the number of replacements by kind."""
    counts: Counter[str] = Counter()
    for name in PERSONAL_DATA:
        if name in kinds and not (code and name not in IN_CODE):
            text, count = KINDS[name].replaced(text, mark_of(name))
            if count:
                counts[name] = count
    return text, counts
