"""Two releases of one workflow, and processes that have one of them, as they are up side by side while a release is rolled out."""
