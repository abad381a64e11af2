"""A strict loader for Llama-family checkpoints."""
