"""How many timelines of each workflow have not ended is read from one index, without a look at the rows."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_timelines", "0015_folded_anew")]
    operations = [
        migrations.RemoveIndex("timeline", "timelines_by_status"),
        migrations.AddIndex("timeline", models.Index(fields=["status", "id", "workflow"], name="timelines_by_status")),
    ]
