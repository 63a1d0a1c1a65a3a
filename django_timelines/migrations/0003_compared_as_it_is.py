import django_timelines.models
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("django_timelines", "0002_rounds_and_pauses"),
    ]

    operations = [
        migrations.AlterField(
            model_name="event",
            name="item",
            field=django_timelines.models.ExactCharField(blank=True, default="", max_length=200, verbose_name="item"),
        ),
        migrations.AlterField(
            model_name="event",
            name="step",
            field=django_timelines.models.ExactCharField(blank=True, default="", max_length=100, verbose_name="step"),
        ),
        migrations.AlterField(
            model_name="pause",
            name="workflow",
            field=django_timelines.models.ExactCharField(
                blank=True, max_length=150, primary_key=True, serialize=False, verbose_name="workflow"
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="item",
            field=django_timelines.models.ExactCharField(blank=True, default="", max_length=200, verbose_name="item"),
        ),
        migrations.AlterField(
            model_name="run",
            name="step",
            field=django_timelines.models.ExactCharField(max_length=100, verbose_name="step"),
        ),
        migrations.AlterField(
            model_name="sealedinput",
            name="item",
            field=django_timelines.models.ExactCharField(blank=True, default="", max_length=200),
        ),
        migrations.AlterField(
            model_name="sealedinput",
            name="step",
            field=django_timelines.models.ExactCharField(max_length=100),
        ),
        migrations.AlterField(
            model_name="timeline",
            name="workflow",
            field=django_timelines.models.ExactCharField(max_length=150, verbose_name="workflow"),
        ),
    ]
