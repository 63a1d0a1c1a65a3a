"""The release that is up."""
