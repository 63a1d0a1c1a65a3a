"""The coffee shop's pages."""

from __future__ import annotations

from django.urls import path

from .views import counter, hand_over, order, plug

urlpatterns = [
    path("", order, name="order"),
    path("counter/", counter, name="counter"),
    path("counter/<uuid:pk>/", hand_over, name="hand_over"),
    path("plugs/<str:machine>/", plug, name="plug"),
]
