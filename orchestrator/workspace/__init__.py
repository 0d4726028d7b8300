"""A session's files on disk. Sandboxes write here, so every path is opened beneath its root without following links."""
