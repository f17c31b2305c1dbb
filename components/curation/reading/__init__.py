"""Raw files found, fetched, decompressed and parsed into documents."""
