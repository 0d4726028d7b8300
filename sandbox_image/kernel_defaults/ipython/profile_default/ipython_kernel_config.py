"""Settings of every kernel in a sandbox."""

c = get_config()  # type: ignore[name-defined]  # noqa: F821

# There is nobody to search a history, and its database costs a file and a thread.
c.HistoryManager.enabled = False
c.InlineBackend.figure_formats = {"png"}
# One chart, one size: what a cell draws is what the page shows.
c.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight"}

# When the sandbox runs out of memory the kernel is to die, and the gateway to live and start another.
with open("/proc/self/oom_score_adj", "w") as score:
    score.write("1000")

# What is printed at once goes out in pieces: the orchestrator refuses messages beyond a size, and a single print of
# 20 MB would be one.
import ipykernel.iostream

_PIECE = 1_000_000
_buffers = ipykernel.iostream.OutStream._flush_buffers


def _flush_in_pieces(stream):
    for parent, text in _buffers(stream):
        for start in range(0, len(text), _PIECE):
            yield parent, text[start : start + _PIECE]


ipykernel.iostream.OutStream._flush_buffers = _flush_in_pieces
