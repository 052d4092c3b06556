"""What is on disk: files written whole or not at all, runs, checkpoints. Nothing of models."""
