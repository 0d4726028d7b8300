"""Who may use Glovebox: accounts with roles, their passwords, API tokens and logins."""
