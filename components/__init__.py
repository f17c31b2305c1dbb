"""How each stage works: plain Python, data in and data out, no knowledge of machines or services."""
