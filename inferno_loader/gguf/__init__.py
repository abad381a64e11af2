"""GGUF, the container of llama.cpp: its header, its metadata as a configuration, and its blocks. No torch at import.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, and where that is silent ``ggml/src/gguf.cpp`` of
https://github.com/ggml-org/llama.cpp.
"""
