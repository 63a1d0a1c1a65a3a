"""``include("django_timelines.urls")``: the visitor's pages, the links, and the API."""

from __future__ import annotations

from django.urls import path

from . import views
from .views import api

app_name = "timelines"
urlpatterns = [
    path("", views.MyWorkView.as_view(), name="mine"),
    path("start/<str:workflow>/", views.start, name="start"),
    path("<uuid:pk>/", views.TimelineView.as_view(), name="timeline"),
    path("<uuid:pk>/since/", views.since, name="since"),
    path("api/", api.timelines, name="api"),
    path("api/<uuid:pk>/", api.timeline, name="api_timeline"),
    path("api/<uuid:pk>/events/", api.events, name="api_events"),
    path("api/<uuid:pk>/steps/<path:run>/assign/", api.assign, name="api_assign"),
    path("api/<uuid:pk>/steps/<path:run>/", api.step, name="api_step"),  # an item may have a slash in its name
    path("open/<str:token>/", views.open_link, name="open"),
    path("call/<str:token>/", views.CallLinkView.as_view(), name="call"),
]
