"""Text and what is computed from it alone: characters, normalised form, language, words, shingles, measures."""
