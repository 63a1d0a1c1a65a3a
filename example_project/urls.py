"""The pages of the example project."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from example_project.contacts.views import import_contacts, sample
from example_project.outbox.views import outbox
from example_project.signup.views import account, sign_up
from example_project.site.views import index, source

urlpatterns = [
    path("", index, name="index"),
    path("source/", source, name="source"),
    path("sign-up/", sign_up, name="sign_up"),
    path("account/<uuid:pk>/", account, name="account"),
    path("contacts/", import_contacts, name="import_contacts"),
    path("contacts/sample.csv", sample, name="sample_contacts"),
    path("donate/", include("example_project.donation.urls")),
    path("coffee/", include("example_project.coffee.urls")),
    path("outbox/", outbox, name="outbox"),
    path("timelines/", include("django_timelines.urls")),
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url=static("site/icon.svg"))),  # the admin's pages name no icon
]
