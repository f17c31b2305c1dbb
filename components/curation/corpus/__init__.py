"""The corpus as it is written: ledger, split, mixture, documents, and the tables beside them."""
