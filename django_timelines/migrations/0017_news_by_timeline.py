"""Whether a projection is to be rebuilt is read from the index of its news, however many they are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_timelines", "0016_counted_by_status")]
    operations = [
        migrations.RemoveIndex("news", "timelines_news"),
        migrations.AddIndex("news", models.Index(fields=["projection", "timeline"], name="timelines_news")),
    ]
