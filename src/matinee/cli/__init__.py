"""The command line: one file per command. They parse, call and print; no arithmetic."""
