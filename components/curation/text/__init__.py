"""Functions of a text alone: character classes, normalisation, language, words, shingles and published heuristics."""
