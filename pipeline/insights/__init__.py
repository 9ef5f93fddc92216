"""What many comments say together: groups, topics, trends, causes and alerts, as pure functions over a table."""
