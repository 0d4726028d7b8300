"""The egress proxy: what a sandbox may reach of the network, by allow-list.

Theory of operation. A sandbox has no network interface. Where its profile lists hosts, the orchestrator listens for it
on a unix socket in a folder that the sandbox sees read-only; a forwarder inside offers that socket as an HTTP proxy.
One request a connection: `target` reads what is asked for, `policy` decides, `dialling` resolves the name once, has
`addresses` judge all that came back and connects to just what was judged, `client_hello` makes sure that a tunnel
carries TLS for the host that was allowed, `relay` moves bytes within `budgets`, and one `EgressRecord` says how it was.

What this cannot do: look into TLS. Whoever may reach a host may send it anything, so each listed host is a way out for
data; behind a content network, one listed name can lead to others by the `Host` inside of the TLS connection; and a
name under a listed wildcard is told to the servers of that domain when it is resolved.
"""
