"""The release that is rolled out."""
