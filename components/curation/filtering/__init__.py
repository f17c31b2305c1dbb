"""What refuses or changes a single document: rules, word lists, personal data, benchmark items."""
