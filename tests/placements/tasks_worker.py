"""A real worker of a backend of Django's tasks: that of ``manage.py db_worker --backend table --queue-name steps --batch``."""

from __future__ import annotations

from django_tasks_db.management.commands.db_worker import Worker


def work() -> None:
    """Do what the backend's table holds."""
    Worker(
        queue_names=["steps"],
        interval=0,
        batch=True,
        backend_name="table",
        startup_delay=False,
        max_tasks=None,
        worker_id="test",
        excluded_queue_names=[],
    ).run()
