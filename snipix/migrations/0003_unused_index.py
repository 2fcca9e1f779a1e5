from django.db import migrations


def drop(apps, schema_editor):
    """Django makes of a primary key a unique index on a field that no piece has."""
    pieces = schema_editor.connection.get_collection("pieces")
    for name, index in pieces.index_information().items():
        if dict(index["key"]) == {"id": 1}:
            pieces.drop_index(name)


class Migration(migrations.Migration):
    dependencies = [("snipix", "0002_piece")]

    operations = [migrations.RunPython(drop, migrations.RunPython.noop)]
