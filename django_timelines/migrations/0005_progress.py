from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_timelines", "0004_families"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="cursor",
            field=models.JSONField(help_text="How far a long step has come, and its fields there.", null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="progress",
            field=models.JSONField(help_text="What pages show of that.", null=True, verbose_name="progress"),
        ),
    ]
