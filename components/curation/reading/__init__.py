"""Lists, fetches, decompresses and parses raw files into documents."""
