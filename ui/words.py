"""Every text of the page in English; languages/ has the translations. What the panels say is in panel_words.py.

A text is to be read in a function, when it is said: at an import nobody knows the reader's language yet.
"""

from __future__ import annotations

import sys

from ui.languages import SpokenModule

sys.modules[__name__].__class__ = SpokenModule

TITLE = "Glovebox"
DEMO_MODEL = "glovebox-demo"

# The first-use page; HTML where it is marked up
WELCOME_TITLE = "What shall we find out?"
WELCOME = (
    "Ask in plain words, and drop in your files. A model writes Python, and the Python runs in a "
    "<b>sealed sandbox on your own host</b>: no network, its own files, and nothing of yours but what you put in."
)
EXAMPLES = (
    ("Find what drives it", "Fit a linear regression to bike_rentals.csv that predicts the rentals, and plot it."),
    ("Get to know a table", "Describe bike_rentals.csv: its columns, what is missing, what stands out."),
    ("Make a file to hand on", "Make an Excel workbook with a chart out of bike_rentals.csv, to download."),
)
EXAMPLES_TABLE = (
    "The examples bring a table of their own: two years of a town's bicycle rentals. "
    "Begin a message with <code>!</code> to run Python yourself."
)

# The model's banner
DEMO_BANNER = (
    "<b>This is a scripted demo, not a language model.</b> "
    "It follows scripts, but its code really runs in your sandbox. "
    "Put a provider's key into the config (<code>config.json</code>, <code>.env</code>) to talk to a real model."
)

# Sessions
NEW_SESSION = "New session"
SESSIONS = "Sessions"
NO_SESSIONS = "Nothing here yet. Your conversations will be listed here."
RENAME = "Rename"
DELETE = "Delete"
DELETE_SESSION = "Delete the conversation and all its files?"
KEEP = "Keep"
UNNAMED = "Untitled"
SHARED_BY = "by {name}"
SESSION_STATES = {
    "asleep": "asleep; the next message wakes it",
    "starting": "the sandbox is starting",
    "ready": "the sandbox is ready",
    "busy": "working",
    "idle": "the sandbox is ready",
    "lost": "the sandbox ended: variables are lost, files kept",
}

# The composer
PROMPT_PLACEHOLDER = "Ask, or drop files here…"
PROMPT_LABEL = "Message"
STOP = "Stop"
MODEL = "Model"
PROFILE = "Sandbox"
PROFILE_CHOICE = "Sandbox: {name}"
CONVERSATION = "Conversation"
APPROVAL = "Running code"
APPROVAL_AUTO = "Code runs by itself"
APPROVAL_ASK = "Ask before running code"
UPLOAD_FAILED = "The file {name} could not be uploaded: {detail}"

# What was used
METER_WINDOW = "{filled} of {window}"
METER_WINDOW_WHY = "How much of what the model can read at once the last request took, in tokens"
METER_TOKENS = "{count} tokens"
METER_TOKENS_WHY = "In this session: {asked} tokens asked, {answered} answered"
METER_COST = "cost {cost}"

# Files
FILES = "Files"
EXPORT = "Export notebook"
EXPORT_PAGE = "Page"
EXPORT_MARKDOWN = "Markdown"
DOWNLOAD = "Download"

# Cells
PYTHON = "Python"
FAILED = "failed"
CELL_STATES = {
    "writing": "writing…",
    "running": "running…",
    "waiting": "waits for you",
    "refused": "refused",
    "timeout": "stopped at the time limit",
    "interrupted": "interrupted",
    "out_of_memory": "out of memory",
    "sandbox_lost": "the sandbox was lost",
    "not_run": "not run",
}
COPY_CODE = "Copy the code"
EDIT_AND_RUN = "Edit and run again"
RUN_AGAIN = "Run again"
RUN_ALL = "Run all cells"
RUN_ALL_HINT = "In their order, up to the first that fails; each result takes the place of the one that came with it."
RUN_ALL_NOW = "Running cell {at} of {of}…"
RUN_ALL_DONE = "All {of} cells ran."
RUN_ALL_FAILED = "Cell {at} of {of} failed: {error}. Those behind it were not run."
RUN_ALL_STOPPED = "Stopped at cell {at} of {of}."
WHOLE_TRACEBACK = "Whole traceback"
WHOLE_OUTPUT = "The whole output"
OUTPUT_CUT = "… {count} characters are left out here …"
CODE_CUT = "… the rest of the code is left out here …"
CELL_TRUNCATED = "The output was cut; the whole is in the workspace, under outputs/."
PICTURE_ALT = "Picture {number} of this conversation, made by the code above"
PICTURE_BROKEN = "A picture could not be shown: it is not what it says it is."
PICTURE_TOO_LARGE = "A picture of {width}×{height} pixels is too large to be shown here."
HTML_FRAME = "Output of the code above"
CHART_FRAME = "Interactive chart, made by the code above"
SCRIPTS_LEFT_OUT = "This output contains scripts. They are not run here; the exported notebook has them."
CHART_BROKEN = "This chart cannot be drawn here: it makes no sense, or needs something from another site."
HTML_CUT = "An HTML output is too large to be shown here ({size})."
CHART_REFUSED = (
    "This chart asks for something at another address. Nothing is loaded from there: put the data into the chart."
)
CHART_TOO_LARGE = (
    "This chart brings too much data to be drawn here ({size}). Let the code aggregate it first, or save it as a file."
)
UNSHOWN = "An output of the kind {kind} cannot be shown here."
TABLE_FRAME = "Table, made by the code above; a click on a column sorts it"
SEARCH_TABLE = "Search in this table"
PDF = "PDF"
LOOK = "Show"
TABLE_CUT = "The first {rows} of {total} rows are shown."
COLUMNS_CUT = "The first {columns} of {total} columns are shown."
CHANGED = "changed"

# A turn
STARTING_SANDBOX = "Starting the sandbox…"
QUEUED = "All sandboxes are busy. Your place in the queue: {place}"
THINKING = "Working…"
REJECTED = "The model called {name} in a way that makes no sense, and was told so: {reason}"
LOOKED = "Another model looked at {path}. {question} {answer}"
STOPPED = "Stopped."
LOST = (
    "The service was restarted in the middle of this answer. What had been done until then is kept; ask again to go on."
)
TURN_FAILED = "The answer failed"
PROBLEM = "{title}: {detail}"

TRY_AGAIN = "Try again"
REASONING = "Thoughts"
REASONING_NOW = "Thinking…"

# What can be done with messages
COPY = "Copy"
COPIED = "Copied"
COPY_ANSWER = "Copy the answer"
REGENERATE = "Answer again"
REGENERATE_WITH = "Answer again with another model"
NO_OTHER_MODEL = "There is no other model that can be used."
EDIT_QUESTION = "Edit, and ask anew"
DELETE_TURN = "Delete this question and its answer"
DELETE_TURN_ASKED = "Delete this question and its answer? Files and variables stay."
EARLIER_BRANCH = "The version before"
LATER_BRANCH = "The version after"
ASK_EDITED = "Ask"
RUN_EDITED = "Run"
CANCEL = "Cancel"

# Approval of code
APPROVAL_ASKED = "The model wants to run this code. You decide."
APPROVE = "Run"
EDIT_APPROVAL = "Edit"
REFUSE = "Refuse"

# The conversation's frame
TO_END = "To the end"
ENLARGED = "Picture"
CLOSE = "Close"
RECONNECTING = "The connection is lost. It comes back by itself; nothing is lost meanwhile."
ANSWER_READY = "The answer is finished."

STILL_ANSWERING = "An answer is being written. What you wrote stays here: send it when that is finished, or stop it."

# Errors of the page itself
UNREACHABLE = "The Glovebox service does not answer. Nothing is lost; try again in a moment."
UNREADABLE = "The Glovebox service answered with something unreadable (status {status})."
# By the code of an API's problem: a translation says it in its language, before the API's own English words.
PROBLEMS: dict[str, str] = {}
NO_SUCH_SESSION = "This session does not exist (any more)."
LOGIN_NEEDED = "This page asks for the token of this Glovebox (GLOVEBOX_TOKEN) as password; any user name will do."
FORBIDDEN_HOST = "This host name is not allowed. Add it to GLOVEBOX_UI_HOSTS."
FORBIDDEN_ORIGIN = "Requests from other sites are not allowed."
NOT_FOUND = "There is nothing here."
NO_PDF = "This file is no PDF, whatever its name says."
FILES_ONLY = "Please have a look at what I uploaded."

# The login page; further keys are the codes of the API's problems, and why a browser was sent there.
LOGIN = {
    "title": "Log in to Glovebox",
    "name": "Name",
    "password": "Password",
    "enter": "Log in",
    "sso": "Log in by single sign-on",
    "login_refused": "The single sign-on was not finished. Try again, or ask an admin.",
    "login_unknown": "This login was begun too long ago, or in another browser. Please begin again.",
    "ended": "Your login has ended. Please log in again.",
    "out": "You are logged out.",
    "wrong_password": "The name or the password is wrong. An admin can give you another password.",
    "too_many_tries": "That was tried too often. Wait a few minutes, then try again.",
    "bad_request": "Please enter your name and your password.",
}
LOG_OUT = "Log out"
LOGIN_ENDED = "Your login has ended. Log in again at /login."
OPEN_TO_OTHERS = "This page can be reached by others, and asks nobody who they are: set GLOVEBOX_TOKEN, or people.mode."

# Ages
JUST_NOW = "just now"
MINUTES_AGO = "{count} min ago"
HOURS_AGO = "{count} h ago"
YESTERDAY = "yesterday"
DAYS_AGO = "{count} days ago"
