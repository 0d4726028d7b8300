"""The spawner: the only code that may touch the Docker socket, in a process of its own.

It answers a handful of typed requests over a unix socket, one JSON line each. A caller names a session and a profile;
the container's settings are built here, from the spawner's own copy of the config. Nothing of a request is ever passed
on to Docker but a checked session id and a checked uid. A caller that was taken over can start sandboxes, and
nothing else.
"""
