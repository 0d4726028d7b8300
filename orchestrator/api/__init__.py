"""The public API: thin doors that turn requests into typed values and hand them to the services."""
