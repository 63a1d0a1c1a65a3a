"""What some tests need of the machine: for each marker, a question that is answered with what is missing."""

import os
import shutil
from collections.abc import Callable
from functools import cache

import psycopg
import pymysql
import redis

from .settings.base import REDIS_URL

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@cache
def missing_redis() -> str | None:
    """Answer why there is no Redis, or None."""
    try:
        with redis.Redis.from_url(REDIS_URL, socket_connect_timeout=2) as client:
            client.ping()
    except redis.RedisError as error:
        return f"no Redis at {REDIS_URL}: {error}"
    return None


@cache
def missing_postgres() -> str | None:
    """Answer why there is no PostgreSQL, or None."""
    host, user = os.environ.get("PGHOST", "127.0.0.1"), os.environ.get("PGUSER", "postgres")
    try:
        psycopg.connect(host=host, user=user, dbname="postgres", connect_timeout=2).close()
    except psycopg.OperationalError as error:
        return f"no PostgreSQL at {host} for {user}: {error}"
    return None


@cache
def missing_mariadb() -> str | None:
    """Answer why there is no MariaDB, or None."""
    host, user = os.environ.get("MYSQL_HOST", "127.0.0.1"), os.environ.get("MYSQL_USER", "root")
    port, password = int(os.environ.get("MYSQL_TCP_PORT", "3306")), os.environ.get("MYSQL_PWD", "")
    try:
        pymysql.connect(host=host, port=port, user=user, password=password, connect_timeout=2).close()
    except pymysql.OperationalError as error:
        return f"no MariaDB at {host} for {user}: {error}"
    return None


def missing_browser() -> str | None:
    """Answer why there is no browser, or None."""
    return None if CHROMIUM else "no chromium on the PATH"


def missing_redis_server() -> str | None:
    """Answer why a test cannot start a Redis of its own, or None."""
    return None if shutil.which("redis-server") else "no redis-server on the PATH"


MISSING: dict[str, Callable[[], str | None]] = {
    "redis": missing_redis,
    "redis_server": missing_redis_server,
    "postgres": missing_postgres,
    "mariadb": missing_mariadb,
    "browser": missing_browser,
}
