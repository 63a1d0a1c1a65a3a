"""Plants a fault for each promise in a copy of the code, and sees a test fail: ``python -m tests.planted``."""
