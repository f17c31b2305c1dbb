"""Raw files: listed, fetched, decompressed and parsed into documents."""
