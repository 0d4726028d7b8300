"""Glovebox's orchestrator: sessions, kernels, files, chat, and every public API.

Theory of operation. Three processes share the work, each with the least that it needs:

- the *orchestrator* (this package) faces the web. It holds the database, the workspaces and the model's key. It
  never holds the Docker socket.
- the *spawner* (`orchestrator.spawner`, its own process) holds the Docker socket and answers a handful of typed
  requests over a unix socket: create a sandbox from a named profile, stop it, list them, look at one.
- a *sandbox* is one container for one session, without a network: a kernel and the bridge to it (its gateway), reached
  over a unix socket in a folder that the orchestrator shares with that sandbox alone.

Data flows one way: a door (`api`) turns a request into typed values, a service (`chat`, `sessions`) decides, parts
(`kernel`, `workspace`, `spawner_client`, `store`) do. A cell and a chat turn are tasks with an append-only event log;
whoever watches follows the log, and closing a browser tab stops nothing.

Everything that comes out of a sandbox is hostile: it is bounded before it is parsed, parsed strictly, and its files
are opened beneath the workspace without following links.
"""
