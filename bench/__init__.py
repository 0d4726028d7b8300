"""What Glovebox costs: each figure is measured beside its floor, the least that the same work can cost here."""
