"""DBOS: a workflow of five steps, each recorded after its body; with ``RACE_KIND=transactions`` in the body's transaction."""

from __future__ import annotations

import os

from client import main, type_flow
from dbos import DBOS, SQLAlchemyDatasource

URL = os.environ["RACE_URL"]


def launch() -> None:
    DBOS(config={"name": "race", "system_database_url": URL, "log_level": "ERROR"})


def prepare() -> None:
    launch()
    SQLAlchemyDatasource.create(URL)
    DBOS.launch()
    DBOS.destroy()


def ready() -> type_flow:
    launch()
    if os.environ["RACE_KIND"] == "transactions":
        step = SQLAlchemyDatasource.create(URL).transaction(nothing, isolation_level="READ COMMITTED")
    else:
        step = DBOS.step()(nothing)

    @DBOS.workflow()
    def flow() -> None:
        for _ in range(5):
            step()

    DBOS.launch()
    return flow


def nothing() -> None: ...


if __name__ == "__main__":
    main(prepare, ready)
    os._exit(0)
