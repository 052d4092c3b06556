"""Arrays in, arrays out: the compiled loops that all else stands on. Import them from their files."""
