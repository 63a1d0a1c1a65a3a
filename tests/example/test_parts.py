"""Small parts of the example project."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.mail import EmailMessage
from django.test import Client

import example_project.site
from example_project.databases import database
from example_project.outbox.backend import EmailBackend
from example_project.outbox.models import Mail
from example_project.site.highlight import highlight
from example_project.site.templatetags.site import with_links


def test_the_source_is_shown_to_the_letter_and_escaped() -> None:
    source = 'class A(B):\n    @step(n=1)\n    def go(self):  # <why>\n        return """a\n  b"""\n'

    shown = highlight(source)

    assert shown == (
        '<span class="keyword">class</span> <span class="name">A</span>(B):\n'
        '    <span class="decorator">@</span><span class="decorator">step</span>(n=<span class="number">1</span>)\n'
        '    <span class="keyword">def</span> <span class="name">go</span>(self):  '
        '<span class="comment"># &lt;why&gt;</span>\n'
        '        <span class="keyword">return</span> <span class="string">&quot;&quot;&quot;a\n  b&quot;&quot;&quot;</span>\n'
    )


def test_a_browser_that_asks_for_an_icon_by_itself_is_given_the_site_s(visitor: Client) -> None:
    asked = visitor.get("/favicon.ico")

    assert asked["Location"] == "/static/site/icon.svg"
    assert (Path(example_project.site.__file__).parent / asked["Location"].strip("/")).is_file()


def test_only_web_addresses_become_links_and_all_else_is_escaped() -> None:
    shown = with_links('<b>see</b> https://example.org/a?b=1&c="2" or javascript:alert(1)')

    assert shown == (
        '&lt;b&gt;see&lt;/b&gt; <a href="https://example.org/a?b=1&amp;c=" rel="nofollow noopener noreferrer">'
        "https://example.org/a?b=1&amp;c=</a>&quot;2&quot; or javascript:alert(1)"
    )


def test_a_mail_server_that_is_away_refuses_until_it_is_back(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "fail"
    monkeypatch.setattr("example_project.outbox.backend.FAIL_FILE", str(away))
    mail = EmailMessage("Hello", "World", to=["ann@example.org"])
    away.touch()

    with pytest.raises(ConnectionRefusedError):
        EmailBackend().send_messages([mail])
    assert not Mail.objects.exists()

    away.unlink()
    assert EmailBackend().send_messages([mail]) == 1


def test_a_database_is_read_from_its_address() -> None:
    assert database("postgres://me:p%40ss@db.example.org:5433/site") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "site",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "db.example.org",
        "PORT": "5433",
    }
    assert database("sqlite:////var/site.sqlite3")["NAME"] == "/var/site.sqlite3"


def test_an_address_of_another_kind_says_what_to_write() -> None:
    with pytest.raises(ValueError, match=r"oracle.*postgres://"):
        database("oracle://db/site")
