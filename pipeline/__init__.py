"""All that a comment passes through that is not a network: schema, text, privacy, files, routing."""
