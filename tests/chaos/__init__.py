"""Trouble on purpose: every process and both servers die at random, again and again, and nothing may be lost, doubled or stuck.

``make chaos``, or ``python -m tests.chaos --minutes 1 --seed 7``: see ``__main__``.
"""
