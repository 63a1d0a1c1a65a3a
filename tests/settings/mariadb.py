"""MariaDB, through PyMySQL. The names are those of its own client, which reads a password from MYSQL_PWD."""

import os

import pymysql

from .base import *  # noqa: F403

pymysql.install_as_MySQLdb()

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": os.environ.get("MYSQL_DATABASE", "timelines"),
        "USER": os.environ.get("MYSQL_USER", "root"),
        "PASSWORD": os.environ.get("MYSQL_PWD", ""),
        "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
        "PORT": os.environ.get("MYSQL_TCP_PORT", "3306"),
        "OPTIONS": {"charset": "utf8mb4", "ssl_disabled": True},  # PyMySQL reads all certificates for each connection
    }
}
