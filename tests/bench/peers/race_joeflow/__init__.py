"""joeflow keeps each workflow in a table of its own, so it needs an app."""
