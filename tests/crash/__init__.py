"""Stops a process dead at every point of a timeline's life, restarts it, and sees how all ends: ``python -m tests.crash``."""
