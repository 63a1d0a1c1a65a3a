"""viewflow keeps flows by their app."""
