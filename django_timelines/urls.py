"""``include("django_timelines.urls")``: the visitor's page of a timeline, and the links."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "timelines"
urlpatterns = [
    path("start/<str:workflow>/", views.start, name="start"),
    path("<uuid:pk>/", views.TimelineView.as_view(), name="timeline"),
    path("<uuid:pk>/since/", views.since, name="since"),
    path("open/<str:token>/", views.open_link, name="open"),
    path("call/<str:token>/", views.call_link, name="call"),
]
