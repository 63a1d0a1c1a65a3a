"""URLs of the tests' project."""

from django.contrib import admin
from django.urls import include, path

from .shop.views import order, order_async

urlpatterns = [
    path("admin/", admin.site.urls),
    path("order/", order),
    path("order/async/", order_async),
    path("timelines/", include("django_timelines.urls")),
]
