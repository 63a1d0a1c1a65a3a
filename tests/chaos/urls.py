"""The site: what people can click."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("start", views.start),
    path("call", views.call),
    path("operate", views.operate),
    path("blocked", views.blocked),
    path("timelines/", include("django_timelines.urls")),
]
