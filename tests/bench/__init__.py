"""``make bench``: how long our work takes, as a ratio to raw work that is measured in the same run.

Not tests: nothing here fails because a machine is slow. See ``__main__`` for what is written where.
"""
