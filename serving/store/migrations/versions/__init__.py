"""One module for every version of the tables, never changed once released."""
