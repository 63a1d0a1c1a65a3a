"""A run's row is known by its fence: a step may have one in each of two rounds."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_timelines", "0012_assigned_steps")]
    operations = [
        migrations.AddConstraint(  # first: the foreign key to the timeline needs one of the two, on MariaDB
            "run", models.UniqueConstraint(fields=["timeline", "fence"], name="timelines_run_by_fence")
        ),
        migrations.RemoveConstraint("run", "timelines_run_once"),
    ]
