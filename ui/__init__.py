"""The page: a Gradio client of the public API, and nothing more.

Theory of operation. The run of a turn lives in the orchestrator; the page only follows it. Sending a message is one
short call. Apart from that, each page follows its session for as long as it is open, over a door of our own: the
stored messages, then the turn's event log from its beginning, then whatever happens next. So closing a tab stops
nothing, a reload shows the same, two tabs stay in step, and stopping is a call of its own.

    page.py          what is on the page (components only)
    wiring.py        which event calls which handler
    actions.py       the handlers: a browser's event -> calls of the API -> what the page shows next
    turns.py         the handlers of what can be done in the conversation
    first_use.py     the page before the first question, and its examples
    luggage.py       uploads on their way into the workspace
    api_client.py    the API, typed; every error is an `ApiError` that carries the problem document's detail

    live.py          the door by which a page follows a session: lines of JSON, without end
    following.py     watching a session: as it is stored, as it grows, as others change it (nudges.py)
    events.py        the follow stream: server-sent events -> events, with reconnection
    intake.py        of each output the one representation that is shown (shown.py); heavy ones go to the shelf
    tables.py, tracebacks.py   what pandas and IPython wrote, read (pure)
    shelf.py         pictures, tables and HTML outputs, kept once by the hash of their bytes
    conversation.py  stored messages -> a view model; applying.py lets events change it (pure)
    render.py        view model -> blocks of HTML with keys, by way of cards.py, snippets.py, markdown.py (with
                     formulas.py and highlight.py), ansi.py, meter.py (pure)
    patches.py       what of the blocks changed (pure); conversation.js keeps the page as it is told, and
                     conversation_acts.js is what can be done there; katex.py finds what draws formulas

    panels.py        the list of sessions, as escaped HTML (pure); lists.js makes its rows act
    panel_parts.py   places that the scripts in browser/ fill: files, search, state and menu of the session, settings
    relay.py         the calls of the API that those scripts may make, and uploads and archives, streamed
    admin_page.py    the page for admins, and the scripts themselves
    front.py         the page's first document: language, theme and words for its reader
    languages/       which language a request speaks, and the translations; details.py, those of the API's sentences
    spoken_blocks.py Gradio's part, once for each language
    places.py        a reverse proxy's prefix
    frames.py        the documents of frames: our scripts (vega.py makes one), and what a cell displayed as data
    doors.py         the routes for files, the notebook, pictures, papers and frames

    guards.py        who may ask at all, and the security headers
    logins.py        the login that a browser brings, and whether it still counts
    login_page.py    the page to log in at (pure)
    login_doors.py   the routes beneath it
    words.py         every text of the page in English; panel_words.py has those of the panels
    app.py           puts it together
"""
