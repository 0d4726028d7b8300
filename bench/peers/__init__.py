"""Other ways to run a model's Python in a container, each behind the same shape.

They run in an environment and in a process of their own (`python -m bench.peers.serve`), which speaks JSON lines, so
that what they install, print or break is not the bench's. Nothing here imports what is outside this folder.
"""
