"""The chat service: a model, one tool that runs a cell, and a loop between them."""
