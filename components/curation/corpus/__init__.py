"""Writes the corpus: the ledger of all documents, the split, the mixture, the documents, and metrics and evidence tables."""
