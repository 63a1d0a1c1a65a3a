"""Pages that an author routes by hand."""

from django import forms
from django.urls import include, path

from django_timelines.views import StartView, StepView, TimelineView

from .workflows import Everything, Expense, Vote


class KindForm(forms.Form):
    """Says no before the step does."""

    note = forms.CharField(min_length=20, error_messages={"min_length": "Say more."})


urlpatterns = [
    path("everything/", StartView.as_view(workflow=Everything)),
    path("expense/", StartView.as_view(workflow=Expense, extra_context={"hint": "Keep the bill."})),
    path("expense/of/<str:owner>/", StartView.as_view(workflow=Expense)),
    path("everything/of/<int:who>/", StartView.as_view(workflow=Everything)),
    path("expense/<uuid:pk>/", TimelineView.as_view(workflow=Expense)),
    path("expense/<uuid:pk>/look/", StepView.as_view(workflow=Expense, step="look_at")),
    path("expense/<uuid:pk>/kindly/", StepView.as_view(workflow=Expense, step="look_at", form_class=KindForm)),
    path("vote/", StartView.as_view(workflow=Vote)),
    path("vote/<uuid:pk>/vote/<path:item>/", StepView.as_view(workflow=Vote, step="vote")),
    path("timelines/", include("django_timelines.urls")),
]
