"""Absurd: a task of five steps, spawned, and worked off by the same process at once: nobody polls."""

from __future__ import annotations

import os
from typing import Any

import absurdctl
import psycopg
from absurd_sdk import Absurd
from client import main, type_flow

URL = os.environ["RACE_URL"]


def prepare() -> None:
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(absurdctl.BUNDLED_SCHEMA_SQL)
    Absurd(URL, queue_name="race").create_queue()


def ready() -> type_flow:
    app = Absurd(URL, queue_name="race")

    @app.register_task(name="five")
    def five(params: Any, context: Any) -> None:
        for number in range(5):
            context.step(f"step {number}", lambda: None)

    def flow() -> None:
        app.spawn("five", {})
        app.work_batch()

    return flow


if __name__ == "__main__":
    main(prepare, ready)
