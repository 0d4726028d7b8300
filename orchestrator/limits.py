"""Every fixed limit in one place, with its reason. What an operator may change is in the config."""

KIB = 1024
MIB = 1024 * KIB

# What is kept of a cell's output: the contract of docs/api.md.
STREAM_HEAD_BYTES = 256 * KIB
STREAM_TAIL_BYTES = 256 * KIB
RICH_OUTPUT_BYTES = 8 * MIB
RICH_OUTPUTS_PER_CELL = 100
RICH_BYTES_PER_CELL = 32 * MIB
OUTPUTS_PER_CELL = 1000  # stdout and stderr in turns make many small ones; beyond this they are joined
LIVE_BYTES_PER_CELL = 96 * MIB  # of events: more than all that is kept, less than what clearing over and over makes
TRACEBACK_BYTES = 64 * KIB
SPILL_FILE_BYTES = 512 * MIB  # even the whole of an endless print ends somewhere
MIME_TYPES_PER_OUTPUT = 12

# What a gateway may send us (THREATS G2, G5, G6). A message is parsed whole: text may take eight times its bytes, and
# each value beside it (a number, a list, an object) up to a hundred bytes.
GATEWAY_MESSAGE_BYTES = 12 * MIB
GATEWAY_MESSAGE_VALUES = 500_000
GATEWAY_QUEUE_FRAMES = 2
GATEWAY_REPLY_BYTES = 64 * KIB
# A session's outputs: this much at once, then this much a second; each message counts as so many bytes at least.
GATEWAY_BURST_BYTES = 96 * MIB
GATEWAY_BYTES_PER_S = 24 * MIB
GATEWAY_MESSAGE_COST = 6 * KIB

# Seconds. A sandbox that is not up by then never will be; a healthy one takes one.
SANDBOX_START_S = 60.0
SANDBOX_ADOPT_S = 15.0  # a sandbox that runs already has no reason to be slow
SOCKET_POLL_S = 0.004
INTERRUPT_GRACE_S = 5.0  # a cell that ignores its interrupt this long loses its kernel
STOP_ANSWER_S = 0.4  # a cell that has to end and has not by then is told as interrupted, and what waits for it goes on
INTERRUPT_PACE_S = 0.2  # sooner, the cell is interrupted already, and a queue of them slows the kernel for minutes
CELL_UNSTORED_S = 0.05  # of a cell that nobody watches: one that ends within it is stored once
KEEP_OUTPUTS_S = 1.0  # of a running cell, for the process that comes after this one
RESTART_S = 30.0
SILENT_OUTPUT_CHARS = 64 * KIB  # of code of ours in a kernel
IDLE_AFTER_REPLY_S = 2.0  # the gateway can lose the closing `idle`
KERNEL_DEATH_POLL_S = 1.0

# The warm pool.
POOL_PAUSE_S = 0.3  # whoever was just given a sandbox runs a cell first
POOL_DEMAND_S = 60.0  # a session of so long ago still counts as demand
POOL_RETRY_S = 30.0  # after a sandbox could not be started
PRELOAD_S = 30.0

# The queue for sandboxes when the host is full.
QUEUE_MOST = 100
QUEUE_WAIT_S = 120.0
# A request that waits for a turn to begin: proxies give up on a silent one after a minute. Between two looks whether
# anybody is there still, and whether the service ends, which it must not hold up.
BEGINNING_WAIT_S, BEGINNING_LOOK_S = 55.0, 1.0
QUEUE_RETRY_S = 1.0
GIVES_WAY_AFTER_S = 10.0  # of idleness: whoever is at it right now keeps the sandbox

# Who gives way on a host that is short of CPU.
LONG_CELL_S = 2.0  # a cell that runs for longer is nobody's who waits at the keyboard
WORKS_ALONE_CPUS = 0.25  # used though no cell runs

# Requests to this service.
BODY_LEFT_BYTES = 256 * KIB  # of a body that nobody wants any more: the rest of a larger one is not waited for
BODY_LEFT_S = 3.0  # in which a client can read why, before its connection is closed
BODY_BYTES = 8 * MIB
CODE_BYTES = 1 * MIB
MESSAGE_BYTES = 1 * MIB
NAME_CHARS = 200
INSTRUCTIONS_CHARS = 20_000  # each request of a model has them
NOTEBOOK_BYTES = 32 * MIB
NOTEBOOK_VALUES = 1_000_000  # parsed, a value takes up to a hundred bytes
NOTEBOOK_CELLS = 2000
NOTEBOOKS_AT_ONCE = 3  # on their way into a session: each is in memory as a whole
NOTEBOOK_UPLOAD_S = 300.0
UPLOAD_CHUNK_BYTES = 1 * MIB
DOWNLOAD_CHUNK_BYTES = 1 * MIB
ARCHIVE_CHUNK_BYTES = 256 * KIB  # of a zip, before it is sent on
PATH_BYTES = 1024
PATH_PARTS = 32
LISTED_FILES = 10_000
SCAN_ENTRIES = 50_000
FEW_FILES = 1000  # what is counted before a cell begins, and not beside it
GLANCE_ENTRIES = 32  # so many are looked at in the event loop
GLANCE_S, NO_GLANCE_S = 0.02, 30.0  # where that took longer, it is not tried again for so long
USAGE_ENTRIES = 100_000  # more entries, or deeper ones, count as a full disk
USAGE_DEPTH = 100
DELETED_ENTRIES = 200_000  # by one call: a sandbox may go on adding to a folder while it is emptied
UNDO_UPLOADS = 20  # the last uploads of a session, which can be taken back
DISK_TOOL_S = 80.0  # making, checking or growing a hard disk
DISK_RELEASE_S = 5.0  # a sandbox that is gone lets go of its disk a moment later
HOST_DISK_RESERVE_BYTES = 256 * MIB  # no hard disk takes the last of the host's: the database needs it
DISK_QUOTA_COUNTED_S = 5.0  # what a person's busy sessions take is not counted more often
DISK_WATCH_S = 0.5  # how often a running cell's disk use is looked at
REQUEST_LINE_BYTES = 1 * MIB  # to the privileged processes, and back
LIVE_CODE_CHARS = 60_000  # code beyond this is not shown while it is half-written: each piece costs a look at all
MODEL_REPLY_CHARS = 1_000_000  # a reply that is longer never ends
MODEL_REPLY_CALLS = 64  # a reply with more has lost its way
MODEL_REPLY_S = 1800.0  # a reply that takes longer never ends, whatever keeps its line alive
MODEL_CHUNK_BYTES = 8 * MIB  # the whole of the longest call in one chunk, every character of it escaped
MODEL_STREAM_BYTES = 256 * MIB  # of the longest reply, each word of it in a chunk of its own
MODEL_LAST_CHUNK_S = 5.0  # from the reason why a reply ended to what it used; a server may never send that
MODEL_CLOSE_S = 0.25  # from the end of a stream to the end of its answer, so that the connection can be used again
MODEL_BACKOFF_S = 30.0  # the longest that a provider's wish to wait is heeded while somebody watches
OWN_KEY_CHARS = 1000
FILES_TOLD = 50  # workspace files named to the model
# What a model is told.
PICTURE_SIDE = 1280  # pixels: a chart's words can be read, and providers would scale down what is much larger
PICTURE_BYTES = 1 * MIB  # of one picture that is told; a larger one is scaled in the sandbox
UNSEEN_PICTURE_BYTES = 256 * KIB  # of one whose size in pixels nobody knows
PICTURES_BYTES = 8 * MIB  # of all in one request: providers refuse more than some 20
SCALED_FROM_BYTES = 64 * MIB  # a picture beyond is not even tried
PICTURES_KEPT_BYTES = 32 * MIB  # of scaled pictures, in memory, so that none is scaled twice
TABLES_TOLD = 6  # whose columns are told
TABLE_COLUMNS = 40
TABLE_NAME_CHARS = 60
TABLE_VALUE_CHARS = 40
TABLES_KEPT = 2000  # schemas in memory, so that no file is read twice
ASIDE_S = 12.0  # code of ours beside cells, for which a turn waits; it takes half a second on a quiet machine
ASIDE_CHARS = 256 * KIB  # printed
ASIDE_START_S = 20.0  # and for a sandbox that has to start first, because something is attached
ASIDE_PICTURE_CHARS = 2 * MIB  # printed: a scaled picture in base64
SUMMARY_S = 120.0  # asking a model for a summary, or to look at a picture: whoever waits for it can do without
SUMMARY_CHARS = 20_000  # a summary that is longer is none
LOOK_CHARS = 8_000
REFUSALS_OF_LENGTH = 2  # a request that the provider finds too long is made shorter as often
REFUSED_SHARE = 0.75  # of what was told before
SMALLEST_SHARE = 0.2  # of a window, however often that came
SMALLEST_ROOM_TOKENS = 300  # for a question and what came before it
PICTURES_TOLD = 12  # in one request
DEMO_PACE_S = 0.015  # between two pieces of the demo model's answer, as from a model

STOP_S = 15.0  # a stopped turn that takes longer is ended as it is

# Passwords, in characters. Each hash costs 64 MiB whatever the length; the longest only bounds what is read.
PASSWORD_SHORTEST = 10
PASSWORD_LONGEST = 200

# The database. A request waits this long for one that is busy or away; what was done already is kept for longer.
DATABASE_PATIENCE_S = 10.0
DATABASE_INSISTS_S = 600.0
DATABASE_RETRY_S = 0.2
DATABASE_START_S = 60.0  # a server that is started together with us
DATABASE_STATEMENT_S = 30  # PostgreSQL ends a statement that takes longer, or waits longer for a lock
DATABASE_CONNECTIONS = 8

# The audit log. A full queue is some megabytes.
AUDIT_QUEUE_ENTRIES = 4000
AUDIT_BATCH_ENTRIES = 500
AUDIT_GATHER_S = 0.1  # what is noted within it is written at once; a process that is killed loses no more
AUDIT_RETRY_S = 1.0
ACTIVITY_NOTED_PER_S = 2.0  # cells, uploads, … of one person, in the long run: some 60 MB a day at the very most
ACTIVITY_NOTED_BURST = 2000
ACTIVITY_PEOPLE = 10_000
REFUSALS_NOTED_PER_S = 0.2  # of one kind to one user, or to all that are unknown: a flood must not fill the disk
REFUSALS_NOTED_BURST = 50
