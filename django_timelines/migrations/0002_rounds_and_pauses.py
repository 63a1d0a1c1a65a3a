from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_timelines", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Pause",
            fields=[
                (
                    "workflow",
                    models.CharField(
                        blank=True, max_length=150, primary_key=True, serialize=False, verbose_name="workflow"
                    ),
                ),
                ("reason", models.TextField(verbose_name="reason")),
                ("actor_label", models.CharField(blank=True, default="", max_length=200)),
                ("at", models.DateTimeField(verbose_name="time")),
            ],
            options={
                "verbose_name": "pause",
                "verbose_name_plural": "pauses",
            },
        ),
        migrations.AlterModelOptions(
            name="timeline",
            options={
                "ordering": ("-id",),
                "permissions": (
                    ("retry_timeline", "Can retry a step"),
                    ("skip_timeline", "Can skip a step"),
                    ("cancel_timeline", "Can cancel a timeline"),
                    ("amend_timeline", "Can correct a timeline's fields"),
                    ("rewind_timeline", "Can rewind a timeline"),
                    ("pause_timeline", "Can pause and resume a timeline"),
                ),
                "verbose_name": "timeline",
                "verbose_name_plural": "timelines",
            },
        ),
    ]
