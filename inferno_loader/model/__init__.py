"""A Llama in torch: small, for inference, built without memory and filled from a plan."""

from inferno_loader.model.cache import KeyValueCache
from inferno_loader.model.llama import InfernoLlama

__all__ = ["InfernoLlama", "KeyValueCache"]
