"""The search: draws recipes, loads what they build with three readers, and tells where the three do not agree.

``bases`` draws sound checkpoints, ``arguments`` and ``scenarios`` edit them by the ways of ``tools``, ``trying`` loads
one and compares, ``worker`` does that in a process of its own, ``searching`` drives Hypothesis, ``printing`` makes a
case of what was found.
"""
