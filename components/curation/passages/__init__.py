"""Finds passages that several documents share, and trims them from all but one of these documents."""
