"""The five-step flow raced against other systems: ``make peers``. They are installed into an environment of their own."""
