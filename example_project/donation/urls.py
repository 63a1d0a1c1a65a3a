"""The donation's pages. All after the first are the timeline's own page, with a template for each step."""

from __future__ import annotations

from django.urls import path
from django.views.generic import ListView

from django_timelines.views import StartView

from .models import Campaign
from .workflows import Donation

urlpatterns = [
    path(
        "",
        ListView.as_view(queryset=Campaign.objects.order_by("pk"), template_name="donation/campaigns.html"),
        name="campaigns",
    ),
    path("<int:campaign>/", StartView.as_view(workflow=Donation), name="donate"),
]
