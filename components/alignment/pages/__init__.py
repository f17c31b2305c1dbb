"""The page of `longrun inspect` about conversations or preference pairs."""
