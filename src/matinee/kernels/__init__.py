"""Compiled loops: arrays in, arrays out. Import them from their files."""
