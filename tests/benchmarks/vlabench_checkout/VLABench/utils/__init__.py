"""Nothing registers here."""
