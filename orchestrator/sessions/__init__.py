"""The session service: sessions that last, on sandboxes that come and go. Every door goes through here."""
