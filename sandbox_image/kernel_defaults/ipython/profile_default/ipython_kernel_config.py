"""Settings of every kernel in a sandbox."""

from glovebox_kernel import SandboxKernel, keep_in_step, print_in_pieces

c = get_config()  # type: ignore[name-defined]  # noqa: F821

c.IPKernelApp.kernel_class = SandboxKernel
# There is nobody to search a history, and its database costs a file and a thread.
c.HistoryManager.enabled = False
c.InlineBackend.figure_formats = {"png"}
# One chart, one size: what a cell draws is what the page shows.
c.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight"}

# When the sandbox runs out of memory the kernel is to die, and the gateway to live and start another.
with open("/proc/self/oom_score_adj", "w") as score:
    score.write("1000")

print_in_pieces()
keep_in_step()
