"""What the demo collects for."""

from django.db import migrations

CAMPAIGNS = [
    ("A roof for the library", "Rain has found the shelves. New tiles keep the children's books dry.", True),
    ("Trees for the market square", "Twelve lime trees, planted in spring, for shade in every summer after it.", True),
    ("The lighthouse lamp", "The lamp has been bought, thanks to you.", False),
]


def begin(apps, schema_editor):
    campaigns = apps.get_model("donation", "Campaign").objects.using(schema_editor.connection.alias)
    for title, about, is_open in CAMPAIGNS:
        campaigns.create(title=title, about=about, is_open=is_open)


class Migration(migrations.Migration):
    dependencies = [("donation", "0001_initial")]
    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
