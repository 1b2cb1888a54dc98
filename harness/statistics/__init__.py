"""What may be concluded from outcomes: pure functions over arrays (docs/statistics.md)."""
