"""Encoders of quantized checkpoints, one module a family: dense weights to stored tensors, and back.

`scheme.Scheme` is what each of them does; a recipe (`conformance.tools.recipe.Recipe`) takes any of them. No loader, no
torch.
"""
