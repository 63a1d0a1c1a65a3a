"""The tests' own pages, and one of a single step."""

from django.urls import path

from django_timelines.views import StepView
from tests import urls
from tests.shop.workflows import Trip

urlpatterns = [
    path("trip/<uuid:pk>/choose/", StepView.as_view(workflow=Trip, step="choose")),
    *urls.urlpatterns,
]
