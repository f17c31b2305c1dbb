"""Finds exact and near-duplicates: signatures, candidate pairs, verification, clusters, and an audit of the removals."""
