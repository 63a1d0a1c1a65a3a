import django.db.models.deletion
import django_timelines.actors
import django_timelines.models
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Run",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=django_timelines.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("step", models.CharField(max_length=100, verbose_name="step")),
                ("item", models.CharField(blank=True, default="", max_length=200, verbose_name="item")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("upcoming", "upcoming"),
                            ("due", "due"),
                            ("running", "running"),
                            ("retrying", "retrying"),
                            ("waiting", "waiting"),
                            ("blocked", "blocked"),
                            ("completed", "completed"),
                            ("skipped", "skipped"),
                            ("failed", "failed"),
                            ("overdue", "overdue"),
                            ("not taken", "not taken"),
                            ("not reached", "not reached"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("fence", models.PositiveIntegerField()),
                ("attempt", models.PositiveIntegerField(default=0, verbose_name="attempt")),
                ("due", models.DateTimeField(help_text="Not before this time.", null=True, verbose_name="due")),
                ("until", models.DateTimeField(help_text="Overdue after this time.", null=True, verbose_name="until")),
                (
                    "placement",
                    models.CharField(
                        blank=True, default="", help_text="Rung last.", max_length=100, verbose_name="placement"
                    ),
                ),
                ("rings", models.PositiveIntegerField(default=0, verbose_name="rings")),
                (
                    "ring",
                    models.DateTimeField(
                        help_text="When the clock looks at it next.", null=True, verbose_name="next ring"
                    ),
                ),
            ],
            options={
                "verbose_name": "open run",
                "verbose_name_plural": "open runs",
            },
        ),
        migrations.CreateModel(
            name="Sighting",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "sighting",
                "verbose_name_plural": "sightings",
            },
        ),
        migrations.CreateModel(
            name="Lease",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="lease",
                        serialize=False,
                        to="django_timelines.run",
                    ),
                ),
                ("holder", models.CharField(max_length=200, verbose_name="holder")),
                ("expires", models.DateTimeField(help_text="By the database's clock.", verbose_name="expires")),
            ],
            options={
                "verbose_name": "lease",
                "verbose_name_plural": "leases",
            },
        ),
        migrations.CreateModel(
            name="Timeline",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=django_timelines.models.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("workflow", models.CharField(max_length=150, verbose_name="workflow")),
                (
                    "head",
                    models.PositiveIntegerField(help_text="The sequence of the newest event.", verbose_name="head"),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "running"),
                            ("waiting", "waiting"),
                            ("blocked", "blocked"),
                            ("paused", "paused"),
                            ("cancelling", "cancelling"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("state", models.JSONField(help_text="The fold of the events: a cache.", verbose_name="state")),
                ("key", models.CharField(blank=True, default="", max_length=200, verbose_name="key")),
                (
                    "digest",
                    models.UUIDField(help_text="Of workflow and key: one timeline for each.", null=True, unique=True),
                ),
                ("correlation", models.UUIDField(verbose_name="correlation id")),
                (
                    "started_by",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="A user's primary key.",
                        max_length=64,
                        verbose_name="started by",
                    ),
                ),
                ("started_at", models.DateTimeField(verbose_name="started at")),
                ("changed_at", models.DateTimeField(verbose_name="changed at")),
            ],
            options={
                "verbose_name": "timeline",
                "verbose_name_plural": "timelines",
                "ordering": ("-id",),
                "permissions": (
                    ("retry_timeline", "Can retry a step"),
                    ("skip_timeline", "Can skip a step"),
                    ("cancel_timeline", "Can cancel a timeline"),
                ),
                "indexes": [
                    models.Index(fields=["status", "id"], name="timelines_by_status"),
                    models.Index(fields=["workflow", "id"], name="timelines_by_workflow"),
                    models.Index(fields=["started_by", "id"], name="timelines_by_starter"),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("head__gte", 1)), name="timelines_head_from_1")
                ],
            },
        ),
        migrations.CreateModel(
            name="SealedInput",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "timeline_id", "sequence", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("sequence", models.PositiveIntegerField(help_text="The call's.")),
                ("step", models.CharField(max_length=100)),
                ("item", models.CharField(blank=True, default="", max_length=200)),
                ("sealed", models.BinaryField()),
                (
                    "timeline",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="django_timelines.timeline",
                    ),
                ),
            ],
            options={
                "verbose_name": "sealed input",
                "verbose_name_plural": "sealed inputs",
            },
        ),
        migrations.AddField(
            model_name="run",
            name="timeline",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="runs",
                to="django_timelines.timeline",
            ),
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "timeline_id", "sequence", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("sequence", models.PositiveIntegerField(verbose_name="sequence")),
                ("type", models.CharField(max_length=60, verbose_name="type")),
                ("version", models.PositiveSmallIntegerField(default=1, verbose_name="schema version")),
                ("step", models.CharField(blank=True, default="", max_length=100, verbose_name="step")),
                ("item", models.CharField(blank=True, default="", max_length=200, verbose_name="item")),
                ("attempt", models.PositiveIntegerField(null=True, verbose_name="attempt")),
                ("data", models.JSONField(verbose_name="data")),
                ("at", models.DateTimeField(verbose_name="time")),
                (
                    "actor_type",
                    models.CharField(
                        choices=[
                            ("user", django_timelines.actors.ActorType["USER"]),
                            ("link", django_timelines.actors.ActorType["LINK"]),
                            ("step", django_timelines.actors.ActorType["STEP"]),
                            ("worker", django_timelines.actors.ActorType["WORKER"]),
                            ("clock", django_timelines.actors.ActorType["CLOCK"]),
                            ("command", django_timelines.actors.ActorType["COMMAND"]),
                            ("system", django_timelines.actors.ActorType["SYSTEM"]),
                        ],
                        max_length=8,
                        verbose_name="actor",
                    ),
                ),
                ("actor_id", models.CharField(blank=True, default="", max_length=200)),
                ("actor_label", models.CharField(blank=True, default="", max_length=200)),
                ("placement", models.CharField(blank=True, default="", max_length=100, verbose_name="placement")),
                (
                    "cause",
                    models.PositiveIntegerField(
                        help_text="The sequence of the event that led to it.", null=True, verbose_name="cause"
                    ),
                ),
                (
                    "cause_timeline",
                    models.UUIDField(help_text="Whose event that is, when not this timeline's.", null=True),
                ),
                ("trace", models.CharField(blank=True, default="", max_length=55, verbose_name="trace context")),
                (
                    "timeline",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="django_timelines.timeline",
                    ),
                ),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "events",
                "ordering": ("timeline_id", "sequence"),
            },
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["ring"], name="timelines_run_ring"),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(fields=("timeline", "step", "item"), name="timelines_run_once"),
        ),
        migrations.AddConstraint(
            model_name="event",
            constraint=models.CheckConstraint(
                condition=models.Q(("sequence__gte", 1)), name="timelines_sequence_from_1"
            ),
        ),
    ]
