"""Prepares raw documents for the filters: normalises them, tags their language, and computes their ids."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from components.curation.filtering.boilerplate import without_boilerplate
from components.curation.reading.config import Source
from components.curation.reading.readers import RawDocument
from components.curation.text.characters import Classes, classes_of, codes_of
from components.curation.text.document import CODE_DOMAINS, NormalisedDocument, domain_matches
from components.curation.text.language import language_of, modelled_language_of
from components.curation.text.normalise import normalise


def normalised_document(
    raw: RawDocument, source: Source, heuristics: Sequence[str] = (), language_model: str = "script"
) -> NormalisedDocument:
    """The normalised document with its language tag; boilerplate lines are dropped if `heuristics` includes `c4-lines`."""
    text = "" if raw.refusal else normalise(raw.text)
    codes = codes_of(text)
    classes = classes_of(codes)
    language = source.language if source.language != "auto" else _tag(text, classes, source, language_model)
    document = NormalisedDocument(text=text, raw=raw.text, codes=codes, classes=classes, language=language, domain=source.domain)
    if "c4-lines" in heuristics and not document.is_code and not document.is_maths:
        return _without_boilerplate(document)
    return document


def _tag(text: str, classes: Classes, source: Source, model: str) -> str:
    if domain_matches(source.domain, CODE_DOMAINS):
        return "code"
    return modelled_language_of(text) if model == "lid176" else language_of(text, classes)


def _without_boilerplate(document: NormalisedDocument) -> NormalisedDocument:
    text = without_boilerplate(document.text, spaced=not document.unspaced)
    codes = codes_of(text)
    return replace(document, text=text, codes=codes, classes=classes_of(codes))


def identity_of(source: Source, raw: RawDocument) -> str:
    """The document's id: sha256 in hex over the source's name, the path inside the source and the position in the file.

    It does not depend on where the source is stored.
    """
    return hashlib.sha256(f"{source.name}\0{raw.uri}".encode()).hexdigest()
