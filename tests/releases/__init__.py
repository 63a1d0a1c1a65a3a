"""Two releases of one workflow, and processes that have one of them: up side by side, as while a release is rolled out."""
