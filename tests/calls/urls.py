"""Pages that an author routes by hand."""

from django.urls import include, path

from django_timelines.views import StartView, StepView, TimelineView

from .workflows import Everything, Expense

urlpatterns = [
    path("everything/", StartView.as_view(workflow=Everything)),
    path("expense/", StartView.as_view(workflow=Expense, extra_context={"hint": "Keep the bill."})),
    path("expense/of/<str:owner>/", StartView.as_view(workflow=Expense)),
    path("everything/of/<int:who>/", StartView.as_view(workflow=Everything)),
    path("expense/<uuid:pk>/", TimelineView.as_view(workflow=Expense)),
    path("expense/<uuid:pk>/look/", StepView.as_view(workflow=Expense, step="look_at")),
    path("timelines/", include("django_timelines.urls")),
]
